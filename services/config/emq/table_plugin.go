package emq

// gatewayTable is §1 to §4.
func gatewayTable() []Entry {
	const ssl = "{keyfile,certfile,cacertfile,dhfile,verify,fail_if_no_peer_cert,tls_versions,handshake_timeout,ciphers,psk_ciphers,secure_renegotiate,reuse_sessions,honor_cipher_order}"
	const dtls = "{verify,keyfile,certfile,cacertfile,fail_if_no_peer_cert,ciphers,psk_ciphers}"
	return join(
		later("gateway-sn", "mqtt.sn.{port,advertise_duration,gateway_id,enable_stats,enable_qos3,username,password,idle_timeout}", "mqtt.sn.predefined.topic.<id>"),
		later("gateway-coap", "coap.{port,server,keepalive,enable_stats,certfile,keyfile}", "coap.{prefix,handler}.mqtt", "coap.bind.{udp,dtls}.<n>", "coap.dtls."+dtls),
		later("gateway-lwm2m", "lwm2m.{port,certfile,keyfile,xml_dir,lifetime_min,lifetime_max,mountpoint,qmode_time_window,auto_observe,update_msg_publish_condition,schema}",
			"lwm2m.bind.{udp,dtls}.<n>", "lwm2m.topics.{command,response,notify,register,update}", "lwm2m.opts.{buffer,recbuf,sndbuf,read_packets}", "lwm2m.dtls."+dtls,
			"lwm2m.blockwise.{enable,max_block_size,max_body_size,exchange_lifetime}"),
		later("gateway-stomp", "stomp.{listener,allow_anonymous}", "stomp.listener.{acceptors,max_clients,ssl}", "stomp.listener."+ssl, "stomp.listener.ssl."+ssl,
			"stomp.default_user.{login,passcode}", "stomp.frame.{max_headers,max_header_length,max_body_length}"),
	)
}

// hookTable is §5.1.
func hookTable() []Entry {
	return later("web hooks", "web.hook.api.url", "web.hook.{encode_payload,pool_size,fields}", "web.hook.headers.<name>",
		"web.hook.ssl.{cacertfile,certfile,keyfile,verify,server_name_indication}",
		"web.hook.rule.client.{connected,disconnected,subscribe,unsubscribe}.<n>",
		"web.hook.rule.session.{created,subscribed,unsubscribed,terminated}.<n>",
		"web.hook.rule.message.{publish,delivered,acked}.<n>")
}

// moduleTable is §10.1 and §10.2.
func moduleTable() []Entry {
	return join(
		maps("module.presence", "sys.presence.enable", flag),
		maps("module.presence.qos", "sys.presence.qos", integer),
		later("the subscription module", "module.subscription", "module.subscription.backend", "module.subscription.<n>.{topic,qos}"),
		later("the rewrite module", "module.rewrite", "module.rewrite.rule.<n>"),
		maps("retainer.storage_type", "retained.storage", oneOf("ram", "disc", "disc_only")),
		maps("retainer.max_message_num", "retained.max_messages", integer),
		maps("retainer.max_payload_size", "retained.max_payload", size),
		maps("retainer.expiry_interval", "retained.expiry", duration),
	)
}

// toolTable is §7.2's recon and reloader, and the dashboard of §8.4.
func toolTable() []Entry {
	return join(
		later("the dashboard", "dashboard.default_user.{login,password}", "dashboard.listener.{http,https}",
			"dashboard.listener.{http,https}.{acceptors,max_clients}", "dashboard.listener.{http,https}.access.<n>",
			"dashboard.listener.https.{handshake_timeout,keyfile,certfile,cacertfile,dhfile,verify,fail_if_no_peer_cert}"),
		note(runtimeDoes, "recon.gc_interval"),
		note("code is not reloaded in a running process, start the new binary; see log.file for its log", "reloader.{interval,logfile}"),
	)
}

// plugins says what became of each plugin that data/loaded_plugins may name.
// An empty Owner and Note means: always there.
var plugins = map[string]Entry{
	"emq_retainer":         {},
	"emq_auth_username":    {},
	"emq_auth_clientid":    {},
	"emq_modules":          {Owner: "the subscription and rewrite modules"},
	"emq_dashboard":        {Owner: "the dashboard"},
	"emq_auth_http":        {Owner: "the HTTP backend of authsvc"},
	"emq_auth_jwt":         {Owner: "the JWT backend of authsvc"},
	"emq_auth_ldap":        {Owner: "the LDAP backend of authsvc"},
	"emq_auth_mongo":       {Owner: "the MongoDB backend of authsvc"},
	"emq_auth_mysql":       {Owner: "the MySQL backend of authsvc"},
	"emq_auth_pgsql":       {Owner: "the PostgreSQL backend of authsvc"},
	"emq_auth_redis":       {Owner: "the Redis backend of authsvc"},
	"emq_coap":             {Owner: "gateway-coap"},
	"emq_lwm2m":            {Owner: "gateway-lwm2m"},
	"emq_sn":               {Owner: "gateway-sn"},
	"emq_stomp":            {Owner: "gateway-stomp"},
	"emq_sockjs":           {Owner: "gateway-stomp"},
	"emq_web_hook":         {Owner: "web hooks"},
	"emq_lua_hook":         {Owner: "Lua hooks"},
	"emq_recon":            {Note: "profiles are served by the process itself, see ops.listen for /debug/pprof"},
	"emq_reloader":         {Note: "code is not reloaded in a running process, start the new binary; see log.file for its log"},
	"emq_plugin_template":  {Note: "a program of your own is attached through gateway-exproto, not loaded"},
	"emq_mod_presence":     {},
	"emq_mod_subscription": {Owner: "the subscription module"},
	"emq_mod_rewrite":      {Owner: "the rewrite module"},
	"emq_mod_retainer":     {},
}

// renamedPlugins maps plugins of 2.0 to those that took them over.
var renamedPlugins = map[string]string{
	"emq_mod_presence": "emq_modules", "emq_mod_subscription": "emq_modules", "emq_mod_rewrite": "emq_modules", "emq_mod_retainer": "emq_retainer",
}

// defaultPlugins are loaded when there is no data/loaded_plugins.
var defaultPlugins = []string{"emq_recon", "emq_modules", "emq_retainer", "emq_dashboard"}
