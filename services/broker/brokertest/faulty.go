package brokertest

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/pando-mq/pando/services/broker"
)

// Faults says how often a faulty wrapper does what. The numbers are probabilities, 0 to 1: of Refuse per opening or call, of the others per batch or call.
// The same Seed gives the same decisions in the same order of calls.
type Faults struct {
	Seed      uint64
	Refuse    float64       // an opening or a call fails with KindUnavailable, nothing happens
	Delay     float64       // a batch or a call waits, what comes behind it on the stream too
	Drop      float64       // a batch or a call is taken, then the stream breaks (the call fails) before the answer
	Duplicate float64       // a batch or a call is taken twice, and answered once
	MaxDelay  time.Duration // 0: 5 ms
}

// fault is one decision.
type fault uint8

const (
	noFault fault = iota
	delayed
	dropped
	duplicated
)

// faulty is what all wrappers share: the schedule, and the goroutines of their streams.
type faulty struct {
	f   Faults
	ctx context.Context
	end context.CancelFunc
	wg  sync.WaitGroup

	mu     sync.Mutex
	rng    *rand.Rand
	healed bool
	counts map[string]int
}

func newFaulty(f Faults) *faulty {
	if f.MaxDelay == 0 {
		f.MaxDelay = 5 * time.Millisecond
	}
	x := &faulty{f: f, rng: rand.New(rand.NewPCG(f.Seed, f.Seed)), counts: map[string]int{}}
	x.ctx, x.end = context.WithCancel(context.Background())
	return x
}

// Heal ends all faults.
func (x *faulty) Heal() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.healed = true
}

// Close ends all streams and waits for what runs.
func (x *faulty) Close() {
	x.mu.Lock()
	x.end()
	x.mu.Unlock()
	x.wg.Wait()
}

// Counts says how often each fault came: "refuse", "delay", "drop", "duplicate".
func (x *faulty) Counts() map[string]int {
	x.mu.Lock()
	defer x.mu.Unlock()
	out := map[string]int{}
	for k, n := range x.counts {
		out[k] = n
	}
	return out
}

// spawn runs fn in a goroutine that Close waits for. false: it is closed.
func (x *faulty) spawn(fn func()) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.ctx.Err() != nil {
		return false
	}
	x.wg.Go(fn)
	return true
}

// refuse decides about one opening or call.
func (x *faulty) refuse(op string) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.healed || x.rng.Float64() >= x.f.Refuse {
		return nil
	}
	x.counts["refuse"]++
	return broker.E(broker.KindUnavailable, op+" refused by the schedule", nil)
}

// next decides about one batch or call.
func (x *faulty) next() (fault, time.Duration) {
	x.mu.Lock()
	defer x.mu.Unlock()
	p, wait := x.rng.Float64(), time.Duration(x.rng.Int64N(int64(x.f.MaxDelay)))+1
	switch {
	case x.healed:
	case p < x.f.Drop:
		x.counts["drop"]++
		return dropped, 0
	case p < x.f.Drop+x.f.Duplicate:
		x.counts["duplicate"]++
		return duplicated, 0
	case p < x.f.Drop+x.f.Duplicate+x.f.Delay:
		x.counts["delay"]++
		return delayed, wait
	}
	return noFault, 0
}

// call does one unary call with faults.
func (x *faulty) call(ctx context.Context, op string, fn func() error) error {
	if err := x.refuse(op); err != nil {
		return err
	}
	what, wait := x.next()
	switch what {
	case delayed:
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return broker.E(broker.KindCanceled, op, ctx.Err())
		}
	case duplicated:
		if err := fn(); err != nil {
			return err
		}
	case dropped:
		if err := fn(); err != nil {
			return err
		}
		return broker.E(broker.KindUnavailable, op+" lost its answer by the schedule", nil)
	}
	return fn()
}
