package router

import (
	"container/heap"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/session"
	"github.com/pando-mq/pando/services/topic"
)

// delayed are the messages of a retained partition that are published later, to topics of this partition, and the outbox through which that is done. It
// is part of retainedState, so everything here follows from the log.
//
//	in a snapshot = uvarint last number | uvarint n, n x (uvarint number | due | message) |
//	                uvarint topic partitions, for each uvarint last seq | uvarint n, n x (uvarint seq | message)
type delayed struct {
	timers timerHeap
	last   uint64 // number of the newest
	bytes  int64  // of what waits for its time
	out    []outbox
}

// delay is one message that waits for its time. Those of the same time go in the order in which they came.
type delay struct {
	due    int64 // Unix milliseconds
	number uint64
	msg    *broker.Message // as it will be published
}

// outbox is what goes to one topic partition and was not acknowledged there, numbered for ever.
type outbox struct {
	last    uint64
	entries []outEntry
}

type outEntry struct {
	seq uint64
	msg *broker.Message
}

// outSend is an entry on its way.
type outSend struct {
	topic int
	outEntry
}

func newDelayed(topics int) delayed { return delayed{out: make([]outbox, topics)} }

// isDelayed reports whether a message is to be kept for later.
func isDelayed(m *broker.Message) bool {
	prefix, _ := topic.SplitDelayed(m.Topic)
	return prefix != ""
}

// postpone says when a delayed message is due and what is published then: the same message under its target, as if it were accepted at that time. Its expiry
// is a time that the publisher chose and stays. A time that is too far ahead, which gateways refuse, is taken for the latest.
func postpone(m *broker.Message) (due int64, later *broker.Message) {
	prefix, rest := topic.SplitDelayed(m.Topic)
	at, err := topic.DelayedUntil(prefix, m.Published)
	if err != nil {
		at = m.Published.Add(topic.MaxDelay)
	}
	due = at.UnixMilli()
	c := *m
	c.Topic = rest
	if at.After(c.Published) {
		c.Published = time.UnixMilli(due)
	}
	return due, &c
}

// add keeps a message until it is due.
func (d *delayed) add(due int64, m *broker.Message) {
	d.last++
	heap.Push(&d.timers, delay{due, d.last, m})
	d.bytes += int64(m.Size())
}

// next is when the first is due; ok is false if there is none.
func (d *delayed) next() (due int64, ok bool) {
	if len(d.timers) == 0 {
		return 0, false
	}
	return d.timers[0].due, true
}

// fire moves up to n messages that are due at now into the outbox, in their order.
func (d *delayed) fire(now int64, n int) []outSend {
	var sends []outSend
	for ; n > 0 && len(d.timers) > 0 && d.timers[0].due <= now; n-- {
		x := heap.Pop(&d.timers).(delay)
		d.bytes -= int64(x.msg.Size())
		t := cluster.Partition(x.msg.Tenant, x.msg.Topic, len(d.out))
		q := &d.out[t]
		q.last++
		e := outEntry{q.last, x.msg}
		q.entries = append(q.entries, e)
		sends = append(sends, outSend{t, e})
	}
	return sends
}

// sent removes what a topic partition acknowledged.
func (d *delayed) sent(t int, upTo uint64) {
	q := &d.out[t]
	n := 0
	for n < len(q.entries) && q.entries[n].seq <= upTo {
		n++
	}
	clear(q.entries[:n])
	if q.entries = q.entries[n:]; len(q.entries) == 0 {
		q.entries = nil
	}
}

// unsent lists the whole outbox, in order per topic partition.
func (d *delayed) unsent() []outSend {
	var all []outSend
	for t := range d.out {
		for _, e := range d.out[t].entries {
			all = append(all, outSend{t, e})
		}
	}
	return all
}

// appendDelay, appendFire and appendSent write events.
func appendDelay(dst []byte, d *broker.Delivery, epoch uint64, due int64, later *broker.Message) []byte {
	return session.AppendMessage(binary.AppendVarint(appendHead(dst, opDelay, d, epoch), due), later)
}

func appendFire(dst []byte, now int64, n int) []byte {
	return binary.AppendUvarint(binary.AppendVarint(append(dst, stateVersion, opFire), now), uint64(n))
}

func appendSent(dst []byte, t int, seq uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(append(dst, stateVersion, opSent), uint64(t)), seq)
}

// replay applies fire and sent.
func (d *delayed) replay(op byte, r *reader) error {
	if op == opFire {
		now, n := r.varint(), r.uvarint()
		if r.bad {
			return errRecord
		}
		d.fire(now, int(min(n, uint64(len(d.timers)))))
		return nil
	}
	t, seq := r.uvarint(), r.uvarint()
	if r.bad || t >= uint64(len(d.out)) {
		return errRecord
	}
	d.sent(int(t), seq)
	return nil
}

func (d *delayed) appendTo(dst []byte) []byte {
	dst = binary.AppendUvarint(binary.AppendUvarint(dst, d.last), uint64(len(d.timers)))
	for _, x := range d.timers {
		dst = session.AppendMessage(binary.AppendVarint(binary.AppendUvarint(dst, x.number), x.due), x.msg)
	}
	dst = binary.AppendUvarint(dst, uint64(len(d.out)))
	for _, q := range d.out {
		dst = binary.AppendUvarint(binary.AppendUvarint(dst, q.last), uint64(len(q.entries)))
		for _, e := range q.entries {
			dst = session.AppendMessage(binary.AppendUvarint(dst, e.seq), e.msg)
		}
	}
	return dst
}

// restore reads what appendTo wrote.
func (d *delayed) restore(r *reader) error {
	d.last = r.uvarint()
	for n := r.uvarint(); n > 0 && !r.bad; n-- {
		x := delay{number: r.uvarint(), due: r.varint(), msg: r.message()}
		if !r.bad {
			d.timers = append(d.timers, x)
			d.bytes += int64(x.msg.Size())
		}
	}
	heap.Init(&d.timers)
	if n := r.uvarint(); n != uint64(len(d.out)) {
		return fmt.Errorf("outbox towards %d topic partitions of %d: %w", n, len(d.out), errRecord)
	}
	for t := range d.out {
		d.out[t].last = r.uvarint()
		for n := r.uvarint(); n > 0 && !r.bad; n-- {
			e := outEntry{r.uvarint(), r.message()}
			if !r.bad {
				d.out[t].entries = append(d.out[t].entries, e)
			}
		}
	}
	if r.bad {
		return errRecord
	}
	return nil
}

// timerHeap orders delays by their time, then by their number.
type timerHeap []delay

func (h timerHeap) Len() int { return len(h) }
func (h timerHeap) Less(i, j int) bool {
	return h[i].due < h[j].due || h[i].due == h[j].due && h[i].number < h[j].number
}
func (h timerHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *timerHeap) Push(x any) { *h = append(*h, x.(delay)) }

// Pop implements heap.Interface.
func (h *timerHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	old[len(old)-1] = delay{}
	*h = old[:len(old)-1]
	return x
}
