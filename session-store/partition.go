package sessionstore

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/journal"
	"github.com/pando-mq/pando/services/route"
)

const (
	flushPause = 100 * time.Millisecond // answers of routers and other partitions are written down this late
	limboPause = time.Second            // before a copy that nobody took is routed again
	holdLimit  = time.Second            // how long publishes are held after a take-over
	forgetTime = 5 * time.Minute        // what is kept of a gateway that is gone
)

// partition is one opening of one session partition's log. Everything below mu belongs to mu.
//
// What a change leads to outside (replies, acks, pushes, kicks, publishes) waits in effects until the record is durable; it runs with the lock held and
// fills queues, which calls empties without the lock, in order, by one goroutine at a time.
type partition struct {
	s     *Store
	n     int
	epoch uint64
	own   *ownership
	slog  *slog.Logger

	ctx    context.Context // ends with the partition; its goroutines live by it
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex
	st       *state
	log      journal.Log // nil while replaying
	pub      *route.Publisher
	timers   timers
	serving  bool
	dead     bool
	draining bool          // nothing new is taken
	idle     chan struct{} // not nil while drain waits; closed when everything is durable

	configured bool // the log says under which settings it is written

	buf      []byte
	appended uint64 // events handed to the log
	durable  uint64 // of them
	pending  int    // bytes of those that are not durable
	sizes    []int  // of each of those
	unlooked int    // bytes since the last look whether a snapshot is due
	effects  []effect
	calls    []func()
	calling  bool

	waiting     []work // requests and deliveries that wait for room in the log
	waitingSize int

	gateways map[uint64]*gateway    // by incarnation: those with a stream or an attachment
	streams  map[int]*deliverStream // newest stream of each topic partition and lane
	soft     map[clientKey]*softClient
	softIDs  map[uint64]uint64 // as state.attaches, of Attaches that are in no log
	cursors  map[broker.Source]uint64
	holds    map[clientKey]*hold
	flaps    map[clientKey]time.Time // last take-overs
	acked    []uint64                // by topic partition: highest answer of the router that is not written down
	lanes    map[laneKey]*lane
	picks    map[route.Key]*pick
	flushing bool

	seen         map[uint64]struct{} // gateway incarnations of the last view that was swept
	swept        bool
	unseen       bool                // some attachment is of a gateway that the view does not show yet
	goneGateways map[uint64]struct{} // those whose timer to be forgotten runs

	reads   []*retainedRead
	readers int
	hits    []hit    // of the message being planned; kept for the next
	filters []string // of one session among them
}

// effect is what may happen once so many events are durable.
type effect struct {
	need uint64
	do   func()
}

// work is a batch that waits.
type work struct {
	size int
	run  func()
}

