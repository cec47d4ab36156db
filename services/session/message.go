package session

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/pando-mq/pando/services/broker"
)

// ErrCorrupt is wrapped by what the decoders of this package return for input that they did not write.
var ErrCorrupt = errors.New("corrupt session data")

// messageVersion is the first byte of an encoded message.
const messageVersion = 1

// Bits of the second byte; the two lowest are the QoS.
const (
	messageRetain  = 1 << 2
	messageExpires = 1 << 3
	messageProps   = 1 << 4
	messageUTF8    = 1 << 5
	messageBits    = 3 | messageRetain | messageExpires | messageProps | messageUTF8
)

// AppendMessage appends a message for logs and snapshots. Numbers are varints, times signed Unix milliseconds, n(x) the length of x as a varint before it:
//
//	version 1 | bits 1 | id 16 | published | [expires] | n(texts) texts | [n(correlation)] n(payload) [correlation] payload
//	texts:  n(tenant) n(topic) n(from) n(user name) n(node) [n(content type) n(response topic) count {n(key) n(value)}]
//
// What is in brackets is there if its bit is set: expires, props (for all three).
func AppendMessage(dst []byte, m *broker.Message) []byte {
	bits := byte(m.QoS & 3)
	if m.Retain {
		bits |= messageRetain
	}
	if !m.Expires.IsZero() {
		bits |= messageExpires
	}
	if m.Props != nil {
		bits |= messageProps
		if m.Props.PayloadUTF8 {
			bits |= messageUTF8
		}
	}
	dst = append(dst, messageVersion, bits)
	dst = append(dst, m.ID[:]...)
	dst = binary.AppendVarint(dst, m.Published.UnixMilli())
	if bits&messageExpires != 0 {
		dst = binary.AppendVarint(dst, m.Expires.UnixMilli())
	}
	dst = binary.AppendUvarint(dst, uint64(textsSize(m)))
	dst = appendTexts(dst, m)
	if m.Props != nil {
		dst = binary.AppendUvarint(dst, uint64(len(m.Props.CorrelationData)))
	}
	dst = binary.AppendUvarint(dst, uint64(len(m.Payload)))
	if m.Props != nil {
		dst = append(dst, m.Props.CorrelationData...)
	}
	return append(dst, m.Payload...)
}

func appendTexts(dst []byte, m *broker.Message) []byte {
	for _, s := range [...]string{m.Tenant, m.Topic, m.From, m.Username, m.Node} {
		dst = appendText(dst, s)
	}
	if p := m.Props; p != nil {
		dst = appendText(appendText(dst, p.ContentType), p.ResponseTopic)
		dst = binary.AppendUvarint(dst, uint64(len(p.User)))
		for _, u := range p.User {
			dst = appendText(appendText(dst, u.Key), u.Value)
		}
	}
	return dst
}

func textsSize(m *broker.Message) int {
	n := textSize(m.Tenant) + textSize(m.Topic) + textSize(m.From) + textSize(m.Username) + textSize(m.Node)
	if p := m.Props; p != nil {
		n += textSize(p.ContentType) + textSize(p.ResponseTopic) + uvarintSize(uint64(len(p.User)))
		for _, u := range p.User {
			n += textSize(u.Key) + textSize(u.Value)
		}
	}
	return n
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func textSize(s string) int { return uvarintSize(uint64(len(s))) + len(s) }

func uvarintSize(v uint64) int {
	n := 1
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}

// DecodeMessage reads what AppendMessage wrote from the front of b, and returns what follows it. The message does not alias b. Errors wrap [ErrCorrupt];
// input of any kind gives an error or a message, never a panic, and memory in proportion to the input.
func DecodeMessage(b []byte) (*broker.Message, []byte, error) {
	r := reader{b: b}
	if v := r.byte(); v != messageVersion && r.err == nil {
		return nil, nil, fmt.Errorf("%w: message version %d", ErrCorrupt, v)
	}
	bits := r.byte()
	if bits&^messageBits != 0 || bits&3 == 3 || bits&messageUTF8 != 0 && bits&messageProps == 0 {
		r.fail()
	}
	m := &broker.Message{QoS: broker.QoS(bits & 3), Retain: bits&messageRetain != 0}
	copy(m.ID[:], r.take(len(m.ID)))
	m.Published = time.UnixMilli(r.varint())
	if bits&messageExpires != 0 {
		if m.Expires = time.UnixMilli(r.varint()); m.Expires.IsZero() {
			r.fail()
		}
	}
	if bits&messageProps != 0 {
		m.Props = &broker.Properties{PayloadUTF8: bits&messageUTF8 != 0}
	}
	r.texts(m)
	correlation := 0
	if m.Props != nil {
		correlation = r.length()
	}
	payload := r.length()
	body := r.take(correlation + payload)
	if r.err != nil {
		return nil, nil, r.err
	}
	body = append([]byte(nil), body...)
	if correlation > 0 {
		m.Props.CorrelationData = body[:correlation:correlation]
	}
	if payload > 0 {
		m.Payload = body[correlation:]
	}
	return m, r.b, nil
}

// texts reads the text block: one string is made of all of it, and cut.
func (r *reader) texts(m *broker.Message) {
	t := textReader{s: string(r.take(r.length()))}
	for _, f := range [...]*string{&m.Tenant, &m.Topic, &m.From, &m.Username, &m.Node} {
		*f = t.text()
	}
	if p := m.Props; p != nil {
		p.ContentType, p.ResponseTopic = t.text(), t.text()
		n := t.uvarint()
		if n > uint64(len(t.s))/2 {
			t.bad = true
		}
		if n > 0 && !t.bad {
			p.User = make([]broker.UserProperty, n)
			for i := range p.User {
				p.User[i].Key, p.User[i].Value = t.text(), t.text()
			}
		}
	}
	if t.bad || t.s != "" {
		r.fail()
	}
}

// textReader cuts length-prefixed texts off a string.
type textReader struct {
	s   string
	bad bool
}

func (t *textReader) uvarint() (v uint64) {
	for i := 0; i < len(t.s) && i < binary.MaxVarintLen64; i++ {
		c := t.s[i]
		v |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			t.s = t.s[i+1:]
			return v
		}
	}
	t.bad, t.s = true, ""
	return 0
}

func (t *textReader) text() string {
	n := t.uvarint()
	if t.bad || n > uint64(len(t.s)) {
		t.bad, t.s = true, ""
		return ""
	}
	s := t.s[:n]
	t.s = t.s[n:]
	return s
}

// reader cuts values off the front of a slice; after the first error all of them are zero.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail() {
	if r.err == nil {
		r.err = ErrCorrupt
	}
	r.b = nil
}

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.fail()
		return nil
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) byte() byte {
	if v := r.take(1); v != nil {
		return v[0]
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

// length reads a length or a count of things that take at least one byte each: it is never above what is left.
func (r *reader) length() int {
	v := r.uvarint()
	if v > uint64(len(r.b)) {
		r.fail()
		return 0
	}
	return int(v)
}

// text reads a text of its own.
func (r *reader) text() string { return string(r.take(r.length())) }
