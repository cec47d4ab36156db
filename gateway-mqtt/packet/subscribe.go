package packet

import (
	"encoding/binary"
	"strings"
)

// Subscribe asks for subscriptions (MQTT 5.0 §3.8).
//
//	+---------------------------+
//	| packet identifier         |  2 bytes
//	| v5: properties            |
//	| topic filter              |  2 + n bytes     \ once or
//	| subscription options      |  1 byte          / more
//	+---------------------------+
//
//	  7   6   5   4   3   2   1   0
//	+---+---+-------+---+---+-------+
//	| 0   0 | RH    |RAP| NL| QoS   |   below v5 bits 7 to 2 are 0
//	+---+---+-------+---+---+-------+
type Subscribe struct {
	ID            uint16
	Properties    Properties // 5.0
	Subscriptions []Subscription
}

// Subscription is one filter of a Subscribe with its options. The grammar of
// filters is not checked here.
type Subscription struct {
	Filter            string // not empty
	QoS               byte   // 0, 1, 2
	NoLocal           bool   // 5.0; not with $share
	RetainAsPublished bool   // 5.0
	RetainHandling    byte   // 5.0: 0 send retained, 1 if new, 2 never
}

// Bits of the subscription options (§3.8.3.1).
const (
	optQoS      = 0x03
	optNoLocal  = 0x04
	optRetainAs = 0x08
	optReserved = 0xc0

	optRetainShift = 4
)

// sharePrefix begins the filters of shared subscriptions (§4.8.2).
const sharePrefix = "$share/"

// PacketType is TypeSubscribe.
func (s *Subscribe) PacketType() Type { return TypeSubscribe }

func decodeSubscribe(r *reader, v Version, lim *Limits) (*Subscribe, error) {
	s := &Subscribe{ID: r.id()}
	if v >= V5 {
		s.Properties.decode(r, TypeSubscribe, lim)
	}
	for r.left() > 0 {
		if len(s.Subscriptions) >= lim.filters() {
			r.fail(tooManyFilters())
			break
		}
		s.Subscriptions = append(s.Subscriptions, decodeSubscription(r, v))
	}
	if len(s.Subscriptions) == 0 {
		r.fail(protocolError("no topic filter")) // MQTT-3.8.3-2
	}
	return s, r.end()
}

func decodeSubscription(r *reader, v Version) Subscription {
	s := Subscription{Filter: r.filter()}
	o := r.u8()
	if v < V5 && o&^optQoS != 0 || o&optReserved != 0 {
		r.fail(malformed("reserved subscription options")) // MQTT-3.8.3-5
	}
	s.QoS = o & optQoS
	s.NoLocal = o&optNoLocal != 0
	s.RetainAsPublished = o&optRetainAs != 0
	s.RetainHandling = o >> optRetainShift & 3
	if r.err == nil {
		if e := s.check(); e != nil {
			r.fail(e)
		}
	}
	return s
}

// filter is a topic filter: text of at least one character (MQTT-4.7.3-1).
func (r *reader) filter() string {
	s := r.text16()
	if len(s) == 0 {
		r.fail(malformed("empty topic filter"))
	}
	return string(s)
}

func tooManyFilters() *Error {
	return &Error{Reason: QuotaExceeded, Kind: "too many topic filters"}
}

// check refuses values that the option bits can say and the specification
// excludes.
func (s *Subscription) check() *Error {
	switch {
	case s.QoS > 2:
		return protocolError("QoS 3") // §3.8.3.1
	case s.RetainHandling > 2:
		return protocolError("retain handling 3") // §3.8.3.1
	case s.NoLocal && strings.HasPrefix(s.Filter, sharePrefix):
		return protocolError("no local on a shared subscription") // MQTT-3.8.3-4
	}
	return nil
}

func (s *Subscription) options(v Version) byte {
	if v < V5 {
		return s.QoS
	}
	return s.QoS | flag(s.NoLocal, optNoLocal) | flag(s.RetainAsPublished, optRetainAs) |
		s.RetainHandling<<optRetainShift
}

func (s *Subscribe) remaining(b block) int {
	n := 2 + b.len()
	for i := range s.Subscriptions {
		n += 3 + len(s.Subscriptions[i].Filter)
	}
	return n
}

// Size is the length of the packet.
func (s *Subscribe) Size(v Version) int {
	return frameSize(s.remaining(s.Properties.measure(v, TypeSubscribe)))
}

// AppendTo appends the packet. Options that only 5.0 has are left out below.
func (s *Subscribe) AppendTo(dst []byte, v Version) ([]byte, error) {
	b := s.Properties.measure(v, TypeSubscribe)
	out, err := seal(dst, TypeSubscribe, s.remaining(b), s.verify(b))
	if err != nil {
		return dst, err
	}
	out = binary.BigEndian.AppendUint16(out, s.ID)
	out = s.Properties.append(out, b)
	for i := range s.Subscriptions {
		out = appendField(out, s.Subscriptions[i].Filter)
		out = append(out, s.Subscriptions[i].options(v))
	}
	return out, nil
}

func (s *Subscribe) verify(b block) *Error {
	if e := checkID(s.ID); e != nil {
		return e
	}
	if len(s.Subscriptions) == 0 {
		return protocolError("no topic filter")
	}
	for i := range s.Subscriptions {
		if e := checkFilter(s.Subscriptions[i].Filter); e != nil {
			return e
		}
		if e := s.Subscriptions[i].check(); e != nil {
			return e
		}
	}
	return s.Properties.verify(b, TypeSubscribe)
}

func checkFilter(f string) *Error {
	if f == "" {
		return malformed("empty topic filter")
	}
	return checkField(f)
}
