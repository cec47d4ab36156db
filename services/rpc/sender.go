package rpc

import (
	"context"
	"runtime"
	"sync"

	"github.com/pando-mq/pando/services/broker"
)

// errEnded answers a Send on a channel that has ended.
var errEnded = broker.E(broker.KindUnavailable, "stream has ended", nil)

// errFull ends a channel whose queue is above its bound.
var errFull = broker.E(broker.KindBusy, "stream queue full", nil)

// errTooLarge ends a channel that was given an item which no gRPC message can carry.
var errTooLarge = broker.E(broker.KindTooLarge, "item above the message size limit", nil)

// sender is the sending end of a physical stream: the queues of all its channels and the goroutine that empties them.
type sender[O, T any] struct {
	size    func(*T) int
	maxItem int // bytes; a larger one would break the physical stream
	metrics *streamMetrics
	wake    chan struct{} // holds one token: look again

	mu    sync.Mutex
	ring  []*flow[O, T] // flows with something to send, each once
	spare []*flow[O, T]
}

// flow is the sending half of one channel. Its fields belong to the sender's lock.
//
//	open, then items as far as credit goes, then end; credit given back goes along with any of them
type flow[O, T any] struct {
	channel uint32
	open    *O
	opened  bool // open is queued or sent: items may go
	items   []T
	bytes   int  // of items
	high    bool // bytes passed half of the bound, and were not below a quarter since
	limited bool
	credit  int // bytes of items that may go, if limited; one item may overdraw it
	grant   int // bytes to give back
	due     bool
	end     *End
	ended   bool // end is queued, or the channel is dead: nothing is added
	queued  bool // it is in the ring
}

func newSender[O, T any](size func(*T) int, maxItem int, m *streamMetrics) *sender[O, T] {
	return &sender[O, T]{size: size, maxItem: maxItem, metrics: m, wake: make(chan struct{}, 1)}
}

// schedule puts a flow into the ring if it has something to send. Called with the lock held.
func (s *sender[O, T]) schedule(f *flow[O, T]) {
	if f.queued || !f.sendable() {
		return
	}
	f.queued = true
	s.ring = append(s.ring, f)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (f *flow[O, T]) sendable() bool {
	return f.open != nil || f.due || f.itemsReady() || f.end != nil && len(f.items) == 0
}

func (f *flow[O, T]) itemsReady() bool {
	return f.opened && len(f.items) > 0 && (!f.limited || f.credit > 0)
}

// start queues the first frame of a channel.
func (s *sender[O, T]) start(f *flow[O, T], open O) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.ended {
		return
	}
	f.open, f.opened = &open, true
	s.schedule(f)
}

// refuse queues the first frame of a channel, which is its last one too.
func (s *sender[O, T]) refuse(f *flow[O, T], open O) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.ended {
		return
	}
	f.open, f.ended, f.items, f.bytes = &open, true, nil, 0
	s.schedule(f)
}

// push queues items behind everything of the channel, and reports whether the queue is half full now and was not before. errFull: it would have more than bound
// bytes. errTooLarge: an item can never be sent.
func (s *sender[O, T]) push(f *flow[O, T], batch []T, bound int) (busy bool, err error) {
	n := 0
	for i := range batch {
		b := s.size(&batch[i])
		if b > s.maxItem {
			return false, errTooLarge
		}
		n += b
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.ended {
		return false, errEnded
	}
	if f.bytes+n > bound && f.bytes > 0 {
		return false, errFull
	}
	f.high = f.high && f.bytes >= bound/4
	f.bytes += n
	f.items = append(f.items, batch...)
	s.schedule(f)
	busy = !f.high && f.bytes > bound/2
	f.high = f.high || busy
	return busy, nil
}

// queued is how many bytes of items wait.
func (s *sender[O, T]) queued(f *flow[O, T]) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return f.bytes
}

// allow adds credit for items.
func (s *sender[O, T]) allow(f *flow[O, T], n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.credit += n
	s.schedule(f)
}

// give returns credit to the other side, at once if at least threshold bytes have gathered, otherwise with the next frame.
func (s *sender[O, T]) give(f *flow[O, T], n, threshold int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.grant += n
	if f.grant >= threshold && !f.ended {
		f.due = true
		s.schedule(f)
	}
}

// finish queues the last frame of a channel, behind those items that may go now; items without credit are dropped.
func (s *sender[O, T]) finish(f *flow[O, T], end *End) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.ended {
		return
	}
	n := 0
	for credit := f.credit; n < len(f.items) && (!f.limited || credit > 0); n++ {
		credit -= s.size(&f.items[n])
	}
	f.items = f.items[:n]
	f.limited, f.end, f.ended = false, end, true
	s.schedule(f)
}

// abandon drops everything of a channel that is dead, and says so to the other side if end is not nil.
func (s *sender[O, T]) abandon(f *flow[O, T], end *End) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.ended && f.end == nil {
		return
	}
	f.items, f.bytes, f.due, f.end, f.ended = nil, 0, false, end, true
	s.schedule(f)
}

// kill refuses a channel, or ends it if it was opened.
func (s *sender[O, T]) kill(f *flow[O, T], open O, end *End) {
	s.mu.Lock()
	opened := f.opened
	s.mu.Unlock()
	if opened {
		s.abandon(f, end)
		return
	}
	s.refuse(f, open)
}

// run sends what gathers until ctx ends or the stream breaks.
func (s *sender[O, T]) run(ctx context.Context, send func([]Frame[O, T]) error) error {
	var frames []Frame[O, T]
	for {
		var items int
		frames, items = s.gather(frames[:0])
		if len(frames) == 0 {
			select {
			case <-s.wake:
				runtime.Gosched() // let those that are about to send do so: fewer, larger messages
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err := send(frames); err != nil {
			return err
		}
		s.metrics.sent(items)
		for i := range frames {
			clear(frames[i].Items)
		}
		clear(frames)
	}
}

// gather takes what goes into the next gRPC message: a frame of each channel in turn.
func (s *sender[O, T]) gather(frames []Frame[O, T]) ([]Frame[O, T], int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	items, bytes := 0, 0
	list, again := s.ring, s.spare[:0]
	n := 0
	for ; n < len(list) && items < maxFrameItems && bytes < maxFrameBytes; n++ {
		f := list[n]
		frame, size := s.take(f, maxFrameItems-items, maxFrameBytes-bytes)
		frames = append(frames, frame)
		items += max(len(frame.Items), 1)
		bytes += size
		f.queued = f.sendable()
		if f.queued {
			again = append(again, f)
		}
	}
	next := append(list[:0:cap(list)], list[n:]...)
	next = append(next, again...)
	clear(again)
	clear(list[min(len(next), len(list)):])
	s.ring, s.spare = next, again
	return frames, items
}

// take removes from a flow what may go now, within the limits. Called with the lock held.
func (s *sender[O, T]) take(f *flow[O, T], maxItems, maxBytes int) (Frame[O, T], int) {
	frame := Frame[O, T]{Channel: f.channel, Open: f.open, Credit: f.grant}
	f.open, f.grant, f.due = nil, 0, false
	n, size := 0, 0
	for f.opened && n < len(f.items) && n < maxItems && size < maxBytes && (!f.limited || f.credit > 0) {
		b := s.size(&f.items[n])
		if n > 0 && size+b > maxBytes {
			break
		}
		size += b
		f.credit -= b
		n++
	}
	frame.Items, f.items = f.items[:n:n], f.items[n:]
	f.bytes -= size
	if len(f.items) == 0 {
		f.items, f.bytes = nil, 0
		frame.End, f.end = f.end, nil
	}
	return frame, size
}
