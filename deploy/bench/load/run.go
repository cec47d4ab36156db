package load

import (
	"context"
	"errors"
	"time"

	"github.com/pando-mq/pando/deploy/bench/process"
	"github.com/pando-mq/pando/deploy/bench/tally"
	"github.com/pando-mq/pando/deploy/bench/wire"
)

// Point is one moment of a run.
type Point struct {
	At        float64 `json:"at_s"`
	Sent      float64 `json:"sent_per_s"`
	Delivered float64 `json:"delivered_per_s"`
	P99       int64   `json:"p99_us"`
}

// Measure is what one stretch of publishing took.
type Measure struct {
	Elapsed   time.Duration `json:"elapsed_ns"`
	Sent      uint64        `json:"sent"`
	Acked     uint64        `json:"acked"`
	Delivered uint64        `json:"delivered"`
	BrokerCPU time.Duration `json:"broker_cpu_ns"` // 0 if it is unknown
	OwnCPU    time.Duration `json:"own_cpu_ns"`
	Latency   tally.Summary `json:"latency"`
	Late      tally.Summary `json:"late"` // how late the generator sent what was due, at an open loop
	Held      uint64        `json:"held"` // due, and not sent: the broker's receive maximum or a full socket
	Stalls    int           `json:"stalls"`
	Timeline  []Point       `json:"timeline"`
	Curve     []tally.Point `json:"curve"`
}

// stretch is the part of a run that is measured together.
type stretch struct {
	all, tick, late *tally.Latency
	quota           uint64 // of messages sent, since the fleet exists; 0: no bound
	told            int64
	next            int64 // end of the present tick
	progress        uint64
	moved           int64 // when something arrived last
	points          []Point
	begin           int64
	from            snapshot
	lastSent        uint64
	lastDelivered   uint64
	lastPoint       int64
}

type snapshot struct {
	sent, acked, delivered, held uint64
	stalls                       int
	broker, own                  time.Duration
}

func newStretch() *stretch {
	return &stretch{all: tally.NewLatency(), tick: tally.NewLatency(), late: tally.NewLatency()}
}

const (
	tickLength = 250 * time.Millisecond
	stallTime  = time.Second
	linger     = 100 * time.Millisecond
)

// Run publishes and measures. It may be called again; sequence numbers go on.
func (f *Fleet) Run(ctx context.Context, r Run) (Measure, error) {
	if r.Duration <= 0 {
		return Measure{}, errors.New("a run without a longest duration")
	}
	if r.Drain == 0 {
		r.Drain = 5 * time.Second
	}
	f.start(r.Rate)
	if r.Warmup > 0 {
		f.stretch.quota = 0
		if err := f.until(ctx, "warm up", r.Warmup, func() bool { return false }); err != nil {
			return Measure{}, err
		}
	}
	if err := r.mark(ctx); err != nil {
		return Measure{}, err
	}
	if err := f.reset(r.Messages); err != nil {
		return Measure{}, err
	}
	quota := f.stretch.quota
	done := func() bool {
		if quota == 0 || f.sent < quota {
			return f.exhausted() && f.quiet()
		}
		f.moved()
		return f.quiet() || f.now-f.stretch.moved > int64(stallTime)
	}
	err := f.until(ctx, "publish", r.Duration, done)
	m, err2 := f.measure()
	f.publishing, f.rate = false, 0
	if err := errors.Join(err, err2, r.mark(ctx)); err != nil {
		return m, err
	}
	return m, f.settle(ctx, r.Drain)
}

func (r *Run) mark(ctx context.Context) error {
	if r.Mark == nil {
		return nil
	}
	return r.Mark(ctx)
}

// Collect serves the connections without publishing until want messages have been delivered since the fleet exists, for a time at most, and no longer than
// something arrives within patience.
func (f *Fleet) Collect(ctx context.Context, want uint64, most, patience time.Duration) (Measure, error) {
	if err := f.reset(0); err != nil {
		return Measure{}, err
	}
	err := f.until(ctx, "receive", most, func() bool {
		f.moved()
		return f.delivered >= want || f.now-f.stretch.moved > int64(patience)
	})
	m, err2 := f.measure()
	return m, errors.Join(err, err2)
}

func (f *Fleet) start(rate float64) {
	f.publishing, f.rate, f.due = true, rate, nanotime()
	f.willing = f.willing[:0]
	for _, p := range f.publishers {
		p.queued = false
		f.credit(p)
	}
}

// reset begins a measured stretch.
func (f *Fleet) reset(messages uint64) error {
	s := f.stretch
	for _, l := range []*tally.Latency{s.all, s.tick, s.late} {
		l.Reset()
	}
	s.points, s.quota = nil, 0
	if messages > 0 {
		s.quota = f.sent + messages
	}
	s.begin = nanotime()
	s.lastSent, s.lastDelivered, s.lastPoint, s.next = f.sent, f.delivered, s.begin, s.begin+int64(tickLength)
	var err error
	s.from, err = f.snapshot()
	return err
}

