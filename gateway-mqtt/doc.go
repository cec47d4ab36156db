// Package gatewaymqtt is the MQTT gateway: it speaks MQTT 3.1, 3.1.1 and 5.0 over TCP, TLS and WebSocket with devices, and services/edge with the
// suite. It translates; sessions, routing and policy are elsewhere.
//
// # One connection
//
//	socket ── transport.Conn ──bytes──► conn ──packet──► edge.Conn ──► the suite
//	                         ◄──bytes──      ◄─delivery─
//
// A conn is the handler of one transport connection and the edge.Device of one edge.Conn. All of it runs on the connection's executor (see package
// transport), so it has no lock. Its states are
//
//	fresh ──CONNECT──► connecting ──CONNACK 0──► open ──► closing
//	  └──────────────────────┴────refusal───────────────────┘
//
// In connecting nothing is read: what a client sends behind its CONNECT waits in the transport, at most read_limit bytes (64 KiB), and in order. In
// closing nothing is read nor written any more; what was written before still leaves.
//
// # What it promises
//
//   - Every packet that is refused is counted. With MQTT 5.0 the client gets a reason code (CONNACK or DISCONNECT) before the socket closes; with 3.1
//     and 3.1.1 a return code if CONNECT is refused, otherwise just the end.
//   - PUBACK and PUBREC leave in the order of their PUBLISHes (MQTT-4.6.0-2, MQTT-4.6.0-3), when the suite has acknowledged, never before.
//   - Nothing a client sends makes the gateway allocate more than the packet's own size, bounded by max_packet_size, before CONNACK by 64 KiB.
//   - A client that does not read is not read from either; its output is bounded by max_pending.
//
// reason.go is the one place where errors of the suite become codes of MQTT, config.go the one where keys are explained.
package gatewaymqtt
