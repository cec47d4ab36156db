// Package sys is what a node tells about itself under $SYS, with the topics and the JSON of EMQ 2: the running nodes, its version and time, statistics and
// metrics, the presence of its clients, and alarms. One Service runs in each process that holds client connections.
//
//	$SYS/brokers                                       retained: the names of the running nodes, separated by commas
//	$SYS/brokers/<node>/version, sysdescr              retained
//	$SYS/brokers/<node>/uptime, datetime               each heartbeat
//	$SYS/brokers/<node>/stats/<name>                   each interval: clients/count, ...
//	$SYS/brokers/<node>/metrics/<name>                 each interval: packets/received, ...
//	$SYS/brokers/<node>/clients/<id>/connected         JSON, when it happens
//	$SYS/brokers/<node>/clients/<id>/disconnected
//	$SYS/brokers/<node>/alarms/<id>/alert, clear
//	$SYS/brokers/<node>/sysmon/<event>                 text, when it happens
//
// Messages are ordinary ones, routed like those of clients, with QoS 0 (presence: as configured). They pass no hook, no ACL and no quota on their way in and are not
// counted as traffic. Who may subscribe is decided by the ACL. Nothing here is the only copy of anything: a message that finds the queue
// towards the routers full is dropped and counted.
//
// # Presence
//
// A node publishes the events of one client id in order: a connection that a newer one took over is told as disconnected ("conflict") before the newer one
// is told as connected, and not again. connected and disconnected are two topics, so a subscriber may get them the other way round; ts tells.
//
// # Alarms
//
// Producers publish bus.AlarmRaised and bus.AlarmCleared; the registry here takes those of this node, at most 1,000 at once, and each once until it is cleared. Alarms of
// processes that are no node (router, session-store, authsvc) are told by one node: the one whose name comes first.
//
// # System monitor
//
// What EMQ 2 tells about its virtual machine is told about this process: long_gc (a pause of the collector), long_schedule (a goroutine waited for a processor),
// large_heap (near limits.memory), busy_port (a client that reads slowly) and busy_dist_port (another service that does). Each is logged too, and told once in a
// minute, about at most a hundred clients or services; what is left out is counted.
package sys
