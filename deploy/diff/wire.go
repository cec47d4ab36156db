package diff

import "encoding/binary"

// Versions of the protocol as CONNECT names them.
const (
	v31  = 3
	v311 = 4
	v5   = 5
)

// First bytes of packets with their flags.
const (
	firstConnect     = 0x10
	firstPublish     = 0x30
	firstPuback      = 0x40
	firstPubrec      = 0x50
	firstPubrel      = 0x62
	firstPubcomp     = 0x70
	firstSubscribe   = 0x82
	firstUnsubscribe = 0xa2
	firstPingreq     = 0xc0
	firstDisconnect  = 0xe0
)

// join is the parts behind one another.
func join(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// frame is a packet: the first byte, the remaining length, and the rest.
func frame(first byte, parts ...[]byte) []byte {
	body := join(parts...)
	return append(binary.AppendUvarint([]byte{first}, uint64(len(body))), body...)
}

// u16 and u32 are integers.
func u16(n uint16) []byte { return binary.BigEndian.AppendUint16(nil, n) }
func u32(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// text is a string with its length before it.
func text(s string) []byte { return append(u16(uint16(len(s))), s...) }

// prop is one property.
func prop(id byte, value ...[]byte) []byte { return append([]byte{id}, join(value...)...) }

// block is a property block for a version; empty below 5.0.
func block(version byte, props ...[]byte) []byte {
	if version&0x7f < v5 {
		return nil
	}
	b := join(props...)
	return append(binary.AppendUvarint(nil, uint64(len(b))), b...)
}

// will is the will of a CONNECT.
type will struct {
	topic, payload string
	qos            byte
	retain         bool
	props          [][]byte
}

// connect is a CONNECT.
type connect struct {
	version byte // with the bridge bit, if it is one
	id      string
	clean   bool
	keep    uint16
	will    *will
	props   [][]byte
}

func (c *connect) bytes() []byte {
	name, flags := "MQTT", byte(0)
	if c.version&0x7f == v31 {
		name = "MQIsdp"
	}
	if c.clean {
		flags |= 0x02
	}
	var w []byte
	if c.will != nil {
		flags |= 0x04 | c.will.qos<<3
		if c.will.retain {
			flags |= 0x20
		}
		w = join(block(c.version, c.will.props...), text(c.will.topic), text(c.will.payload))
	}
	return frame(firstConnect, text(name), []byte{c.version, flags}, u16(c.keep), block(c.version, c.props...), text(c.id), w)
}

// publish is a PUBLISH.
type publish struct {
	topic, payload string
	qos            byte
	retain, dup    bool
	id             uint16
	props          [][]byte
}

func (p *publish) bytes(version byte) []byte {
	first := byte(firstPublish) | p.qos<<1
	if p.retain {
		first |= 0x01
	}
	if p.dup {
		first |= 0x08
	}
	var id []byte
	if p.qos > 0 {
		id = u16(p.id)
	}
	return frame(first, text(p.topic), id, block(version, p.props...), []byte(p.payload))
}

// ack is one of the four acknowledgements, with Success.
func ack(first byte, id uint16) []byte { return frame(first, u16(id)) }

// filter is one entry of a SUBSCRIBE.
type filter struct {
	text    string
	options byte
}

func subscribe(version byte, id uint16, props [][]byte, filters ...filter) []byte {
	parts := [][]byte{u16(id), block(version, props...)}
	for _, f := range filters {
		parts = append(parts, text(f.text), []byte{f.options})
	}
	return frame(firstSubscribe, parts...)
}

func unsubscribe(version byte, id uint16, filters ...string) []byte {
	parts := [][]byte{u16(id), block(version)}
	for _, f := range filters {
		parts = append(parts, text(f))
	}
	return frame(firstUnsubscribe, parts...)
}
