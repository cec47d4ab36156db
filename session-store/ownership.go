package sessionstore

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/journal"
	"github.com/pando-mq/pando/services/route"
	"github.com/pando-mq/pando/services/topic"
)

// ownership is one claim of one partition. It outlives the openings of the log: when a log ends by itself while the claim stands (the lease
// was uncertain at a bad moment), it is opened again under the same epoch, so what counts per epoch is kept here.
type ownership struct {
	s      *Store
	claim  cluster.Claim
	routes *route.Announcer
	part   atomic.Pointer[partition] // nil while the log is being opened
	stop   chan struct{}
	wg     sync.WaitGroup

	streams atomic.Uint64        // numbers of publish streams
	counter uint64               // of connection epochs (rule N12); belongs to the lock of the partition
	counts  map[route.Key]counts // what routes was told; belongs to the lock of the partition
}

type counts struct{ members, online int }

func newOwnership(s *Store, c cluster.Claim) *ownership {
	o := &ownership{s: s, claim: c, stop: make(chan struct{}), counts: map[route.Key]counts{}}
	o.streams.Store(firstStream(c.Epoch))
	o.routes = route.NewAnnouncer(route.AnnouncerConfig{
		Origin:  broker.Origin{Kind: broker.FromSession, Partition: c.Partition, Node: s.self, Epoch: c.Epoch},
		Cluster: s.deps.Cluster, Routers: s.deps.Routers, Log: s.deps.Log,
	})
	return o
}

// open replays the log and begins to serve.
func (o *ownership) open(ctx context.Context) error {
	p := newPartition(o.s, o)
	log, err := o.s.deps.Journal.Open(ctx, fmt.Sprintf("SS_%d", o.claim.Partition), journal.Owner{Epoch: o.claim.Epoch, Valid: o.claim.Valid}, &replay{p: p})
	if err != nil {
		p.cancel()
		return err
	}
	p.begin(log)
	o.part.Store(p)
	return nil
}

// start watches the log and the claim, once the store shows the partition.
func (o *ownership) start() {
	o.catchUp()
	o.wg.Go(o.supervise)
}

// catchUp looks at the present view: the partition was not told of newer ones while it was being opened.
func (o *ownership) catchUp() {
	if p := o.part.Load(); p != nil {
		p.enter()
		p.sweep(o.s.deps.Cluster.View())
		p.leave()
	}
}

func (o *ownership) supervise() {
	for {
		p := o.part.Load()
		select {
		case <-o.stop:
			return
		case <-o.claim.Lost:
			o.drop(p)
			return
		case <-p.log.Lost():
		}
		o.s.deps.Log.Warn("the log of a session partition ended", slog.Int("partition", o.claim.Partition), slog.Any("error", p.log.Err()))
		o.drop(p)
		if !o.reopen() {
			return
		}
		o.s.metrics.reopened.Inc()
	}
}

// drop ends a partition without draining it.
func (o *ownership) drop(p *partition) {
	o.part.Store(nil)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	p.stop(ctx, broker.E(broker.KindNotOwner, "the partition was lost", nil))
}

const (
	reopenFloor   = 50 * time.Millisecond
	reopenCeiling = 2 * time.Second
)

// reopen opens the log again, until that works or the claim is over. A log that a newer owner fenced stays closed: the claim is about to be lost.
func (o *ownership) reopen() bool {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	o.wg.Go(func() {
		select {
		case <-o.stop:
		case <-o.claim.Lost:
		case <-ctx.Done():
		}
		cancel()
	})
	for pause := reopenFloor; rest(ctx, pause); pause = min(2*pause, reopenCeiling) {
		if !o.claim.Valid() {
			continue
		}
		err := o.open(ctx)
		if err == nil {
			o.catchUp()
			return true
		}
		o.s.deps.Log.Warn("the log of a session partition is not opened", slog.Int("partition", o.claim.Partition), slog.Any("error", err))
	}
	return false
}

