package load

import (
	"time"

	"github.com/pando-mq/pando/deploy/bench/tally"
	"github.com/pando-mq/pando/deploy/bench/wire"
)

// publisher is one stream of messages.
type publisher struct {
	c            *conn
	spec         *Publish
	stream       uint32
	payload      []byte // of all its messages, but for the stamp
	seq          uint32 // of the next message, so also how many were sent
	acked        int64
	delivered    int64       // copies that arrived
	group        tally.Inbox // of a shared subscription as a whole
	forgiven     int64       // copies that are waited for no more
	credit       int64       // receive maximum of the broker
	queued       bool        // it is in the list of those that may go on
	firstRefusal byte
}

// Bounds of what a publisher without a window sends before the others have their turn, and of what waits for its socket at an open loop.
const (
	burst     = 64
	maxQueued = 1 << 20
)

// may says whether the window is open.
func (p *publisher) may() bool {
	s := p.spec
	if p.c.state != ready || len(p.c.s.raw) > 0 || s.Limit > 0 && p.seq >= s.Limit {
		return false
	}
	under := int64(p.seq) - p.acked
	if s.QoS > 0 && (under >= p.credit || s.Window > 0 && under >= int64(s.Window)) {
		return false
	}
	if s.Window == 0 || s.AckOnly && s.QoS > 0 || s.Copies == 0 {
		return true
	}
	copies := p.copies()
	return int64(p.seq)*copies-p.delivered-p.forgiven <= int64(s.Window-1)*copies
}

// copies of each message that arrive: one in a group, whatever its size.
func (p *publisher) copies() int64 {
	if p.spec.Group {
		return 1
	}
	return int64(p.spec.Copies)
}

// under is how much is under way.
func (p *publisher) under() (unacked, undelivered int64) {
	if p.spec.QoS > 0 {
		unacked = int64(p.seq) - p.acked
	}
	return unacked, int64(p.seq)*p.copies() - p.delivered - p.forgiven
}

// credit lets a publisher go on at the end of the round, if there is a window that opened.
func (f *Fleet) credit(p *publisher) {
	if f.publishing && f.rate == 0 && !p.queued {
		p.queued = true
		f.willing = append(f.willing, p)
	}
}

// pump lets everybody send who may.
func (f *Fleet) pump() {
	if !f.publishing {
		return
	}
	if f.rate > 0 {
		f.pumpSchedule()
		return
	}
	list := f.willing
	f.willing = f.spare[:0]
	for _, p := range list {
		p.queued = false
		for n := 0; p.may() && f.within(); n++ {
			if p.spec.Window == 0 && n == burst {
				f.credit(p)
				break
			}
			f.publish(p, f.now)
		}
	}
	f.spare = list[:0]
}

// within says whether the stretch still wants messages.
func (f *Fleet) within() bool { return f.stretch.quota == 0 || f.sent < f.stretch.quota }

// pumpSchedule sends what is due, publisher by publisher.
func (f *Fleet) pumpSchedule() {
	for f.due <= f.now && f.within() {
		p := f.publishers[f.turn%len(f.publishers)]
		f.turn++
		switch open := p.open(); {
		case open:
			f.stretch.late.Record(f.now - f.due)
			f.publish(p, f.now)
		default:
			f.held++
		}
		f.due += int64(float64(time.Second) / f.rate)
		if f.turn%burst == 0 {
			f.now = nanotime()
		}
	}
	if f.within() && f.alarm != f.due {
		f.alarm = f.due
		_ = f.loop.alarm(time.Duration(f.due - nanotime())) // without it the round would only be late, which is counted
	}
}

// open says whether a message whose time has come can be sent: at an open loop only the broker's receive maximum and a full socket hold it.
func (p *publisher) open() bool {
	if p.c.state != ready || len(p.c.s.raw) > maxQueued {
		return false
	}
	return p.spec.QoS == 0 || int64(p.seq)-p.acked < p.credit
}

// publish appends the next message of a stream to its connection's output.
func (f *Fleet) publish(p *publisher, now int64) {
	s := p.spec
	c := p.c
	c.out = wire.AppendPublish(c.out, c.spec.Version, wire.Message{
		Topic: s.Topics[int(p.seq)%len(s.Topics)], Payload: p.payload, QoS: s.QoS, Retain: s.Retain, ID: uint16(p.seq%65535) + 1,
	})
	tally.Stamp{Run: f.run, Stream: p.stream, Seq: p.seq, Sent: now}.Put(c.out[len(c.out)-len(p.payload):])
	p.seq++
	f.sent++
	f.touch(c)
}
