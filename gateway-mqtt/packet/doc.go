// Package packet is the MQTT codec of the gateway: it turns bytes into
// control packets and back, for MQTT 3.1, 3.1.1 and 5.0, for servers and for
// clients. It does no I/O, reads no clock and starts no goroutine.
//
// # Decoding
//
// Decoding has two steps, so that an event loop can decide on a packet
// before it buffers it:
//
//	h, n, err := packet.ReadHeader(buf) // n == 0: more bytes are needed
//	err = h.Check(version, limits)      // size, and what the version forbids
//	p, err := packet.Decode(h, buf[n:n+h.Remaining], version, limits)
//
// [DecodePublish] and [DecodeAck] are the same for the frequent packets, into
// a struct of the caller, without allocation.
//
// One rule says what outlives the input buffer: every string (and every slice
// of strings or numbers) of a decoded packet is a copy, every []byte aliases
// the input. Topic and payload of a PUBLISH, correlation data, authentication
// data, password and will payload are therefore valid only until the buffer is
// used again; clone what is kept.
//
// A decoder returns a packet only if it is well-formed by the rules that need
// no connection state; any other input gives an [*Error] with the reason code
// of MQTT 5.0 that fits. What needs state (a second CONNECT, an alias above
// the announced maximum, a subscription identifier sent by a client) and the
// grammar of topic filters are checked by the caller.
//
// # Encoding
//
// Encoders append to a slice and return it. Size tells the length beforehand,
// [TrimTo] drops what the peer's maximum packet size has no room for, and
// [Frame] holds the part of a PUBLISH that all its receivers share. Encoders
// check the structure (lengths, ranges, empty lists, properties in the wrong
// packet) and leave the slice as it was when they return an error; they do not
// check again that text is valid UTF-8. For versions below 5.0, properties and
// the reason codes that these versions do not have are left out silently.
//
// # Wire format
//
// Every packet is (MQTT 5.0 §2.1):
//
//	  7   6   5   4   3   2   1   0
//	+---------------+---------------+
//	|  packet type  |     flags     |  byte 1
//	+---------------+---------------+
//	| remaining length, 1 to 4      |  7 bits per byte, least significant
//	| bytes                         |  first, bit 7 = another byte follows
//	+-------------------------------+
//	| variable header, payload      |  remaining length bytes
//	+-------------------------------+
//
// Integers are big endian; text and binary data carry a two-byte length
// (§1.5). The drawings at each packet show what follows the fixed header, with
// "v5:" before what only MQTT 5.0 has.
package packet
