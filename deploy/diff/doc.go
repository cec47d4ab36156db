// Package diff drives the same packets into Pando and into mosquitto and compares what comes back, packet by packet.
//
//	seed ─► generator ─► sequence of steps ─┬─► mosquitto ─► answers ─┐
//	                                        └─► pando     ─► answers ─┴─► compare ─► table of intended differences
//
// A sequence is a few connections (one of them, the observer, subscribes to everything the sequence publishes) and some steps: a connection is made, a
// packet is written, a socket is closed. After each step mosquitto, which has one thread, is asked with PINGREQ until it has nothing more to say; then
// Pando has to say the same, connection by connection. Nothing waits for silence.
//
// Answers are normalised as far as the specifications leave the choice to the server: packet identifiers of the server, topic aliases (which are
// resolved), the order between topics, reason strings, assigned client ids, the member of a shared subscription. Everything else is compared. What
// differs has to be in the table, which names the exact packets and says why; then the sequence ends there if its state may differ from then on. What is
// not in the table is tried twice more, slowly, and reported if it comes again.
//
// The encoding of packets here is its own: a mistake of the gateway's codec cannot hide behind itself.
package diff
