package packet

import "encoding/binary"

// reader takes fields from the body of a packet. The first error sticks: every
// later read gives a zero value, so a decoder may read several fields and
// look at err once. Slices it returns alias b and have no spare capacity.
type reader struct {
	b    []byte
	off  int
	text string // copy of b, made by the first call of text16shared
	err  *Error
}

// fail keeps the first error.
func (r *reader) fail(e *Error) {
	if r.err == nil {
		r.err = e
	}
}

// left is the number of bytes that can still be read.
func (r *reader) left() int {
	if r.err != nil {
		return 0
	}
	return len(r.b) - r.off
}

// end refuses bytes after the last field, and returns the error of the reader.
func (r *reader) end() error {
	if r.left() > 0 {
		r.fail(malformed("bytes after the end of the packet"))
	}
	if r.err != nil {
		return r.err
	}
	return nil
}

// take is the next n bytes.
func (r *reader) take(n int) []byte {
	if r.err != nil {
		return nil
	}
	if n > len(r.b)-r.off {
		r.fail(malformed("packet ends inside a field"))
		return nil
	}
	s := r.b[r.off : r.off+n : r.off+n]
	r.off += n
	return s
}

func (r *reader) u8() byte {
	if s := r.take(1); s != nil {
		return s[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if s := r.take(2); s != nil {
		return binary.BigEndian.Uint16(s)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if s := r.take(4); s != nil {
		return binary.BigEndian.Uint32(s)
	}
	return 0
}

// varint is a variable byte integer (MQTT 5.0 §1.5.5).
func (r *reader) varint() int {
	if r.err != nil {
		return 0
	}
	n, k, e := readVarint(r.b[r.off:])
	switch {
	case e != nil:
		r.fail(e)
	case k == 0:
		r.fail(malformed("packet ends inside a field"))
	}
	r.off += k
	return n
}

// bytes16 is binary data (§1.5.6).
func (r *reader) bytes16() []byte { return r.take(int(r.u16())) }

// text16 is a UTF-8 encoded string (§1.5.4), as an alias.
func (r *reader) text16() []byte {
	s := r.bytes16()
	if !validText(s) {
		r.fail(malformed("invalid utf-8 string"))
		return nil
	}
	return s
}

// string16 is a UTF-8 encoded string, as a copy.
func (r *reader) string16() string { return string(r.text16()) }

// text16shared is a UTF-8 encoded string within one copy of the whole input,
// so that a block of hundreds of strings costs one allocation.
func (r *reader) text16shared() string {
	s := r.text16()
	if len(s) == 0 {
		return ""
	}
	if r.text == "" {
		r.text = string(r.b)
	}
	return r.text[r.off-len(s) : r.off]
}

// id is a packet identifier, which is never zero (§2.2.1).
func (r *reader) id() uint16 {
	id := r.u16()
	if id == 0 {
		r.fail(protocolError("packet identifier 0"))
	}
	return id
}

// readVarint decodes a variable byte integer of at most four bytes at the
// beginning of b and returns its length k, which is zero while b is too short.
//
//	+---+---------+   +---+---------+
//	| 1 | 7 bits  |   | 0 | 7 bits  |   least significant group first
//	+---+---------+   +---+---------+
func readVarint(b []byte) (n, k int, e *Error) {
	for i := range min(len(b), 4) {
		c := b[i]
		n |= int(c&0x7f) << (7 * i)
		if c&0x80 != 0 {
			continue
		}
		if c == 0 && i > 0 {
			return 0, 0, malformed("variable byte integer not in its shortest form")
		}
		return n, i + 1, nil
	}
	if len(b) >= 4 {
		return 0, 0, malformed("variable byte integer of more than four bytes")
	}
	return 0, 0, nil
}
