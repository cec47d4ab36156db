package sessionstore

import (
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/session"
	"github.com/pando-mq/pando/services/topic"
)

// snapshotReader is a reader with the state being made.
type snapshotReader struct {
	reader
	st       *state
	messages []*broker.Message
}

// messageRef reads the number of a message of the list.
func (d *snapshotReader) messageRef() *broker.Message {
	n := d.uvarint()
	if n >= uint64(len(d.messages)) {
		d.fail()
		return &broker.Message{}
	}
	return d.messages[n]
}

func (d *snapshotReader) lookUp(n uint64) (*broker.Message, error) {
	if n >= uint64(len(d.messages)) {
		return nil, ErrCorrupt
	}
	return d.messages[n], nil
}

func (d *snapshotReader) clients() {
	for range d.count() {
		c := &client{key: d.key(), number: d.uvarint(), user: d.text()}
		if c.number == 0 || c.number > d.st.last || d.st.numbers[c.number] != nil || d.st.clients[c.key] != nil {
			d.fail()
		}
		f := d.flags(7)
		if f&1 != 0 {
			c.att = d.attachment()
		}
		for range d.count() {
			c.olds = append(c.olds, d.attachment())
		}
		if f&2 != 0 {
			c.due = d.varint()
			if c.will = d.will(); c.will == nil {
				d.fail()
			}
		}
		if f&4 != 0 {
			d.session(c)
		}
		if d.err != nil {
			return
		}
		d.st.clients[c.key], d.st.numbers[c.number] = c, c
		d.know(c)
	}
}

func (d *snapshotReader) attachment() *attachment {
	a := &attachment{gw: broker.NodeRef{ID: d.text(), Incarnation: d.uvarint()}, node: d.text(), conn: d.uvarint()}
	a.epoch = broker.ConnEpoch{Partition: d.uvarint(), Counter: d.uvarint()}
	a.present = d.flags(1) != 0
	a.will = d.will()
	return a
}

func (d *snapshotReader) session(c *client) {
	b := d.take(d.count())
	if d.err != nil {
		return
	}
	sess, err := session.Decode(b, d.st.set, c.key.id, d.lookUp)
	if err != nil || sess.Attached() != (c.att != nil) {
		d.fail()
		return
	}
	c.sess = sess
}

// know makes the subscriptions of a client findable.
func (d *snapshotReader) know(c *client) {
	if c.sess == nil {
		return
	}
	for _, sub := range c.sess.Subscriptions() {
		if p, err := topic.Parse(sub.Filter); err == nil {
			d.st.know(c, p, c.sess.Attached())
		}
	}
}

func (d *snapshotReader) cursors() {
	for range d.count() {
		s := d.source()
		d.st.cursors[s] = d.uvarint()
	}
	for range d.count() {
		t := d.number()
		d.st.epochs[t] = d.uvarint()
	}
	for range d.count() {
		inc := d.uvarint()
		d.st.attaches[inc] = d.uvarint()
	}
}

func (d *snapshotReader) queues() {
	if d.count() != len(d.st.outbox) {
		d.fail()
		return
	}
	for i := range d.st.outbox {
		q := &d.st.outbox[i]
		q.last = d.uvarint()
		before := uint64(0)
		for range d.count() {
			e := outEntry{seq: d.rising(&before, q.last), msg: d.messageRef(), share: d.share()}
			q.entries = append(q.entries, e)
			d.st.outBytes += e.msg.Size()
		}
	}
	for range d.count() {
		k := d.lane()
		q := &laneQueue{last: d.uvarint()}
		before := uint64(0)
		for range d.count() {
			e := laneEntry{seq: d.rising(&before, q.last), share: broker.Share{Group: d.text(), Filter: d.text()}}
			e.msg = d.messageRef()
			q.entries = append(q.entries, e)
			d.st.laneBytes += e.msg.Size()
		}
		d.st.lanes[k] = q
	}
	for range d.count() {
		id := d.uvarint()
		x := limboCopy{share: broker.Share{Group: d.text(), Filter: d.text()}}
		x.msg = d.messageRef()
		d.st.laneBytes += x.msg.Size()
		if id == 0 || id > d.st.limboID {
			d.fail()
		}
		d.st.limbo[id] = x
	}
}

// rising reads a number above the one before and not above a limit.
func (d *snapshotReader) rising(before *uint64, limit uint64) uint64 {
	n := d.uvarint()
	if n <= *before || n > limit {
		d.fail()
	}
	*before = n
	return n
}
