package emq

const (
	etcdInstead = "nodes find each other through etcd, see cluster.etcd.endpoints"
	runtimeDoes = "the Go runtime decides this, see limits.memory"
	oneLog      = "there is one log, see log.file and log.level"
)

// clusterTable is §11.1 of the reference.
func clusterTable() []Entry {
	return join(
		maps("cluster.name", "cluster.name", text),
		note(etcdInstead, "cluster.discovery", "cluster.static.seeds", "cluster.dns.{name,app}",
			"cluster.mcast.{addr,ports,iface,ttl,loop,sndbuf,recbuf,buffer}",
			"cluster.k8s.{apiserver,service_name,address_type,app_name,namespace}"),
		special("cluster.etcd.server", "cluster.etcd.endpoints", (*conversion).etcd),
		note("keys lie under /pando/ and the cluster's name, see cluster.name", "cluster.etcd.prefix"),
		note("a service's lease lasts 3s, see cluster.etcd.endpoints", "cluster.etcd.node_ttl", "cluster.autoclean", "node.dist_net_ticktime"),
		note("etcd decides who owns what, so nothing has to be healed; see cluster.etcd.endpoints", "cluster.autoheal"),
	)
}

// nodeTable is §11.2.
func nodeTable() []Entry {
	return join(
		maps("node.name", "node.name", text),
		maps("node.max_ports", "limits.max_connections", integer),
		note("no shared cookie here, services know each other by certificates, see cluster.tls", "node.cookie"),
		note("no process limit here, see limits.max_connections", "node.process_limit"),
		note(runtimeDoes, "node.{smp,kernel_poll,async_threads,fullsweep_after}"),
		note("no table limit here, see limits.memory", "node.max_ets_tables"),
		note("streams between services are bounded by credits, see limits.memory", "node.dist_buffer_size"),
		note("a supervisor asks /healthz instead, see ops.listen", "node.heartbeat"),
		note("a crash goes to standard error, see log.file", "node.crash_dump"),
		note("services speak gRPC with TLS, see cluster.tls", "node.{proto_dist,ssl_dist_optfile}"),
		note("each service has one port, see cluster.advertise and port_offset", "node.dist_listen_{min,max}"),
	)
}

// logTable is §11.3.
func logTable() []Entry {
	return join(
		maps("log.console.level", "log.level", level),
		special("log.console.file", "log.file", (*conversion).logFile),
		note(oneLog, "log.{dir,console}", "log.{console,info,error,crash}.{size,count}", "log.info.file", "log.error.{file,redirect,messages_per_second}",
			"log.crash", "log.crash.file", "sasl"),
		note("standard error is taken by journald or syslog, see log.file and log.level", "log.syslog", "log.syslog.{identity,facility,level}"),
	)
}

// mqttTable is the part of §11.4 that is not about sessions, with the
// strategies of §10.4 and the zones of §11.9.
func mqttTable() []Entry {
	return join(
		special("mqtt.allow_anonymous", "auth.allow_anonymous", (*conversion).anonymous),
		special("mqtt.acl_nomatch", "auth.acl_nomatch", (*conversion).nomatch),
		special("mqtt.acl_file", "auth.acl_file", (*conversion).aclFile),
		maps("mqtt.cache_acl", "auth.cache.enable", flag),
		maps("mqtt.max_clientid_len", "mqtt.max_clientid_len", integer),
		maps("mqtt.max_packet_size", "mqtt.max_packet_size", size),
		maps("mqtt.websocket_protocol_header", "mqtt.websocket_protocol_header", flag),
		maps("mqtt.keepalive_backoff", "mqtt.keepalive_backoff", number),
		maps("mqtt.client.idle_timeout", "mqtt.idle_timeout", duration),
		maps("mqtt.client.max_publish_rate", "mqtt.publish.max_rate", number),
		note(runtimeDoes, "mqtt.conn.force_gc_count"),
		note("statistics are always kept, see ops.listen for /metrics", "mqtt.client.enable_stats", "mqtt.session.{enable_stats,collect_interval}"),
		maps("mqtt.broker.sys_interval", "sys.interval", duration),
		note("routing is sharded by topic without a pool, see router.max_pending_bytes", "mqtt.pubsub.{pool_size,async,by_clientid}"),
		later("node bridges", "mqtt.bridge.{max_queue_len,ping_down_interval}"),
		special("mqtt.plugins.{etc_dir,loaded_file}", "", (*conversion).pluginPlace),
		special("broker.shared_subscription_strategy", "router.shared_strategy store.shared_strategy", (*conversion).strategy),
		note("what a member does not acknowledge always goes to another one, see store.shared_strategy", "broker.shared_dispatch_ack_enabled"),
		zoneTable(),
	)
}

