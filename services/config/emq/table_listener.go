package emq

const (
	mqttListener = "listener.{tcp,ssl,ws,wss}.<name>"
	tlsListener  = "listener.{ssl,wss}.<name>"
	wsListener   = "listener.{ws,wss}.<name>"
	target       = "mqtt.listeners.<listener>"
	goTLS        = "crypto/tls chooses this itself, see mqtt.listeners.<name>.tls.versions"
)

// listenerTable is §11.5.
func listenerTable() []Entry {
	return join(
		special(mqttListener, target+".kind "+target+".bind", (*conversion).listen),
		listen(".max_clients", integer),
		listen(".mountpoint", text),
		special(mqttListener+".rate_limit", target+".rate_limit", (*conversion).rateLimit),
		special(mqttListener+".access.<n>", target+".access", (*conversion).accessRule),
		special(mqttListener+".proxy_protocol", target+".proxy_protocol", (*conversion).proxyProtocol),
		listen(".proxy_protocol_timeout", duration),
		listen(".peer_cert_as_username", oneOf("cn", "dn")),
		listen(".send_timeout", duration),
		listen(".recbuf", size),
		listen(".sndbuf", size),
		listen(".nodelay", flag),
		listen(".acceptors", integer),
		listen(".backlog", integer),
		note("zones are labels, see mqtt.listeners.<name>.mountpoint", mqttListener+".zone"),
		note("a write that times out always closes, see mqtt.listeners.<name>.send_timeout", mqttListener+".send_timeout_close"),
		note("buffers are shared by many connections, see mqtt.listeners.<name>.recbuf and sndbuf", mqttListener+".{buffer,tune_buffer}"),
		note("addresses are always reused, see mqtt.listeners.<name>.bind", mqttListener+".reuseaddr"),
		tlsTable(),
		apiTable(),
	)
}

// listen maps one option of all four kinds to the same name.
func listen(option string, read reader) []Entry {
	return maps(mqttListener+option, target+option, read)
}

// tlsTable is what ssl and wss have more, and ws and wss.
func tlsTable() []Entry {
	return join(
		special(tlsListener+".keyfile", target+".tls.keyfile", (*conversion).certificate),
		special(tlsListener+".certfile", target+".tls.certfile", (*conversion).certificate),
		special(tlsListener+".cacertfile", target+".tls.cacertfile", (*conversion).certificate),
		maps(tlsListener+".verify", target+".tls.verify", oneOf("verify_peer", "verify_none")),
		maps(tlsListener+".fail_if_no_peer_cert", target+".tls.fail_if_no_peer_cert", flag),
		maps(tlsListener+".tls_versions", target+".tls.versions", versions),
		maps(tlsListener+".handshake_timeout", target+".handshake_timeout", duration),
		special(tlsListener+".ciphers", target+".tls.ciphers", (*conversion).ciphers),
		note(goTLS, tlsListener+".{dhfile,psk_ciphers,secure_renegotiate,reuse_sessions,honor_cipher_order}"),
		maps(wsListener+".proxy_address_header", target+".proxy_address_header", text),
		maps(wsListener+".proxy_port_header", target+".proxy_port_header", text),
	)
}

// apiTable is the management listener: only its address is taken.
func apiTable() []Entry {
	return join(
		maps("listener.api.<name>", "mgmt.listen", address),
		later("the access rules of mgmt-api (until then bind mgmt.listen to a private address)", "listener.api.<name>.access.<n>"),
		note("requests to the management API are not counted by listener, see mgmt.listen", "listener.api.<name>.{max_clients,acceptors,backlog}"),
		note("the HTTP server of mgmt-api sets this itself, see mgmt.listen",
			"listener.api.<name>.{send_timeout,send_timeout_close,buffer,recbuf,sndbuf,tune_buffer,nodelay,reuseaddr,zone,mountpoint}"),
	)
}
