package packet

import "encoding/binary"

// maxField is the longest string or binary data (MQTT 5.0 §1.5.4).
const maxField = 1<<16 - 1

// varintSize is the length of n as a variable byte integer.
func varintSize(n int) int {
	switch {
	case n < 1<<7:
		return 1
	case n < 1<<14:
		return 2
	case n < 1<<21:
		return 3
	}
	return 4
}

// frameSize is the length of a packet with this remaining length.
func frameSize(remaining int) int { return 1 + varintSize(remaining) + remaining }

// appendVarint appends a variable byte integer in its shortest form.
func appendVarint(dst []byte, n int) []byte {
	for n >= 0x80 {
		dst = append(dst, byte(n)|0x80)
		n >>= 7
	}
	return append(dst, byte(n))
}

// appendField appends a string or binary data with its two-byte length.
func appendField[T string | []byte](dst []byte, s T) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(s)))
	return append(dst, s...)
}

// appendHeader appends the fixed header.
func appendHeader(dst []byte, t Type, flags byte, remaining int) []byte {
	return appendVarint(append(dst, byte(t)<<4|flags), remaining)
}

// checkField refuses what two length bytes cannot count.
func checkField[T string | []byte](s T) *Error {
	if len(s) > maxField {
		return malformed("field longer than 65535 bytes")
	}
	return nil
}

// checkRemaining refuses what the fixed header cannot count.
func checkRemaining(n int) *Error {
	if n > MaxRemaining {
		return &Error{Reason: PacketTooLarge, Kind: "remaining length out of range"}
	}
	return nil
}

// flag is b where the bit is set.
func flag(set bool, b byte) byte {
	if set {
		return b
	}
	return 0
}
