// Package ws is the server side of RFC 6455 as pure functions on bytes: the
// opening handshake and the framing. It knows no socket, starts no goroutine
// and keeps no buffer, so a blocking reader and an event loop use it alike.
//
// It serves protocols whose packets are a byte stream inside binary messages
// (MQTT, STOMP): the decoder returns payload bytes and forgets where a frame or
// a message began. Text frames, extensions and unmasked frames are refused.
package ws
