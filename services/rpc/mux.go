package rpc

import (
	"context"
	"sync"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
)

// Mux is the client side of one protocol towards all processes: one physical stream each, made at the first Open and again after it broke.
type Mux[O, I, A any] struct {
	dialer   *Dialer
	protocol Protocol[O, I, A]
	metrics  *streamMetrics
	ctx      context.Context // parent of the links'
	cancel   context.CancelCauseFunc
	running  sync.WaitGroup

	mu     sync.Mutex
	links  map[linkKey]*link[O, I, A]
	closed bool
}

// linkKey is a process at an address: a restarted one is another.
type linkKey struct {
	addr        string
	incarnation uint64
}

// NewMux makes the client side of a protocol. It ends with the dialer.
func NewMux[O, I, A any](d *Dialer, p Protocol[O, I, A]) *Mux[O, I, A] {
	m := &Mux[O, I, A]{dialer: d, protocol: p, metrics: d.metrics.stream(p.Name), links: make(map[linkKey]*link[O, I, A])}
	m.ctx, m.cancel = context.WithCancelCause(context.Background())
	d.attach(m)
	return m
}

// Open opens a channel to a process. It waits for the server's answer; answers are called from then on, by one goroutine, in order, and must not block.
// Errors: what the server's implementation says, KindUnavailable, KindCanceled.
func (m *Mux[O, I, A]) Open(ctx context.Context, node cluster.Node, owner Ownership, open O, answers func([]A)) (*Channel[O, I, A], error) {
	if node.Addr == "" {
		return nil, broker.Errorf(broker.KindUnavailable, "%s %s has no address", node.Role, node.ID)
	}
	if _, ok := m.dialer.view().ByIncarnation(node.Incarnation); !ok && node.Incarnation != 0 {
		return nil, broker.Errorf(broker.KindUnavailable, "%s %s is gone", node.Role, node.ID)
	}
	if err := ctx.Err(); err != nil {
		return nil, broker.E(broker.KindCanceled, "open "+m.protocol.Name+" stream", err)
	}
	c, err := m.add(node, owner, open, answers)
	if err != nil {
		return nil, err
	}
	if v := m.dialer.view(); owner.over(v) { // it changed hands while the channel was not in the list yet
		c.link.view(v)
	}
	if err := c.await(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// add makes the channel on the process' link, a new one if the present one is at its end.
func (m *Mux[O, I, A]) add(node cluster.Node, owner Ownership, open O, answers func([]A)) (*Channel[O, I, A], error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, errStopped
	}
	key := linkKey{node.Addr, node.Incarnation}
	if l := m.links[key]; l != nil {
		if c := l.add(owner, open, answers); c != nil {
			return c, nil
		}
	}
	l := &link[O, I, A]{
		mux: m, node: node, sender: newSender[O](m.protocol.ItemSize, m.dialer.cfg.maxItem(), m.metrics),
		channels: make(map[uint32]*Channel[O, I, A]),
	}
	l.ctx, l.cancel = context.WithCancelCause(m.ctx)
	m.links[key] = l
	c := l.add(owner, open, answers)
	m.running.Go(l.run)
	return c, nil
}

// forget takes a link that ended out of the map.
func (m *Mux[O, I, A]) forget(l *link[O, I, A]) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := linkKey{l.node.Addr, l.node.Incarnation}
	if m.links[key] == l {
		delete(m.links, key)
	}
}

// follow tells the links about a new view. Part of streams.
func (m *Mux[O, I, A]) follow(v *cluster.View) {
	for _, l := range m.all() {
		l.view(v)
	}
}

func (m *Mux[O, I, A]) all() []*link[O, I, A] {
	m.mu.Lock()
	defer m.mu.Unlock()
	links := make([]*link[O, I, A], 0, len(m.links))
	for _, l := range m.links {
		links = append(links, l)
	}
	return links
}

// stop ends all links and waits for their goroutines. Part of streams.
func (m *Mux[O, I, A]) stop() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.cancel(errStopped)
	m.running.Wait()
}
