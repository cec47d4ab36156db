// Package load holds many MQTT connections at a small price, publishes over them and keeps the books of what arrives.
//
// One goroutine drives all connections with epoll: it reads as much as there is into one buffer, decodes in place, appends what it answers to the
// connection's output and writes that once per round. Nothing is allocated per message. Connecting, TLS and WebSocket handshakes are done by a few
// goroutines with blocking calls, which hand the socket over. A generator must be much cheaper than what it measures, because here it runs on the same
// processors; so it also measures itself.
//
// A Fleet is used by one goroutine: New, Connect, Run (any number of times), Close.
//
// Windows. A publisher with a window sends when fewer than Window of its messages are under way. Under way is what is not acknowledged (QoS 1, 2) and, unless
// Publish.AckOnly, what did not reach all its receivers. Messages that are lost would close such a window for ever: when nothing has arrived for a second it
// is opened again and a stall is counted.
//
// Open loop. With a rate the messages go out when their time has come, however long the answers take; how late the generator itself was is counted apart.
package load
