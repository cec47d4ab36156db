package chaos

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
)

// Options of a run.
type Options struct {
	Publishers int                        // half of them QoS 1, half QoS 2
	Sessions   int                        // persistent, each subscribed to some publishers
	Pace       time.Duration              // between two publishes of one publisher
	Stay, Away time.Duration              // about how long a session is connected, and away; Stay 0: it never leaves by itself
	Settle     time.Duration              // how long the end may take: everything acknowledged, everything delivered
	Addrs      func() []string            // MQTT listeners, asked at each connect
	Progress   func(acked, delivered int) // called each second; nil: not
}

// Run keeps the workload going while faults runs, then lets everything settle and checks. It fails only if the workload itself could not be done.
func Run(ctx context.Context, o Options, faults func(ctx context.Context) error) (*Report, error) {
	begin := time.Now()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	n := newNotes()
	var turn atomic.Uint64
	addr := func() string { list := o.Addrs(); return list[turn.Add(1)%uint64(len(list))] }
	settle, settleNow := context.WithCancel(ctx)
	defer settleNow()
	stop, stopNow := context.WithCancel(ctx)
	defer stopNow()

	var subs, pubs sync.WaitGroup
	defer func() { cancel(); subs.Wait(); pubs.Wait() }()
	sessions := make([]*subscriber, o.Sessions)
	for i := range sessions {
		s := &subscriber{id: i, filter: fmt.Sprintf("chaos/%d/#", i), notes: n, addr: addr, stay: o.Stay, away: o.Away, routed: make(chan struct{})}
		sessions[i] = s
		subs.Go(func() { s.run(ctx, settle) })
	}
	for _, s := range sessions {
		select {
		case <-s.routed:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(o.Settle):
			return nil, fmt.Errorf("session %d could not subscribe within %s", s.id, o.Settle)
		}
	}
	home := func(p int) int { return p % o.Sessions }
	qos := func(p int) byte { return byte(1 + p/o.Sessions%2) }
	for i := range o.Publishers {
		p := &publisher{id: i, qos: qos(i), topic: fmt.Sprintf("chaos/%d/p%d", home(i), i), pace: o.Pace, notes: n, addr: addr}
		pubs.Go(func() { p.run(ctx, stop) })
	}
	progress := make(chan struct{})
	go func() { defer close(progress); report(ctx, n, o.Progress) }()
	defer func() { cancel(); <-progress }()

	if err := faults(ctx); err != nil {
		return nil, err
	}
	settleNow()
	stopNow()
	if err := o.quiet(ctx, n, &pubs); err != nil {
		return nil, err
	}
	r := n.check(qos, home)
	found, err := o.retained(ctx, addr())
	if err != nil {
		return nil, fmt.Errorf("read retained messages: %w", err)
	}
	n.checkRetained(r, found)
	r.Took = time.Since(begin)
	return r, nil
}

// quiet waits until the publishers are done and nothing arrives any more for a while.
func (o Options) quiet(ctx context.Context, n *notes, pubs *sync.WaitGroup) error {
	ctx, cancel := context.WithTimeout(ctx, o.Settle)
	defer cancel()
	done := make(chan struct{})
	go func() { pubs.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		return fmt.Errorf("publishers are not acknowledged within %s", o.Settle)
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	_, last := n.total()
	for calm := 0; calm < 20 || !n.complete(); calm++ {
		select {
		case <-ctx.Done():
			return nil // what is missing now is lost: the report says so
		case <-tick.C:
		}
		if _, now := n.total(); now != last {
			last, calm = now, 0
		}
	}
	return nil
}

// complete reports whether everything acknowledged has arrived.
func (n *notes) complete() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	seen := make(map[messageKey]bool, len(n.acked))
	for _, list := range n.delivered {
		for _, d := range list {
			seen[d.messageKey] = true
		}
	}
	for k := range n.acked {
		if !seen[k] {
			return false
		}
	}
	return true
}

func report(ctx context.Context, n *notes, fn func(acked, delivered int)) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if fn != nil {
				fn(n.total())
			}
		}
	}
}

// retained reads the retained message of every publisher with a new client.
func (o Options) retained(ctx context.Context, addr string) (map[int]uint64, error) {
	l, err := dial(ctx, addr, "chaos-retained", true)
	if err != nil {
		return nil, err
	}
	defer l.close()
	if err := l.write(&packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: "chaos/#", QoS: 0}}}); err != nil {
		return nil, err
	}
	found := map[int]uint64{}
	for len(found) < o.Publishers {
		if err := l.conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			return nil, err
		}
		x, err := l.read()
		if err != nil {
			return found, nil //nolint:nilerr // nothing more comes: what is missing is in the report
		}
		if p, ok := x.(*packet.Publish); ok && p.Retain {
			who, k, err := parse(p.Payload)
			if err != nil {
				return nil, err
			}
			found[who] = max(found[who], k)
		}
	}
	return found, nil
}
