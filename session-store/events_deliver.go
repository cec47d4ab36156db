package sessionstore

import (
	"encoding/binary"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/session"
)

// delivered: a message was taken over from a source, for k sessions of this partition and any number of shared groups that it is the home of. It is one
// record, whatever k is; it moves the cursor of the source. Without a source it is a retained message for one session.
type delivered struct {
	at      int64
	sourced bool
	source  broker.Source
	seq     uint64
	topic   int    // topic partition or lane of the stream it came by
	epoch   uint64 // of that, as the stream named it
	msg     *broker.Message
	refs    []ref
	copies  []copyTo
}

// ref is one session that gets the message. A record that is gone when the event is applied is passed over.
type ref struct {
	client uint64 // number of its record
	grant  session.Grant
}

// copyTo is one group's copy that goes to a member elsewhere, or to limbo.
type copyTo struct {
	to    target
	share broker.Share

	seq uint64 // result: its number in the lane
}

// target is where a copy of a shared group goes.
type target struct {
	kind targetKind
	lane laneKey // toLane
	ref  ref     // toMember
}

type targetKind uint8

const (
	toNobody targetKind = iota // it is dropped
	toLimbo
	toLane
	toMember // a session of this partition
)

func (*delivered) kind() eventKind { return kindDelivered }

// at | flags: sourced 1 | [source: kind incarnation partition topic | seq | topic | epoch] | message
// | count {matched} | count {client | flags: qos 3, retain 4 | number of its matched} | count {target | n(group) n(filter)}
func (e *delivered) append(dst []byte) []byte {
	dst = append(binary.AppendVarint(dst, e.at), flag(e.sourced, 1))
	if e.sourced {
		dst = binary.AppendUvarint(appendSource(dst, e.source), e.seq)
		dst = binary.AppendUvarint(binary.AppendUvarint(dst, uint64(e.topic)), e.epoch)
	}
	dst = session.AppendMessage(dst, e.msg)
	var table matchedTable
	for i := range e.refs {
		table.add(e.refs[i].grant.By)
	}
	dst = binary.AppendUvarint(dst, uint64(table.n))
	dst = append(dst, table.bytes...)
	dst = binary.AppendUvarint(dst, uint64(len(e.refs)))
	for i := range e.refs {
		dst = appendRef(dst, &e.refs[i])
		dst = binary.AppendUvarint(dst, uint64(table.places[i]))
	}
	dst = binary.AppendUvarint(dst, uint64(len(e.copies)))
	for i := range e.copies {
		dst = appendTarget(dst, &e.copies[i].to)
		dst = appendText(appendText(dst, e.copies[i].share.Group), e.copies[i].share.Filter)
	}
	return dst
}

func (e *delivered) read(r *reader) {
	e.at = r.varint()
	if e.sourced = r.flags(1) != 0; e.sourced {
		e.source, e.seq, e.topic, e.epoch = r.source(), r.uvarint(), r.number(), r.uvarint()
	}
	e.msg = r.message()
	by := make([]*session.Matched, r.count())
	for i := range by {
		by[i] = r.matched()
	}
	e.refs = make([]ref, r.count())
	for i := range e.refs {
		e.refs[i] = r.ref()
		n := r.number()
		if n >= len(by) {
			r.fail()
			return
		}
		e.refs[i].grant.By = by[n]
	}
	e.copies = make([]copyTo, r.count())
	for i := range e.copies {
		e.copies[i].to = r.target()
		e.copies[i].share = broker.Share{Group: r.text(), Filter: r.text()}
	}
}

// matchedTable writes each different Matched of a fan-out once.
type matchedTable struct {
	bytes  []byte
	n      int
	places []int // of each that was added
	last   *session.Matched
	known  map[string]int
}

func (t *matchedTable) add(m *session.Matched) {
	if t.n > 0 && m == t.last {
		t.places = append(t.places, t.places[len(t.places)-1])
		return
	}
	t.last = m
	from := len(t.bytes)
	t.bytes = session.AppendMatched(t.bytes, m)
	if t.n > 0 && t.known == nil {
		t.known = map[string]int{string(t.bytes[:from]): 0}
	}
	if i, ok := t.known[string(t.bytes[from:])]; ok {
		t.bytes = t.bytes[:from]
		t.places = append(t.places, i)
		return
	}
	if t.known != nil {
		t.known[string(t.bytes[from:])] = t.n
	}
	t.places = append(t.places, t.n)
	t.n++
}

