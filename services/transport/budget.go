package transport

import "sync/atomic"

// Budget bounds the connections of several listeners together. Above it a
// connection is accepted, counted and closed at once, so that the process keeps
// the file descriptors that it needs for everything else; MaxRefusals at once may
// live on until they have heard why (Deps.Explain).
type Budget struct {
	most    int64
	changed func(full bool)
	used    atomic.Int64
	refused atomic.Uint64
	full    atomic.Bool

	refusals atomic.Int64 // connections that hear why they are refused, not in used
}

// NewBudget makes a Budget for most connections. changed may be nil; it hears
// true when a connection is refused and false when a tenth of the budget is free
// again. It is called by whoever accepts or ends a connection: it must not block.
func NewBudget(most int, changed func(full bool)) *Budget {
	if changed == nil {
		changed = func(bool) {}
	}
	return &Budget{most: int64(most), changed: changed}
}

// Used is the number of connections that are open.
func (b *Budget) Used() int { return int(b.used.Load()) }

// Refused is the number of connections refused so far.
func (b *Budget) Refused() uint64 { return b.refused.Load() }

// take reports whether there is room for one more; a nil Budget has no end.
func (b *Budget) take() bool {
	if b == nil {
		return true
	}
	if b.used.Add(1) <= b.most {
		return true
	}
	b.used.Add(-1)
	b.refused.Add(1)
	if b.full.CompareAndSwap(false, true) {
		b.changed(true)
	}
	return false
}

// give gives one back.
func (b *Budget) give() {
	if b == nil {
		return
	}
	if used := b.used.Add(-1); used <= b.most-(b.most+9)/10 && b.full.CompareAndSwap(true, false) {
		b.changed(false)
	}
}

// borrow reports whether one more connection may be told why it is refused.
func (b *Budget) borrow() bool {
	if b == nil || b.refusals.Add(1) <= MaxRefusals {
		return true
	}
	b.refusals.Add(-1)
	return false
}

// giveBack ends what borrow allowed.
func (b *Budget) giveBack() {
	if b != nil {
		b.refusals.Add(-1)
	}
}
