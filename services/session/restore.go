package session

import (
	"fmt"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/topic"
)

// Decode makes a session from what AppendTo wrote; settings and client id are the host's to remember. msg resolves the numbers of ref, and may be nil if there
// were none. The session is as after Suspend: Next waits for Attach or Resume. Errors wrap [ErrCorrupt], or are msg's; input of any kind gives an error or a
// session that works, never a panic, and memory in proportion to the input.
func Decode(b []byte, set *Settings, clientID string, msg func(uint64) (*broker.Message, error)) (*Session, error) {
	d := decoder{reader: reader{b: b}, s: New(set, clientID, time.Time{}), msg: msg}
	if v := d.byte(); v != snapshotVersion && d.err == nil {
		return nil, fmt.Errorf("%w: snapshot of version %d, this program knows version %d", ErrCorrupt, v, snapshotVersion)
	}
	bits := d.byte()
	if bits&^snapshotBits != 0 {
		d.fail()
	}
	if d.refs = bits&snapshotRefs != 0; d.refs && msg == nil {
		return nil, fmt.Errorf("%w: messages are stored elsewhere", ErrCorrupt)
	}
	d.s.attached = bits&snapshotAttached != 0
	d.head()
	d.subscriptions()
	d.waiting()
	d.released()
	d.queued()
	if len(d.b) > 0 {
		d.fail()
	}
	if d.err != nil {
		return nil, d.err
	}
	d.s.watch() // a queue above the watermark raises the alarm again, with the new host
	return d.s, nil
}

// decoder is a reader with the session being made.
type decoder struct {
	reader
	s    *Session
	msg  func(uint64) (*broker.Message, error)
	refs bool
}

func (d *decoder) head() {
	s := d.s
	s.tail = d.uvarint()
	size := d.uvarint()
	if s.tail == 0 || size == 0 || size > maxWindow {
		d.fail()
	}
	s.size = uint16(size)
	s.created, s.detached = d.varint(), d.varint()
	s.expiry = time.Duration(d.varint())
	if s.expiry < 0 {
		d.fail()
	}
	s.enqueued = d.uvarint()
	n := d.length()
	if n > int(dropReasons) {
		d.fail()
		return
	}
	for i := range n {
		s.dropped[i] = d.uvarint()
	}
}

func (d *decoder) subscriptions() {
	for range d.length() {
		bits := d.byte()
		sub := broker.Subscription{
			QoS: broker.QoS(bits & 3), NoLocal: bits&subNoLocal != 0, RetainAsPublished: bits&subRetain != 0, RetainHandling: bits >> subShift & 3,
			ID: d.uint32(), Generation: d.uvarint(), Filter: d.text(),
		}
		if bits&^subBits != 0 || d.err != nil {
			d.fail()
			return
		}
		p, err := topic.Parse(sub.Filter)
		if err != nil || sub.QoS > 2 || d.s.subs.get(sub.Filter) != nil {
			d.fail()
			return
		}
		u := newSubscription(&sub)
		if bits&subGrant != 0 {
			grant := d.uvarint()
			if grant == 0 || !p.Exclusive {
				d.fail()
				return
			}
			u.setGrant(sub.Filter, grant)
		}
		d.s.subs.put(sub.Filter, u)
	}
}

func (d *decoder) waiting() {
	n := d.length()
	if n == 0 || d.err != nil {
		return
	}
	d.s.waiting = make(map[uint16]int64, n)
	for range n {
		id, at := d.uvarint(), d.varint()
		if id == 0 || id > 65535 || d.err != nil {
			d.fail()
			return
		}
		d.s.waiting[uint16(id)] = at
	}
	if len(d.s.waiting) != n {
		d.fail()
	}
}

// entry reads one entry.
func (d *decoder) entry() entry {
	bits := d.byte()
	e := entry{qos: broker.QoS(bits & 3), retain: bits&entryRetain != 0, index: d.uvarint()}
	if bits&^entryBits != 0 || e.qos == 0 || e.qos > 2 || e.index == 0 || e.index >= d.s.tail {
		d.fail()
		return e
	}
	if bits&entryReceived != 0 {
		if e.qos != 2 {
			d.fail()
		}
		e.state, e.size = stateReceived, entryOverhead
		return e
	}
	if e.by = d.matched(); d.err != nil {
		return e
	}
	var err error
	if d.refs {
		if n := d.uvarint(); d.err == nil {
			e.msg, err = d.msg(n)
		}
	} else {
		e.msg, d.b, err = DecodeMessage(d.b)
	}
	if err != nil {
		d.err = err
		d.fail()
	}
	if d.err == nil {
		e.size = uint32(entryOverhead + e.msg.Size() + e.by.size())
		e.lane = d.s.set.lane(e.msg.Topic)
	}
	return e
}

// released reads the window. No index and no packet id may be there twice.
func (d *decoder) released() {
	ids := make(map[uint16]bool)
	for range d.length() {
		e := d.entry()
		if id := packetID(e.index); d.err != nil || ids[id] {
			d.fail()
			return
		} else {
			ids[id] = true
		}
		d.s.window.push(e)
	}
}

// queued reads the queue, which must rise. A message that is in the window too is refused.
func (d *decoder) queued() {
	last := uint64(0)
	for range d.length() {
		e := d.entry()
		if d.err != nil || e.state == stateReceived || e.index <= last || d.s.window.find(e.index) >= 0 {
			d.fail()
			return
		}
		last = e.index
		d.s.queue.push(e, len(d.s.set.lanes))
	}
	if e := d.s.queue.front(); e != nil && d.s.window.live < int(d.s.size) {
		d.s.reuse = !d.s.window.free(e.index)
	}
}
