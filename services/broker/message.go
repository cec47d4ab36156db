package broker

import (
	"encoding/binary"
	"encoding/hex"
	"sync/atomic"
	"time"
)

// DefaultTenant is the tenant of everything until tenants are configured. A tenant is part of every key.
const DefaultTenant = ""

// QoS is the quality of service of a publish or a subscription: 0, 1 or 2 (MQTT 5.0 §4.3).
type QoS uint8

// Message is one application message on its way through the suite. It is immutable once it was handed to any interface of this package:
// receivers may keep it and share it, nobody writes to it or to its Payload.
type Message struct {
	ID        MessageID
	Tenant    string
	Topic     string // the full topic, mount point included; never a wildcard, valid UTF-8, 1..65535 bytes
	Payload   []byte
	QoS       QoS         // as published
	Retain    bool        // the publisher's retain flag
	From      string      // client id of the publisher; "" for internal ones
	Username  string      // user name of the publisher, "" if it has none
	Node      string      // node name of the gateway it entered through (for $local and REST)
	Published time.Time   // when the gateway accepted it, millisecond precision is kept
	Expires   time.Time   // zero: never (MQTT 5.0 §3.3.2.3.3)
	Props     *Properties // nil when it has none
	Slab      bool        // its memory is that of other messages too: see [Slab]
}

// Size is what the message counts against byte-bounded queues: its variable parts plus a fixed share for the rest.
func (m *Message) Size() int {
	n := 160 + len(m.Topic) + len(m.Payload) + len(m.From) + len(m.Username)
	if p := m.Props; p != nil {
		n += 64 + len(p.ContentType) + len(p.ResponseTopic) + len(p.CorrelationData)
		for _, u := range p.User {
			n += 16 + len(u.Key) + len(u.Value)
		}
	}
	return n
}

// Expired reports whether the message must no longer be delivered at now.
func (m *Message) Expired(now time.Time) bool { return !m.Expires.IsZero() && !now.Before(m.Expires) }

// Properties are those properties of an MQTT 5.0 PUBLISH that travel end to end (§3.3.2.3).
type Properties struct {
	PayloadUTF8     bool // payload format indicator 1
	ContentType     string
	ResponseTopic   string
	CorrelationData []byte
	User            []UserProperty // order is kept
}

// UserProperty is one name-value pair.
type UserProperty struct{ Key, Value string }

// MessageID identifies a message in the cluster: 48 bits of Unix milliseconds, 40 bits of the issuing process's incarnation, 40 bits of a counter, big endian.
// Ids of one process sort in the order they were made.
type MessageID [16]byte

// String is the id as 32 hexadecimal digits.
func (id MessageID) String() string { return hex.EncodeToString(id[:]) }

// Time is when the id was made, in whole milliseconds.
func (id MessageID) Time() time.Time {
	var b [8]byte
	copy(b[2:], id[:6])
	return time.UnixMilli(int64(binary.BigEndian.Uint64(b[:])))
}

// IDs makes MessageIDs for one process incarnation. Safe for use by many goroutines.
type IDs struct {
	incarnation uint64
	last        atomic.Uint64 // milliseconds of the newest id: a clock that steps back does not break the order
	n           atomic.Uint64
}

// NewIDs starts a source; incarnation is the process's create revision in etcd (its low 40 bits are used), unique in the cluster.
func NewIDs(incarnation uint64) *IDs { return &IDs{incarnation: incarnation} }

// Next makes an id for a message accepted at now.
func (s *IDs) Next(now time.Time) MessageID {
	ms := uint64(now.UnixMilli())
	for {
		last := s.last.Load()
		if ms <= last {
			ms = last
			break
		}
		if s.last.CompareAndSwap(last, ms) {
			break
		}
	}
	n := s.n.Add(1)
	var id MessageID
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], ms)
	copy(id[0:6], b[2:])
	binary.BigEndian.PutUint64(b[:], s.incarnation)
	copy(id[6:11], b[3:])
	binary.BigEndian.PutUint64(b[:], n)
	copy(id[11:16], b[3:])
	return id
}
