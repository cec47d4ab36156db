package diff

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// answer is one packet of a server, or the end of its connection, as far as servers have to agree on it.
type answer struct {
	kind  string // name of the packet; "END"
	topic string // of a PUBLISH
	body  string // its payload
	text  string // everything that is compared, kind included
	id    uint16 // of what is to be answered
	qos   byte
	code  byte // of CONNACK
}

// ended is the answer that is none.
func ended() answer { return answer{kind: "END", text: "END"} }

// order sorts answers whose order is the server's choice; those of equal order keep theirs.
func (a *answer) order() string {
	switch a.kind {
	case "PUBLISH":
		return fmt.Sprintf("2 %s %d", a.topic, a.qos)
	case "PUBREL":
		return "3"
	case "DISCONNECT":
		return "8"
	case "END":
		return "9"
	}
	return "1 " + a.text
}

// decoder reads the packets of a server.
type decoder struct {
	in      *bufio.Reader
	version byte
	aliases map[uint16]string
}

var errBroken = errors.New("the server's packet is broken")

// fields reads the body of a packet.
type fields struct {
	b   []byte
	err error
}

func (f *fields) take(n int) []byte {
	if n > len(f.b) || f.err != nil {
		f.err = errBroken
		return make([]byte, n)
	}
	s := f.b[:n]
	f.b = f.b[n:]
	return s
}

func (f *fields) u8() byte     { return f.take(1)[0] }
func (f *fields) u16() uint16  { return binary.BigEndian.Uint16(f.take(2)) }
func (f *fields) text() string { return string(f.take(int(f.u16()))) }

func (f *fields) varint() int {
	n, used := binary.Uvarint(f.b)
	if used <= 0 || used > 4 {
		f.err = errBroken
		return 0
	}
	f.b = f.b[used:]
	return int(n)
}

