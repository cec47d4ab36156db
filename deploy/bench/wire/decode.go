package wire

import (
	"encoding/binary"
	"errors"
)

// Packet is what arrived. Slices alias the input of Decode.
type Packet struct {
	Type    byte
	QoS     byte
	Dup     bool
	Retain  bool
	Present bool   // CONNACK: the session was there
	Code    byte   // CONNACK, acknowledgements, DISCONNECT: reason or return code
	ID      uint16 // where the type has one
	Topic   []byte // PUBLISH
	Payload []byte // PUBLISH
	Codes   []byte // SUBACK, UNSUBACK
	Credit  uint16 // CONNACK of MQTT 5.0: receive maximum; 65,535 if it says none
}

var (
	errLength  = errors.New("remaining length of more than four bytes")
	errShort   = errors.New("packet ends too early")
	errUnknown = errors.New("packet of a type that no server sends")
)

// Decode reads the first packet of b into p and returns its length; 0 means that b holds only a part of it.
func Decode(b []byte, version byte, p *Packet) (int, error) {
	rest, n, err := varint(b, 1)
	if n == 0 || err != nil || len(b) < n+rest {
		return 0, err
	}
	r := reader{b: b[n : n+rest]}
	*p = Packet{Type: b[0] >> 4}
	switch p.Type {
	case Publish:
		p.publish(b[0], version, &r)
	case Connack:
		p.connack(version, &r)
	case Puback, Pubrec, Pubrel, Pubcomp:
		p.ID = r.uint16()
		if r.left() > 0 {
			p.Code = r.byte()
		}
	case Suback, Unsuback:
		p.ID = r.uint16()
		if version == V5 {
			r.properties()
		}
		p.Codes = r.b
	case Disconnect:
		if r.left() > 0 {
			p.Code = r.byte()
		}
	case Pingresp, Auth:
	default:
		return 0, errUnknown
	}
	if r.short {
		return 0, errShort
	}
	return n + rest, nil
}

func (p *Packet) publish(first, version byte, r *reader) {
	p.QoS, p.Dup, p.Retain = first>>1&3, first&8 != 0, first&1 != 0
	p.Topic = r.take(int(r.uint16()))
	if p.QoS > 0 {
		p.ID = r.uint16()
	}
	if version == V5 {
		r.properties()
	}
	p.Payload = r.b
}

func (p *Packet) connack(version byte, r *reader) {
	p.Present, p.Code, p.Credit = r.byte()&1 != 0, r.byte(), 65535
	if version != V5 || r.left() == 0 {
		return
	}
	props := reader{b: r.properties()}
	for props.left() > 0 && !props.short {
		switch props.byte() {
		case 0x21: // receive maximum
			p.Credit = props.uint16()
		case 0x11, 0x27: // session expiry interval, maximum packet size
			props.take(4)
		case 0x22, 0x13: // topic alias maximum, server keep alive
			props.take(2)
		case 0x24, 0x25, 0x28, 0x29, 0x2A: // maximum QoS; what is available
			props.take(1)
		case 0x12, 0x15, 0x16, 0x1A, 0x1C, 0x1F: // strings
			props.take(int(props.uint16()))
		case 0x26: // user property
			props.take(int(props.uint16()))
			props.take(int(props.uint16()))
		default:
			r.short = true
			return
		}
	}
	r.short = r.short || props.short
}

// varint reads a variable byte integer at an offset and returns the offset behind it, 0 if it is not complete.
func varint(b []byte, at int) (value, next int, err error) {
	for i := range 4 {
		if at+i >= len(b) {
			return 0, 0, nil
		}
		value |= int(b[at+i]&0x7F) << (7 * i)
		if b[at+i] < 0x80 {
			return value, at + i + 1, nil
		}
	}
	return 0, 0, errLength
}

// reader takes fields off the front; short says that there was too little.
type reader struct {
	b     []byte
	short bool
}

func (r *reader) left() int { return len(r.b) }

func (r *reader) take(n int) []byte {
	if n > len(r.b) {
		r.short, n = true, len(r.b)
	}
	head := r.b[:n]
	r.b = r.b[n:]
	return head
}

func (r *reader) byte() byte {
	if b := r.take(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

func (r *reader) uint16() uint16 {
	if b := r.take(2); len(b) == 2 {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *reader) properties() []byte {
	n, next, err := varint(r.b, 0)
	if err != nil || next == 0 {
		r.short = true
		return nil
	}
	r.b = r.b[next:]
	return r.take(n)
}