func newPartition(s *Store, own *ownership) *partition {
	p := &partition{
		s: s, n: own.claim.Partition, epoch: own.claim.Epoch, own: own,
		slog: s.deps.Log.With(slog.Int("partition", own.claim.Partition), slog.Uint64("epoch", own.claim.Epoch)),
		st:   newState(s.set.Load(), s.topics), gateways: map[uint64]*gateway{}, streams: map[int]*deliverStream{}, soft: map[clientKey]*softClient{},
		softIDs: map[uint64]uint64{}, cursors: map[broker.Source]uint64{}, holds: map[clientKey]*hold{}, flaps: map[clientKey]time.Time{},
		acked: make([]uint64, s.topics), lanes: map[laneKey]*lane{}, picks: map[route.Key]*pick{},
		goneGateways: map[uint64]struct{}{},
	}
	p.timers.wake = make(chan struct{}, 1)
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// now is the time of an event: whole milliseconds, as the log keeps it.
func (p *partition) now() time.Time { return time.UnixMilli(p.s.now().UnixMilli()) }

// enter takes the lock.
func (p *partition) enter() { p.mu.Lock() }

// leave makes the calls that are due and lets the lock go. If another goroutine makes calls at this moment, it makes these too.
func (p *partition) leave() {
	if p.calling || len(p.calls) == 0 {
		p.mu.Unlock()
		return
	}
	p.calling = true
	for len(p.calls) > 0 {
		calls := p.calls
		p.calls = nil
		p.mu.Unlock()
		for _, f := range calls {
			f()
		}
		p.mu.Lock()
	}
	p.calling = false
	p.mu.Unlock()
}

// call has f run without the lock, after everything that was asked for before.
func (p *partition) call(f func()) { p.calls = append(p.calls, f) }

// after runs do, with the lock held, once every event so far is durable: at once if that is so.
func (p *partition) after(do func()) {
	if p.durable == p.appended && len(p.effects) == 0 {
		do()
		return
	}
	p.effects = append(p.effects, effect{need: p.appended, do: do})
}

// commit writes an event to the log and applies it. It reports false if the partition is at its end: drop everything then.
func (p *partition) commit(e event) bool {
	if p.write(e) != nil {
		return false
	}
	e.apply(p.st)
	p.follow()
	return true
}

// write hands an event to the log, which the caller has seen to have room. An error other than ErrTooLarge ends the partition.
func (p *partition) write(e event) error {
	if p.dead {
		return journal.ErrClosed
	}
	if !p.configured {
		p.configured = true
		if err := p.write(&configured{set: p.st.set}); err != nil {
			return err
		}
	}
	p.buf = appendEvent(p.buf[:0], e)
	err := p.log.Append(p.buf, p.wrote)
	if err != nil {
		if !errors.Is(err, journal.ErrTooLarge) {
			p.die(broker.E(broker.KindNotOwner, "write to the partition's log", err))
		}
		return err
	}
	p.appended++
	p.pending += len(p.buf)
	p.sizes = append(p.sizes, len(p.buf))
	if cap(p.buf) > 1<<20 {
		p.buf = nil
	}
	return nil
}

// wrote is the log's callback: one more event is durable, or none ever will be again.
func (p *partition) wrote(err error) {
	p.enter()
	defer p.leave()
	if err != nil {
		p.die(broker.E(broker.KindNotOwner, "the partition's log ended", err))
	}
	if p.dead {
		return
	}
	p.durable++
	p.pending -= p.sizes[0]
	if p.unlooked += p.sizes[0]; p.unlooked > 1<<20 {
		p.unlooked = 0
		p.timers.nudge() // looks whether a snapshot is due
	}
	p.sizes = p.sizes[1:]
	for len(p.effects) > 0 && p.effects[0].need <= p.durable && !p.dead {
		do := p.effects[0].do
		p.effects[0].do = nil
		p.effects = p.effects[1:]
		do()
	}
	if len(p.effects) == 0 {
		p.effects = nil
	}
	p.goOn()
	if p.idle != nil && p.durable == p.appended {
		close(p.idle)
		p.idle = nil
	}
}

// take runs a batch now, or when the log has room again. It reports false if too much waits already.
func (p *partition) take(size int, run func()) bool {
	if p.free() {
		run()
		return true
	}
	if p.waitingSize > 0 && p.waitingSize+size > int(p.s.cfg.MaxWaiting) {
		return false
	}
	p.waiting = append(p.waiting, work{size: size, run: run})
	p.waitingSize += size
	p.s.metrics.waiting.Add(float64(size))
	return true
}

// free says whether work may begin at once. Called with the lock held.
func (p *partition) free() bool { return p.room() && len(p.waiting) == 0 }

// room says whether the log may be given more.
func (p *partition) room() bool { return !p.draining && p.pending < int(p.s.cfg.MaxPending) }

// goOn takes up what waits, while there is room.
func (p *partition) goOn() {
	for len(p.waiting) > 0 && p.room() && !p.dead {
		w := p.waiting[0]
		p.waiting[0] = work{}
		p.waiting = p.waiting[1:]
		p.waitingSize -= w.size
		p.s.metrics.waiting.Sub(float64(w.size))
		w.run()
	}
}

// die ends the partition at once: nothing that is not durable leaves it any more. Called with the lock held.
func (p *partition) die(err error) {
	if p.dead {
		return
	}
	p.dead, p.serving = true, false
	p.s.metrics.waiting.Sub(float64(p.waitingSize))
	p.effects, p.waiting, p.waitingSize = nil, nil, 0
	for _, g := range p.gateways {
		if g.stream != nil {
			g.stream.end(err)
		}
	}
	for _, d := range p.streams {
		d.end(err)
	}
	if p.idle != nil {
		close(p.idle)
		p.idle = nil
	}
	p.cancel()
}

// spawn runs fn in a goroutine that stop waits for.
func (p *partition) spawn(fn func()) {
	p.wg.Add(1)
	go func() {
		defer p.wg.Done()
		fn()
	}()
}

// drain takes nothing new and waits until everything is durable and answered, or ctx ends.
func (p *partition) drain(ctx context.Context) {
	p.enter()
	p.draining = true
	if p.dead || p.durable == p.appended {
		p.leave()
		return
	}
	idle := make(chan struct{})
	p.idle = idle
	p.leave()
	select {
	case <-idle:
	case <-ctx.Done():
	}
}

// stop ends the partition and waits for all that it started. Called without the lock, once.
func (p *partition) stop(ctx context.Context, err error) {
	p.enter()
	p.die(err)
	p.calmAll()
	p.leave()
	if p.pub != nil {
		p.pub.Close()
	}
	if p.log != nil {
		if err := p.log.Close(ctx); err != nil && p.log.Err() == nil {
			p.slog.Warn("the log was not closed in time", slog.Any("error", err))
		}
	}
	p.wg.Wait()
}