// next is the next packet.
func (d *decoder) next() (answer, error) {
	first, err := d.in.ReadByte()
	if err != nil {
		return answer{}, err
	}
	n, err := binary.ReadUvarint(d.in)
	if err != nil || n > 1<<28 {
		return answer{}, errors.Join(errBroken, err)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(d.in, body); err != nil {
		return answer{}, err
	}
	f := &fields{b: body}
	a := d.decode(first, f)
	if f.err == nil && len(f.b) > 0 {
		f.err = errBroken
	}
	if f.err != nil {
		return answer{kind: "BROKEN", text: fmt.Sprintf("BROKEN %02x %x", first, body)}, nil
	}
	a.text = strings.TrimRight(a.text, " ")
	return a, nil
}

func (d *decoder) decode(first byte, f *fields) answer {
	switch first >> 4 {
	case 2:
		a := answer{kind: "CONNACK"}
		present := f.u8()
		a.code = f.u8()
		props := ""
		if len(f.b) > 0 { // a refusal may be one of another version than the client's
			props = d.readProps(f, describe)
		}
		a.text = fmt.Sprintf("CONNACK %02x present=%d %s", a.code, present, props)
		return a
	case 3:
		return d.publish(first, f)
	case 4, 5, 7:
		kind := map[byte]string{4: "PUBACK", 5: "PUBREC", 7: "PUBCOMP"}[first>>4]
		a := answer{kind: kind, id: f.u16()}
		var rest string
		a.code, rest = d.reason(f)
		a.text = fmt.Sprintf("%s %d %s", kind, a.id, rest)
		return a
	case 6:
		a := answer{kind: "PUBREL", id: f.u16()}
		a.code, a.text = d.reason(f)
		a.text = "PUBREL " + a.text
		return a
	case 9, 11:
		kind := map[byte]string{9: "SUBACK", 11: "UNSUBACK"}[first>>4]
		id, props := f.u16(), d.props(f)
		return answer{kind: kind, text: fmt.Sprintf("%s %d %s%x", kind, id, props, f.take(len(f.b)))}
	case 13:
		return answer{kind: "PINGRESP", text: "PINGRESP"}
	case 14:
		_, rest := d.reason(f)
		return answer{kind: "DISCONNECT", text: "DISCONNECT " + rest}
	case 15:
		_, rest := d.reason(f)
		return answer{kind: "AUTH", text: "AUTH " + rest}
	}
	f.err = errBroken
	return answer{}
}

// publish gives a PUBLISH its topic if it has an alias.
func (d *decoder) publish(first byte, f *fields) answer {
	a := answer{kind: "PUBLISH", topic: f.text(), qos: first >> 1 & 3}
	if a.qos > 0 {
		a.id = f.u16()
	}
	var alias uint16
	props := ""
	say := func(id byte, value string) string {
		if id == 0x23 && len(value) == 2 {
			alias = binary.BigEndian.Uint16([]byte(value))
			return ""
		}
		return describe(id, value)
	}
	if d.version >= v5 {
		props = d.readProps(f, say)
	}
	switch {
	case alias != 0 && a.topic != "":
		d.aliases[alias] = a.topic
	case alias != 0:
		a.topic = d.aliases[alias]
	}
	a.body = string(f.take(len(f.b)))
	a.text = fmt.Sprintf("PUBLISH %q qos=%d retain=%d dup=%d %q %s", a.topic, a.qos, first&1, first>>3&1, a.body, props)
	return a
}

// reason is the reason code of a packet that may leave it out, and the properties.
func (d *decoder) reason(f *fields) (code byte, text string) {
	if len(f.b) > 0 {
		code = f.u8()
	}
	props := ""
	if len(f.b) > 0 {
		props = d.props(f)
	}
	return code, fmt.Sprintf("%02x %s", code, props)
}

// props is the property block of a packet that has one in 5.0.
func (d *decoder) props(f *fields) string {
	if d.version < v5 {
		return ""
	}
	return d.readProps(f, describe)
}

// readProps reads a property block and says what is in it.
func (d *decoder) readProps(f *fields, say func(id byte, value string) string) string {
	b := &fields{b: f.take(f.varint())}
	var out []string
	for len(b.b) > 0 && b.err == nil && f.err == nil {
		id := b.u8()
		if s := say(id, value(id, b)); s != "" {
			out = append(out, s)
		}
	}
	f.err = errors.Join(f.err, b.err)
	if len(out) == 0 {
		return ""
	}
	slices.SortStableFunc(out, func(x, y string) int { return strings.Compare(x[:4], y[:4]) })
	return "{" + strings.Join(out, ",") + "}"
}

// value is the value of a property as it came, without lengths (MQTT 5.0 table 2-4).
func value(id byte, f *fields) string {
	switch id {
	case 0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2a:
		return string(f.take(1))
	case 0x13, 0x21, 0x22, 0x23:
		return string(f.take(2))
	case 0x02, 0x11, 0x18, 0x27:
		return string(f.take(4))
	case 0x03, 0x08, 0x09, 0x12, 0x15, 0x16, 0x1a, 0x1c, 0x1f:
		return f.text()
	case 0x0b:
		return fmt.Sprint(f.varint())
	case 0x26:
		return f.text() + "=" + f.text()
	}
	f.err = errBroken
	return ""
}

// describe names a property; one that says nothing that could be compared is left out.
func describe(id byte, value string) string {
	switch id {
	case 0x1f: // reason string: for people
		return ""
	case 0x12: // assigned client identifier
		value = "*"
	case 0x02: // message expiry interval: what is left of it, to the next ten seconds
		if len(value) < 4 {
			return "0x02"
		}
		n := binary.BigEndian.Uint32([]byte(value))
		return fmt.Sprintf("0x02=%d", (n+9)/10*10)
	}
	if len(value) <= 4 && id != 0x26 && id != 0x0b && id != 0x12 {
		return fmt.Sprintf("0x%02x=%x", id, value)
	}
	return fmt.Sprintf("0x%02x=%q", id, value)
}