func appendRef(dst []byte, f *ref) []byte {
	dst = binary.AppendUvarint(dst, f.client)
	return append(dst, byte(f.grant.QoS&3)|flag(f.grant.Retain, 4))
}

// ref reads all but the matched.
func (r *reader) ref() ref {
	f := ref{client: r.uvarint()}
	bits := r.flags(7)
	f.grant = session.Grant{QoS: broker.QoS(bits & 3), Retain: bits&4 != 0}
	if f.grant.QoS == 0 || f.grant.QoS > 2 {
		r.fail()
	}
	return f
}

// target: kind 1 | lane: session + 1, incarnation | or member: client, flags, matched
func appendTarget(dst []byte, t *target) []byte {
	dst = append(dst, byte(t.kind))
	switch t.kind {
	case toLane:
		dst = appendLane(dst, t.lane)
	case toMember:
		dst = session.AppendMatched(appendRef(dst, &t.ref), t.ref.grant.By)
	}
	return dst
}

func (r *reader) target() target {
	t := target{kind: targetKind(r.byte())}
	switch {
	case t.kind > toMember:
		r.fail()
	case t.kind == toLane:
		t.lane = r.lane()
	case t.kind == toMember:
		t.ref = r.ref()
		t.ref.grant.By = r.matched()
	}
	return t
}

func appendLane(dst []byte, k laneKey) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(dst, uint64(k.session+1)), k.incarnation)
}

func (r *reader) lane() laneKey {
	k := laneKey{session: r.number() - 1, incarnation: r.uvarint()}
	if (k.session < 0) != (k.incarnation > 0) {
		r.fail()
	}
	return k
}

// outboxDone: the router acknowledged all entries of a topic partition up to a number.
type outboxDone struct {
	topic int
	upTo  uint64
}

func (*outboxDone) kind() eventKind { return kindOutboxDone }

// topic | up to
func (e *outboxDone) append(dst []byte) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(dst, uint64(e.topic)), e.upTo)
}

func (e *outboxDone) read(r *reader) { e.topic, e.upTo = r.number(), r.uvarint() }

// laneDone: the destination of a lane has all copies up to a number.
type laneDone struct {
	lane laneKey
	upTo uint64
}

func (*laneDone) kind() eventKind { return kindLaneDone }

// lane | up to
func (e *laneDone) append(dst []byte) []byte {
	return binary.AppendUvarint(appendLane(dst, e.lane), e.upTo)
}

func (e *laneDone) read(r *reader) { e.lane, e.upTo = r.lane(), r.uvarint() }

// reassigned: a copy that the destination of its lane could not take goes elsewhere.
type reassigned struct {
	lane laneKey
	seq  uint64
	at   int64
	to   target

	newSeq uint64 // result: its number in the new lane
}

func (*reassigned) kind() eventKind { return kindReassigned }

// lane | seq | at | target
func (e *reassigned) append(dst []byte) []byte {
	dst = binary.AppendUvarint(appendLane(dst, e.lane), e.seq)
	return appendTarget(binary.AppendVarint(dst, e.at), &e.to)
}

func (e *reassigned) read(r *reader) {
	e.lane, e.seq, e.at, e.to = r.lane(), r.uvarint(), r.varint(), r.target()
}

// rerouted: a copy leaves limbo through the outbox.
type rerouted struct{ id uint64 }

func (*rerouted) kind() eventKind { return kindRerouted }

// number in limbo
func (e *rerouted) append(dst []byte) []byte { return binary.AppendUvarint(dst, e.id) }

func (e *rerouted) read(r *reader) { e.id = r.uvarint() }

// forgotten: what was kept about a gateway incarnation that is long gone (rule N9).
type forgotten struct{ inc uint64 }

func (*forgotten) kind() eventKind { return kindForgotten }

// incarnation
func (e *forgotten) append(dst []byte) []byte { return binary.AppendUvarint(dst, e.inc) }

func (e *forgotten) read(r *reader) { e.inc = r.uvarint() }