func (f *Fleet) snapshot() (snapshot, error) {
	broker, err := f.options.Broker.CPU()
	return snapshot{f.sent, f.acked, f.delivered, f.held, f.stalls, broker, process.Own()}, err
}

func (f *Fleet) measure() (Measure, error) {
	to, err := f.snapshot()
	if err != nil {
		return Measure{}, err
	}
	s := f.stretch
	elapsed := nanotime() - s.begin
	s.all.Merge(s.tick)
	s.tick.Reset()
	return Measure{
		Elapsed: time.Duration(elapsed), Sent: to.sent - s.from.sent, Acked: to.acked - s.from.acked, Delivered: to.delivered - s.from.delivered,
		BrokerCPU: to.broker - s.from.broker, OwnCPU: to.own - s.from.own, Latency: s.all.Summary(), Late: s.late.Summary(),
		Held: to.held - s.from.held, Stalls: to.stalls - s.from.stalls, Timeline: s.points, Curve: s.all.Curve(),
	}, nil
}

// until takes rounds for a time, or until done.
func (f *Fleet) until(ctx context.Context, phase string, d time.Duration, done func() bool) error {
	begin, goal, from := nanotime(), f.stretch.quota, f.sent
	end := begin + int64(d)
	f.stretch.moved = begin
	for f.now = begin; f.now < end && !done(); {
		wait := min(time.Duration(end-f.now), 20*time.Millisecond)
		if len(f.willing) > 0 {
			wait = 0
		}
		if err := f.step(wait); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if f.now >= f.stretch.next {
			f.tick()
		}
		share := float64(f.now-begin) / float64(d)
		if goal > from {
			share = max(share, float64(f.sent-from)/float64(goal-from))
		}
		f.tell(phase, share, begin)
	}
	return nil
}

// tick ends a piece of the timeline, opens windows that lost messages keep closed, and pings where nothing was said.
func (f *Fleet) tick() {
	s := f.stretch
	seconds := float64(f.now-s.lastPoint) / float64(time.Second)
	s.points = append(s.points, Point{
		At: float64(f.now-s.begin) / float64(time.Second), P99: int64(s.tick.At(99) / time.Microsecond),
		Sent: float64(f.sent-s.lastSent) / seconds, Delivered: float64(f.delivered-s.lastDelivered) / seconds,
	})
	s.all.Merge(s.tick)
	s.tick.Reset()
	s.lastSent, s.lastDelivered, s.lastPoint, s.next = f.sent, f.delivered, f.now, f.now+int64(tickLength)
	if f.moved(); f.publishing && f.rate == 0 && f.now-s.moved > int64(stallTime) && !f.quiet() {
		f.forgive()
	}
	for _, c := range f.conns {
		if k := int64(c.spec.KeepAlive) * int64(time.Second); c.state == ready && k > 0 && f.now-c.spoken > k/2 {
			c.out = wire.AppendPing(c.out)
			f.touch(c)
		}
	}
}

// moved notes whether anything arrived since the last look.
func (f *Fleet) moved() {
	if now := f.delivered + f.acked; now != f.stretch.progress {
		f.stretch.progress, f.stretch.moved = now, f.now
	}
}

// forgive stops waiting for what was lost.
func (f *Fleet) forgive() {
	f.stalls++
	f.stretch.moved = f.now
	for _, p := range f.publishers {
		_, undelivered := p.under()
		p.forgiven += undelivered
		f.credit(p)
	}
}

// quiet says that nothing is under way.
func (f *Fleet) quiet() bool {
	for _, p := range f.publishers {
		if unacked, undelivered := p.under(); p.c.state == ready && unacked > 0 || undelivered > 0 {
			return false
		}
	}
	return true
}

// exhausted says that every publisher reached its limit or is gone, and there was one.
func (f *Fleet) exhausted() bool {
	for _, p := range f.publishers {
		if p.c.state == ready && (p.spec.Limit == 0 || p.seq < p.spec.Limit) {
			return false
		}
	}
	return len(f.publishers) > 0
}

// settle waits for what is under way, as long as something arrives, and a little longer for what should not come any more.
func (f *Fleet) settle(ctx context.Context, patience time.Duration) error {
	f.stretch.moved = nanotime()
	err := f.until(ctx, "drain", time.Minute, func() bool {
		f.moved()
		return f.quiet() || f.now-f.stretch.moved > int64(patience)
	})
	return errors.Join(err, f.until(ctx, "linger", linger, func() bool { return false }))
}
