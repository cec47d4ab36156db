package sessionstore

import (
	"encoding/binary"
	"math"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/session"
)

// subscribed: a session subscribes to filters.
type subscribed struct {
	key  clientKey
	max  int // subscriptions it may hold, 0: no limit
	subs []broker.Subscription

	// result
	results []broker.SubscribeReply
}

func (*subscribed) kind() eventKind { return kindSubscribed }

// key | max | count {flags: qos 3, no local 4, retain as published 8, retain handling 48 | id | generation | filter}
func (e *subscribed) append(dst []byte) []byte {
	dst = binary.AppendUvarint(appendKey(dst, e.key), uint64(e.max))
	dst = binary.AppendUvarint(dst, uint64(len(e.subs)))
	for _, s := range e.subs {
		dst = append(dst, byte(s.QoS&3)|flag(s.NoLocal, 4)|flag(s.RetainAsPublished, 8)|s.RetainHandling&3<<4)
		dst = binary.AppendUvarint(binary.AppendUvarint(dst, uint64(s.ID)), s.Generation)
		dst = appendText(dst, s.Filter)
	}
	return dst
}

func (e *subscribed) read(r *reader) {
	e.key, e.max = r.key(), r.number()
	e.subs = make([]broker.Subscription, r.count())
	for i := range e.subs {
		f := r.flags(63)
		e.subs[i] = broker.Subscription{
			QoS: broker.QoS(f & 3), NoLocal: f&4 != 0, RetainAsPublished: f&8 != 0, RetainHandling: f >> 4, ID: r.uint32(), Generation: r.uvarint(), Filter: r.text(),
		}
	}
}

// unsubscribed: a session gives filters up.
type unsubscribed struct {
	key     clientKey
	filters []string // full filters

	// result
	results []broker.SubscribeReply
}

func (*unsubscribed) kind() eventKind { return kindUnsubscribed }

// key | count {filter}
func (e *unsubscribed) append(dst []byte) []byte {
	dst = binary.AppendUvarint(appendKey(dst, e.key), uint64(len(e.filters)))
	for _, f := range e.filters {
		dst = appendText(dst, f)
	}
	return dst
}

func (e *unsubscribed) read(r *reader) {
	e.key = r.key()
	e.filters = make([]string, r.count())
	for i := range e.filters {
		e.filters[i] = r.text()
	}
}

// exclusiveGranted: an exclusive subscription was granted, for the first time or by a later owner of the topic partition.
type exclusiveGranted struct {
	key    clientKey
	grant  uint64
	filter string // the full one
}

func (*exclusiveGranted) kind() eventKind { return kindExclusiveGranted }

// key | grant | filter
func (e *exclusiveGranted) append(dst []byte) []byte {
	return appendText(binary.AppendUvarint(appendKey(dst, e.key), e.grant), e.filter)
}

func (e *exclusiveGranted) read(r *reader) { e.key, e.grant, e.filter = r.key(), r.uvarint(), r.text() }

// acked: a client answered a message, or the gateway did not send it.
type acked struct {
	key clientKey
	ack broker.ClientAck
	at  int64

	// result
	done session.AckResult
}

func (*acked) kind() eventKind { return kindAcked }

// key | index | flags: kind 7, failed 8 | at
func (e *acked) append(dst []byte) []byte {
	dst = binary.AppendUvarint(appendKey(dst, e.key), e.ack.Index)
	return binary.AppendVarint(append(dst, byte(e.ack.Kind)&7|flag(e.ack.Failed, 8)), e.at)
}

func (e *acked) read(r *reader) {
	e.key, e.ack.Index = r.key(), r.uvarint()
	f := r.flags(15)
	e.ack.Kind, e.ack.Failed = broker.AckKind(f&7), f&8 != 0
	e.at = r.varint()
}

// received2: a QoS 2 publish of a session; it goes into the outbox in the same step (rule R1).
type received2 struct {
	key clientKey
	id  uint16
	max int // ids that may be held, 0: no limit
	at  int64
	msg *broker.Message

	// result
	known bool
	err   error
}

func (*received2) kind() eventKind { return kindReceived2 }

// key | packet id | max | at | message
func (e *received2) append(dst []byte) []byte {
	dst = binary.AppendUvarint(appendKey(dst, e.key), uint64(e.id))
	dst = binary.AppendVarint(binary.AppendUvarint(dst, uint64(e.max)), e.at)
	return session.AppendMessage(dst, e.msg)
}

func (e *received2) read(r *reader) {
	e.key, e.id, e.max, e.at, e.msg = r.key(), r.uint16(), r.number(), r.varint(), r.message()
}

// released2: PUBREL of an incoming QoS 2 publish.
type released2 struct {
	key clientKey
	id  uint16

	// result
	known bool
}

func (*released2) kind() eventKind { return kindReleased2 }

// key | packet id
func (e *released2) append(dst []byte) []byte {
	return binary.AppendUvarint(appendKey(dst, e.key), uint64(e.id))
}

func (e *released2) read(r *reader) { e.key, e.id = r.key(), r.uint16() }

// expirySet: the session expiry interval changed.
type expirySet struct {
	key    clientKey
	expiry int64 // nanoseconds
}

func (*expirySet) kind() eventKind { return kindExpirySet }

// key | expiry
func (e *expirySet) append(dst []byte) []byte {
	return binary.AppendVarint(appendKey(dst, e.key), e.expiry)
}

func (e *expirySet) read(r *reader) { e.key, e.expiry = r.key(), int64(r.duration()) }

func (r *reader) uint16() uint16 {
	v := r.uvarint()
	if v > math.MaxUint16 {
		r.fail()
	}
	return uint16(v)
}

func (r *reader) uint32() uint32 {
	v := r.uvarint()
	if v > math.MaxUint32 {
		r.fail()
	}
	return uint32(v)
}