// zoneTable: a zone is only a label in 2.3; the keys are of 3.x.
func zoneTable() []Entry {
	return join(
		note("zones are labels, see mqtt.idle_timeout", "zone.<name>.idle_timeout"),
		note("zones are labels, see session.max_inflight", "zone.<name>.max_inflight"),
		note("zones are labels, see session.retry_interval", "zone.<name>.retry_interval"),
		note("zones are labels, see session.max_awaiting_rel", "zone.<name>.max_awaiting_rel"),
		note("zones are labels, see mqtt.listeners.<name>.rate_limit", "zone.<name>.publish_limit"),
		note("zones are labels, see auth.acl_nomatch and auth.acl_file", "zone.<name>.{enable_acl,acl_deny_action,enable_ban}"),
		note("zones are labels, see mqtt.listeners.<name>", "zone.<name>.{max_topic_levels,max_qos_allowed,use_username_as_clientid,flapping_threshold}"),
		note(runtimeDoes, "zone.<name>.force_gc_policy"),
	)
}

// sessionTable is mqtt.session and mqtt.mqueue of §11.4.
func sessionTable() []Entry {
	return join(
		maps("mqtt.session.max_subscriptions", "session.max_subscriptions", integer),
		maps("mqtt.session.upgrade_qos", "session.upgrade_qos", flag),
		maps("mqtt.session.max_inflight", "session.max_inflight", integer),
		maps("mqtt.session.retry_interval", "session.retry_interval", duration),
		maps("mqtt.session.max_awaiting_rel", "session.max_awaiting_rel", integer),
		maps("mqtt.session.await_rel_timeout", "session.await_rel_timeout", duration),
		maps("mqtt.session.expiry_interval", "session.expiry_interval", duration),
		maps("mqtt.session.ignore_loop_deliver", "session.ignore_loop_deliver", flag),
		maps("mqtt.mqueue.type", "session.queue.type", oneOf("simple", "priority")),
		maps("mqtt.mqueue.priority", "session.queue.priority", priorities),
		maps("mqtt.mqueue.max_length", "session.queue.max_length", integer),
		maps("mqtt.mqueue.low_watermark", "session.queue.low_watermark", percent),
		maps("mqtt.mqueue.high_watermark", "session.queue.high_watermark", percent),
		maps("mqtt.mqueue.store_qos0", "session.queue.store_qos0", flag),
	)
}

// sysmonTable is §11.6.
func sysmonTable() []Entry {
	return join(
		maps("sysmon.long_gc", "sys.monitor.long_gc", milliseconds),
		maps("sysmon.long_schedule", "sys.monitor.long_schedule", milliseconds),
		note("the heap is compared with the memory that the process may take, see sys.monitor.large_heap and limits.memory", "sysmon.large_heap"),
		maps("sysmon.busy_port", "sys.monitor.busy_port", flag),
		maps("sysmon.busy_dist_port", "sys.monitor.busy_dist_port", flag),
	)
}

// join makes one table of several.
func join(parts ...[]Entry) []Entry {
	var out []Entry
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}
