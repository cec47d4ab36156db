package sessionstore

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/session"
)

// snapshotVersion is the first byte of a snapshot.
const snapshotVersion = 1

// snapshotIfDue hands a snapshot to the log when that has outgrown the last one.
func (p *partition) snapshotIfDue() {
	if p.dead || !p.log.SnapshotDue() {
		return
	}
	p.log.Snapshot(p.st.append(nil))
}

// messageTable writes each message of a snapshot once, whatever the fan-out was.
type messageTable struct {
	numbers map[*broker.Message]uint64
	bytes   []byte
}

func (t *messageTable) ref(m *broker.Message) uint64 {
	n, ok := t.numbers[m]
	if !ok {
		n = uint64(len(t.numbers))
		t.numbers[m] = n
		t.bytes = session.AppendMessage(t.bytes, m)
	}
	return n
}

// append appends the durable state. Equal states give equal bytes. Numbers are varints:
//
//	version 1 | settings | newest client number | newest number in limbo | count {message}
//	| count {client} | count {source | cursor} | count {topic | epoch} | count {incarnation | request id}
//	| per topic partition: newest number, count {seq | message number | share}
//	| count {lane | newest number | count {seq | n(group) n(filter) | message number}} | count {number | n(group) n(filter) | message number}
//	client: key | number | user | flags: attachment 1, will 2, session 4 | [attachment] | count {attachment} | [due | will] | [n(session)]
//	attachment: gateway id | incarnation | node | conn | epoch: partition counter | flags: present 1 | will
//
// Sessions refer to messages by their number, from 0, in the list.
func (st *state) append(dst []byte) []byte {
	table := &messageTable{numbers: map[*broker.Message]uint64{}}
	body := st.appendClients(nil, table)
	body = st.appendCursors(body)
	body = st.appendQueues(body, table)
	dst = appendSettings(append(dst, snapshotVersion), st.set)
	dst = binary.AppendUvarint(binary.AppendUvarint(dst, st.last), st.limboID)
	dst = binary.AppendUvarint(dst, uint64(len(table.numbers)))
	return append(append(dst, table.bytes...), body...)
}

func (st *state) appendClients(dst []byte, table *messageTable) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(st.clients)))
	var sess []byte
	for _, n := range slices.Sorted(maps.Keys(st.numbers)) {
		c := st.numbers[n]
		dst = appendText(binary.AppendUvarint(appendKey(dst, c.key), c.number), c.user)
		dst = append(dst, flag(c.att != nil, 1)|flag(c.will != nil, 2)|flag(c.sess != nil, 4))
		if c.att != nil {
			dst = appendAttachment(dst, c.att)
		}
		dst = binary.AppendUvarint(dst, uint64(len(c.olds)))
		for _, o := range c.olds {
			dst = appendAttachment(dst, o)
		}
		if c.will != nil {
			dst = appendWill(binary.AppendVarint(dst, c.due), c.will)
		}
		if c.sess != nil {
			sess = c.sess.AppendTo(sess[:0], table.ref)
			dst = append(binary.AppendUvarint(dst, uint64(len(sess))), sess...)
		}
	}
	return dst
}

func appendAttachment(dst []byte, a *attachment) []byte {
	dst = binary.AppendUvarint(appendText(dst, a.gw.ID), a.gw.Incarnation)
	dst = binary.AppendUvarint(appendText(dst, a.node), a.conn)
	dst = binary.AppendUvarint(binary.AppendUvarint(dst, a.epoch.Partition), a.epoch.Counter)
	return appendWill(append(dst, flag(a.present, 1)), a.will)
}

func compareSources(a, b broker.Source) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Incarnation, b.Incarnation), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Topic, b.Topic))
}

func (st *state) appendCursors(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(st.cursors)))
	for _, s := range slices.SortedFunc(maps.Keys(st.cursors), compareSources) {
		dst = binary.AppendUvarint(appendSource(dst, s), st.cursors[s])
	}
	dst = binary.AppendUvarint(dst, uint64(len(st.epochs)))
	for _, t := range slices.Sorted(maps.Keys(st.epochs)) {
		dst = binary.AppendUvarint(binary.AppendUvarint(dst, uint64(t)), st.epochs[t])
	}
	dst = binary.AppendUvarint(dst, uint64(len(st.attaches)))
	for _, inc := range slices.Sorted(maps.Keys(st.attaches)) {
		dst = binary.AppendUvarint(binary.AppendUvarint(dst, inc), st.attaches[inc])
	}
	return dst
}

func (st *state) appendQueues(dst []byte, table *messageTable) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(st.outbox)))
	for i := range st.outbox {
		q := &st.outbox[i]
		dst = binary.AppendUvarint(binary.AppendUvarint(dst, q.last), uint64(len(q.entries)))
		for _, e := range q.entries {
			dst = binary.AppendUvarint(binary.AppendUvarint(dst, e.seq), table.ref(e.msg))
			dst = appendShare(dst, e.share)
		}
	}
	dst = binary.AppendUvarint(dst, uint64(len(st.lanes)))
	for _, k := range slices.SortedFunc(maps.Keys(st.lanes), compareLanes) {
		q := st.lanes[k]
		dst = binary.AppendUvarint(binary.AppendUvarint(appendLane(dst, k), q.last), uint64(len(q.entries)))
		for _, e := range q.entries {
			dst = appendText(appendText(binary.AppendUvarint(dst, e.seq), e.share.Group), e.share.Filter)
			dst = binary.AppendUvarint(dst, table.ref(e.msg))
		}
	}
	dst = binary.AppendUvarint(dst, uint64(len(st.limbo)))
	for _, id := range slices.Sorted(maps.Keys(st.limbo)) {
		x := st.limbo[id]
		dst = appendText(appendText(binary.AppendUvarint(dst, id), x.share.Group), x.share.Filter)
		dst = binary.AppendUvarint(dst, table.ref(x.msg))
	}
	return dst
}

// decodeState reads what append wrote. Errors wrap [ErrCorrupt]; input of any kind gives an error or a state that works, never a panic, and memory in
// proportion to the input.
func decodeState(b []byte, topics int) (*state, error) {
	d := snapshotReader{reader: reader{b: b}}
	if v := d.byte(); v != snapshotVersion {
		return nil, fmt.Errorf("%w: snapshot of version %d, this program knows version %d", ErrCorrupt, v, snapshotVersion)
	}
	set := d.settings()
	if d.err != nil {
		return nil, d.err
	}
	d.st = newState(set, topics)
	d.st.last, d.st.limboID = d.uvarint(), d.uvarint()
	for range d.count() {
		d.messages = append(d.messages, d.message())
	}
	d.clients()
	d.cursors()
	d.queues()
	if err := d.end(); err != nil {
		return nil, fmt.Errorf("snapshot of a session partition: %w", err)
	}
	return d.st, nil
}
