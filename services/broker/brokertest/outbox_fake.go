package brokertest

import (
	"context"
	"sync"
	"time"

	"github.com/pando-mq/pando/services/broker"
)

// fakeOutbox sends publishes to a router in order, per topic partition, and again from the first unanswered one when a stream broke. It has a lock of its
// own, which is never held across a call.
type fakeOutbox struct {
	router broker.Router
	source func(topic int) broker.Source
	from   func() broker.NodeRef
	topics int
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	lanes   map[int]*fakeLane
	streams uint64
}

type fakeLane struct {
	next    uint64
	queue   []outboxEntry
	sent    int
	wake    chan struct{}
	running bool
}

type outboxEntry struct {
	broker.Publish
	done func(broker.PublishAck)
}

func newFakeOutbox(r broker.Router, topics int, from func() broker.NodeRef, source func(topic int) broker.Source) *fakeOutbox {
	o := &fakeOutbox{router: r, topics: topics, from: from, source: source, lanes: map[int]*fakeLane{}}
	o.ctx, o.cancel = context.WithCancel(context.Background())
	return o
}

func (o *fakeOutbox) close() {
	o.mu.Lock()
	o.cancel()
	o.mu.Unlock()
	o.wg.Wait()
}

// publish queues a message; done, if not nil, is called when the router answered it.
func (o *fakeOutbox) publish(m *broker.Message, share *broker.Share, done func(broker.PublishAck)) {
	if o.router == nil {
		return
	}
	t := hash(m.Tenant, m.Topic, o.topics)
	o.mu.Lock()
	defer o.mu.Unlock()
	l := o.lanes[t]
	if l == nil {
		l = &fakeLane{wake: make(chan struct{}, 1)}
		o.lanes[t] = l
	}
	l.next++
	l.queue = append(l.queue, outboxEntry{broker.Publish{Seq: l.next, Msg: m, Share: share}, done})
	select {
	case l.wake <- struct{}{}:
	default:
	}
	if !l.running && o.ctx.Err() == nil {
		l.running = true
		o.wg.Go(func() { o.run(t, l) })
	}
}

// run keeps a stream open until the fake is closed.
func (o *fakeOutbox) run(t int, l *fakeLane) {
	retry := time.NewTicker(time.Millisecond)
	defer retry.Stop()
	for {
		o.serve(t, l)
		select {
		case <-o.ctx.Done():
			return
		case <-retry.C:
		}
	}
}

func (o *fakeOutbox) serve(t int, l *fakeLane) {
	o.mu.Lock()
	o.streams++
	open := broker.PublishOpen{Source: o.source(t), From: o.from(), Stream: o.streams, First: l.next + 1}
	if len(l.queue) > 0 {
		open.First = l.queue[0].Seq
	}
	l.sent = 0
	o.mu.Unlock()
	s, err := o.router.OpenPublish(o.ctx, open, func(acks []broker.PublishAck) { o.acked(l, acks) })
	if err != nil {
		return
	}
	defer s.Close()
	for {
		if batch := o.take(l); len(batch) > 0 && s.Send(batch) != nil {
			return
		}
		select {
		case <-s.Done():
			return
		case <-o.ctx.Done():
			return
		case <-l.wake:
		}
	}
}

func (o *fakeOutbox) take(l *fakeLane) (batch []broker.Publish) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, e := range l.queue[l.sent:] {
		batch = append(batch, e.Publish)
	}
	l.sent = len(l.queue)
	return batch
}

func (o *fakeOutbox) acked(l *fakeLane, acks []broker.PublishAck) {
	for _, a := range acks {
		o.mu.Lock()
		var done []outboxEntry
		for len(l.queue) > 0 && l.sent > 0 && l.queue[0].Seq <= a.Seq {
			done = append(done, l.queue[0])
			l.queue = l.queue[1:]
			l.sent--
		}
		o.mu.Unlock()
		for _, e := range done {
			if e.done != nil {
				e.done(broker.PublishAck{Seq: e.Seq, Matched: a.Matched})
			}
		}
	}
}
