// Package emq reads the configuration of an EMQ 2.x installation as it is:
// etc/emq.conf, etc/plugins/*.conf, data/loaded_plugins and the EMQ_
// variables; etc/acl.conf is located. The result is a layer for package
// config and lines for the user. Every known key either takes effect, waits
// for a service that is not there yet and says so, or is answered with the
// name of what there is instead; an unknown key is an error with the nearest
// known one. Table lists all of them.
//
// What takes effect, and where it lands:
//
//	cluster.name                        cluster.name
//	cluster.etcd.server                 cluster.etcd.endpoints, if cluster.discovery = etcd
//	node.name                           node.name
//	node.max_ports                      limits.max_connections
//	log.console.level                   log.level
//	log.console.file                    log.file, if log.console = file or both
//	mqtt.allow_anonymous                auth.allow_anonymous
//	mqtt.acl_nomatch                    auth.acl_nomatch
//	mqtt.acl_file                       auth.acl_file
//	mqtt.cache_acl                      auth.cache.enable
//	mqtt.max_clientid_len               mqtt.max_clientid_len
//	mqtt.max_packet_size                mqtt.max_packet_size
//	mqtt.websocket_protocol_header      mqtt.websocket_protocol_header
//	mqtt.keepalive_backoff              mqtt.keepalive_backoff
//	mqtt.client.idle_timeout            mqtt.idle_timeout
//	mqtt.client.max_publish_rate        mqtt.publish.max_rate
//	mqtt.session.max_subscriptions      session.max_subscriptions
//	mqtt.session.upgrade_qos            session.upgrade_qos
//	mqtt.session.max_inflight           session.max_inflight
//	mqtt.session.retry_interval         session.retry_interval
//	mqtt.session.max_awaiting_rel       session.max_awaiting_rel
//	mqtt.session.await_rel_timeout      session.await_rel_timeout
//	mqtt.session.expiry_interval        session.expiry_interval
//	mqtt.session.ignore_loop_deliver    session.ignore_loop_deliver
//	mqtt.mqueue.type                    session.queue.type
//	mqtt.mqueue.priority                session.queue.priority, a mapping from topic to priority
//	mqtt.mqueue.max_length              session.queue.max_length
//	mqtt.mqueue.low_watermark           session.queue.low_watermark
//	mqtt.mqueue.high_watermark          session.queue.high_watermark
//	mqtt.mqueue.store_qos0              session.queue.store_qos0
//	broker.shared_subscription_strategy router.shared_strategy and store.shared_strategy
//	listener.<kind>.<name>              mqtt.listeners.<listener>.kind and .bind
//	  .max_clients .mountpoint .acceptors .backlog .proxy_protocol .proxy_protocol_timeout
//	                                    the same name
//	  .peer_cert_as_username .send_timeout .recbuf .sndbuf .nodelay .handshake_timeout
//	  .proxy_address_header .proxy_port_header
//	  .rate_limit = burst,rate in KB    .rate_limit, such as 100KB,10KB/s
//	  .access.<n>                       .access, a list in the order of the numbers
//	  .keyfile .certfile .cacertfile .verify .fail_if_no_peer_cert
//	                                    .tls.keyfile and so on
//	  .tls_versions                     .tls.versions, such as [1.2, 1.1]
//	  .ciphers                          .tls.ciphers, those that there are here
//	listener.api.<name>                 mgmt.listen
//	auth.user.<n>.username, .password   auth.users, a list of {username, password}
//	auth.username.<name> = password     auth.users
//	auth.client.<n>.clientid, .password auth.clients, a list of {clientid, password}
//	retainer.storage_type               retained.storage
//	retainer.max_message_num            retained.max_messages
//	retainer.max_payload_size           retained.max_payload
//	retainer.expiry_interval            retained.expiry
//	sysmon.long_gc, .long_schedule      sys.monitor.long_gc, .long_schedule
//	sysmon.busy_port, .busy_dist_port   sys.monitor.busy_port, .busy_dist_port
//
// <listener> is the kind (tcp, ssl, ws, wss) for the name "external", which is
// also the name of the suite's own listeners, and kind-name for every other
// name: listener.tcp.internal is mqtt.listeners.tcp-internal. A file that
// gives at least one MQTT listener its address replaces the suite's own ones.
//
// Two defaults of the seed are not the suite's: an emq.conf that does not say
// otherwise means acl_nomatch = allow, and a notice says so. Anonymous clients
// are admitted only where the file says so, and not while a loaded plugin that
// should authenticate has no counterpart yet. No password of the seed is a
// default of the suite; one that a file takes over is warned about.
package emq