// release drains and ends everything.
func (o *ownership) release(ctx context.Context) {
	close(o.stop)
	o.wg.Wait()
	if p := o.part.Swap(nil); p != nil {
		if o.claim.Valid() {
			p.drain(ctx)
		}
		p.stop(ctx, broker.E(broker.KindNotOwner, "the partition is handed over", nil))
	}
	o.close()
}

func (o *ownership) close() { o.routes.Close() }

// changed is the hook of the state: it keeps the routes in step.
func (o *ownership) changed(k route.Key, members, online int) {
	c := o.counts[k]
	c.members += members
	c.online += online
	if o.counts[k] = c; c == (counts{}) {
		delete(o.counts, k)
	}
	o.routes.Change(k, members, online)
}

// held is the hook of the state for exclusive topics.
func (o *ownership) held(k route.Key, h route.Hold, members int) {
	c := o.counts[k]
	if c.members += members; c == (counts{}) {
		delete(o.counts, k)
	} else {
		o.counts[k] = c
	}
	o.routes.Hold(k, h, members)
}

// load makes the routes agree with a replayed state.
func (o *ownership) load(st *state) {
	again := len(o.counts) > 0
	want, holds := map[route.Key]counts{}, map[route.Key]route.Hold{}
	for _, c := range st.clients {
		if c.sess == nil {
			continue
		}
		for _, sub := range c.sess.Subscriptions() {
			p, err := topic.Parse(sub.Filter)
			if err != nil {
				continue
			}
			if p.Exclusive {
				grant := c.sess.Granted(sub.Filter)
				if grant == 0 {
					continue
				}
				k := route.ExclusiveKey(c.key.tenant, p.Filter)
				want[k], holds[k] = counts{members: want[k].members + 1}, route.Hold{Client: c.key.id, Grant: grant}
			}
			k := shareKey(c.key.tenant, p)
			w := want[k]
			w.members++
			if p.Shared {
				w.online += one(c.sess.Attached())
			}
			want[k] = w
		}
	}
	for k := range o.counts {
		if _, ok := want[k]; !ok {
			want[k] = counts{}
		}
	}
	for k, w := range want {
		h, hold := holds[k]
		if had := o.counts[k]; hold || had != w {
			if hold {
				o.held(k, h, w.members-had.members)
			} else {
				o.changed(k, w.members-had.members, w.online-had.online)
			}
			if again {
				o.routes.Announce(k)
			}
		}
	}
}

// replay is the journal's view of a partition that is being opened.
type replay struct{ p *partition }

// Restore implements journal.Machine.
func (r *replay) Restore(snapshot []byte) error {
	st, err := decodeState(snapshot, r.p.s.topics)
	if err != nil {
		return err
	}
	r.p.st, r.p.configured = st, true
	return nil
}

// Apply implements journal.Machine.
func (r *replay) Apply(b []byte) error {
	e, err := decodeEvent(b)
	if err != nil {
		return err
	}
	e.apply(r.p.st)
	r.p.configured = true // the first event of a log says under which settings it was written
	return nil
}

// begin serves a partition whose log was replayed: routes first, then what is under way goes on.
func (p *partition) begin(log journal.Log) {
	p.enter()
	defer p.leave()
	p.log = log
	p.own.load(p.st)
	p.st.to, p.st.route, p.st.hold = &aftermath{}, p.own.changed, p.own.held
	p.pub = p.newPublisher()
	for _, c := range p.st.clients {
		if c.sess != nil {
			c.sess.Suspend()
			c.durable = c.sess.Version()
		}
		c.ready = false
	}
	p.startTimers()
	p.serving = true
	if p.configured && !sameSettings(p.st.set, p.s.set) && !p.commit(&configured{set: p.s.set}) {
		return
	}
	p.resend()
	p.startLanes()
	p.sweep(p.s.deps.Cluster.View())
	p.spawn(p.runTimers)
}
