package edge

import (
	"context"
	"sync"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/route"
	"github.com/pando-mq/pando/services/session"
)

const (
	redispatchTries = 5
	redispatchFloor = 20 * time.Millisecond
	redispatchBytes = 4 << 20 // of messages that wait for another try
)

// redispatch publishes messages of shared subscriptions again, so that another member of the group gets them: those for which no member is left here, and
// those that a member had not acknowledged when its connection ended. QoS 2 that was sent is never among them (MQTT 5.0 §4.8.2).
//
// A message may come back here, as long as routers have not heard that the members are gone. It is tried a few times, ever later, within
// output.share_age; then it is dropped and counted. One try is under way at a time.
type redispatch struct {
	e *Edge

	mu    sync.Mutex
	tries map[redispatchKey]*tries
	bytes int
}

type redispatchKey struct {
	id broker.MessageID
	broker.Share
}

type tries struct {
	n     int
	first time.Time
}

// later publishes a message to its group, in a goroutine: the caller may be inside a call of the router.
func (r *redispatch) later(m *broker.Message, s broker.Share) {
	now := r.e.now()
	size := m.Size()
	r.mu.Lock()
	pause, ok := r.next(redispatchKey{m.ID, s}, now)
	if ok = ok && !m.Expired(now) && r.bytes+size <= redispatchBytes; ok {
		r.bytes += size
	}
	r.mu.Unlock()
	if !ok {
		r.e.dropped(DropNoReceiver, 1)
		return
	}
	if !r.e.tasks.spawn(func() {
		if sleep(r.e.ctx, pause) {
			r.publish(m, s)
		}
		r.mu.Lock()
		r.bytes -= size
		r.mu.Unlock()
	}) {
		r.e.dropped(DropNoReceiver, 1)
	}
}

// next counts a try and says how long it waits. Called with the lock held.
func (r *redispatch) next(k redispatchKey, now time.Time) (time.Duration, bool) {
	age := r.e.cfg.Output.ShareAge
	t := r.tries[k]
	if t == nil {
		if len(r.tries) >= 1024 {
			for old, x := range r.tries {
				if now.Sub(x.first) > age {
					delete(r.tries, old)
				}
			}
		}
		if r.tries == nil {
			r.tries = make(map[redispatchKey]*tries)
		}
		t = &tries{first: now}
		r.tries[k] = t
	}
	t.n++
	if t.n > redispatchTries || now.Sub(t.first) > age {
		return 0, false
	}
	if t.n == 1 {
		return 0, true
	}
	return redispatchFloor << (2 * (t.n - 2)), true
}

// publish sends a message to its group; while the queue towards the routers is full it waits. It blocks.
func (r *redispatch) publish(m *broker.Message, s broker.Share) {
	share := s
	for {
		err := r.e.pub.Publish(m, &share, func(a broker.PublishAck) {
			if !a.Matched {
				r.e.dropped(DropNoReceiver, 1)
			}
		})
		if err == nil {
			return
		}
		if broker.KindOf(err) != broker.KindBusy {
			break
		}
		room := make(chan struct{})
		r.e.pub.NotifyRoom(func() { close(room) })
		if wait(r.e.ctx, room, "room") != nil {
			break
		}
	}
	r.e.dropped(DropNoReceiver, 1)
}

// all publishes again what a member left, in order, when the routers know that it left (or a second later). These messages were in its queue until now,
// so they are bounded by what queues may hold.
func (r *redispatch) all(left []session.Leftover) {
	if len(left) == 0 {
		return
	}
	spawned := r.e.tasks.spawn(func() {
		r.waitRouters(left)
		for i := range left {
			r.give(left[i].Msg, left[i].Share)
		}
	})
	if !spawned {
		r.e.dropped(DropNoReceiver, len(left))
	}
}

// waitRouters waits until the routers know of the groups' members here as they are now, at most a second.
func (r *redispatch) waitRouters(left []session.Leftover) {
	keys := map[route.Key]struct{}{}
	for i := range left {
		keys[route.Key{Tenant: left[i].Msg.Tenant, Filter: left[i].Share.Filter, Group: left[i].Share.Group}] = struct{}{}
	}
	ctx, cancel := context.WithTimeout(r.e.ctx, retryCeiling)
	defer cancel()
	for k := range keys {
		known := make(chan struct{})
		r.e.ann.Wait(k, func(error) { close(known) })
		select {
		case <-known:
		case <-ctx.Done():
			return
		}
	}
}

// give finds a group's next member: for a $local group here, otherwise through the routers.
func (r *redispatch) give(m *broker.Message, s broker.Share) {
	now := r.e.now()
	k := groupKey{m.Tenant, s}
	if m.Node == r.e.deps.NodeName && r.e.shares.has(k) && !r.e.groups.has(k) {
		d := r.e.dispatch()
		taken := d.share(&r.e.shares, k, m, m.Node, broker.StrategyRoundRobin)
		d.wake()
		if !taken {
			r.e.dropped(DropNoReceiver, 1)
		}
		return
	}
	r.mu.Lock()
	_, ok := r.next(redispatchKey{m.ID, s}, now)
	r.mu.Unlock()
	if !ok || m.Expired(now) {
		r.e.dropped(DropNoReceiver, 1)
		return
	}
	r.publish(m, s)
}
