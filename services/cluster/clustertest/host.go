package clustertest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/pando-mq/pando/services/cluster"
)

// Ledger is what the hosts of several members write their claims into. It checks what must hold for all of them: epochs of a partition
// grow, and never are two of its claims valid at once.
type Ledger struct {
	t      testing.TB
	mu     sync.Mutex
	claims map[slot][]*Held // by epoch
}

type slot struct {
	space     cluster.Space
	partition int
}

// Held is a claim that a Host got, and what became of it.
type Held struct {
	cluster.Claim
	Host *Host

	ctx             context.Context // of Acquire, to look at its end later
	failed          bool            // Acquire returned an error
	released        int             // how often Release was called
	validAtRelease  bool
	validAfterDrain bool
}

// NewLedger returns an empty ledger that reports to t.
func NewLedger(t testing.TB) *Ledger { return &Ledger{t: t, claims: make(map[slot][]*Held)} }

// Host is a cluster.PartitionHost of one space that records. The functions, if set before it is used, take part in the calls.
type Host struct {
	Name      string
	OnAcquire func(ctx context.Context, c cluster.Claim) error
	OnRelease func(ctx context.Context, p int)

	ledger *Ledger
	space  cluster.Space
}

// Host returns a host that writes into the ledger.
func (l *Ledger) Host(name string, s cluster.Space) *Host {
	return &Host{Name: name, ledger: l, space: s}
}

// Acquire records the claim.
func (h *Host) Acquire(ctx context.Context, c cluster.Claim) error {
	held := &Held{Claim: c, Host: h, ctx: ctx}
	h.ledger.add(held)
	if h.OnAcquire == nil {
		return nil
	}
	err := h.OnAcquire(ctx, c)
	if err != nil {
		h.ledger.mu.Lock()
		defer h.ledger.mu.Unlock()
		held.failed = true
	}
	return err
}

// Release records the end of the claim.
func (h *Host) Release(ctx context.Context, p int) {
	held := h.ledger.last(h, p)
	if held == nil {
		h.ledger.t.Errorf("%s: release of partition %d without a claim", h.Name, p)
		return
	}
	before := held.Valid()
	if h.OnRelease != nil {
		h.OnRelease(ctx, p)
	}
	after := held.Valid()
	h.ledger.mu.Lock()
	defer h.ledger.mu.Unlock()
	held.released++
	held.validAtRelease, held.validAfterDrain = before, after
	if held.released > 1 || held.failed {
		h.ledger.t.Errorf("%s: partition %d epoch %d released %d times, acquire failed: %v", h.Name, p, held.Epoch, held.released, held.failed)
	}
}

// add records a claim and checks it against the others. Acquire may be called late, when the claim is lost and a later one was made.
func (l *Ledger) add(held *Held) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := slot{held.Space, held.Partition}
	for _, old := range l.claims[s] {
		if old.Epoch == held.Epoch || old.Epoch > held.Epoch && held.Valid() {
			l.t.Errorf("partition %d: epoch %d of %s after %d of %s", s.partition, held.Epoch, held.Host.Name, old.Epoch, old.Host.Name)
		}
	}
	l.claims[s] = append(l.claims[s], held)
	slices.SortFunc(l.claims[s], func(a, b *Held) int { return cmp.Compare(a.Epoch, b.Epoch) })
	l.check(s)
}

// Check fails the test if two claims of one partition are valid at once.
func (l *Ledger) Check() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for s := range l.claims {
		l.check(s)
	}
}

// check asks the newest claims first: once one is valid, no earlier one may be, at any later time.
func (l *Ledger) check(s slot) {
	var valid []string
	for _, c := range slices.Backward(l.claims[s]) {
		if c.Valid() {
			valid = append(valid, fmt.Sprintf("epoch %d of %s", c.Epoch, c.Host.Name))
		}
	}
	if len(valid) > 1 {
		l.t.Errorf("space %s partition %d has valid claims: %v", s.space, s.partition, valid)
	}
}

// last returns the newest claim of a host for a partition.
func (l *Ledger) last(h *Host, p int) *Held {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range slices.Backward(l.claims[slot{h.space, p}]) {
		if c.Host == h {
			return c
		}
	}
	return nil
}

// Serving returns the claims of a host that it serves: acquired, not released, not failed, by partition.
func (h *Host) Serving() map[int]cluster.Claim {
	h.ledger.mu.Lock()
	defer h.ledger.mu.Unlock()
	serving := make(map[int]cluster.Claim)
	for s, claims := range h.ledger.claims {
		for _, c := range claims {
			if s.space == h.space && c.Host == h && c.released == 0 && !c.failed {
				serving[s.partition] = c.Claim
			}
		}
	}
	return serving
}

// all returns the claims a host ever got, in the order of their epochs.
func (h *Host) all() []*Held {
	h.ledger.mu.Lock()
	defer h.ledger.mu.Unlock()
	var all []*Held
	for s, claims := range h.ledger.claims {
		for _, c := range claims {
			if s.space == h.space && c.Host == h {
				all = append(all, c)
			}
		}
	}
	slices.SortFunc(all, func(a, b *Held) int { return cmp.Compare(a.Epoch, b.Epoch) })
	return all
}
