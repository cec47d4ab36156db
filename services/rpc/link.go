package rpc

import (
	"context"
	"errors"
	"io"
	"math"
	"sync"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
)

// link is one physical stream from this process to another one, with its channels. run is its goroutine; it reads, and starts the one that sends.
type link[O, I, A any] struct {
	mux    *Mux[O, I, A]
	node   cluster.Node
	sender *sender[O, I]
	ctx    context.Context // ends with the link
	cancel context.CancelCauseFunc

	mu       sync.Mutex
	channels map[uint32]*Channel[O, I, A]
	last     uint32
	broken   bool // takes no channel any more
	idle     *time.Timer
}

// add makes a channel and queues its opening; nil: the link takes none any more.
func (l *link[O, I, A]) add(owner Ownership, open O, answers func([]A)) *Channel[O, I, A] {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken || l.last == math.MaxUint32 {
		return nil
	}
	if l.idle != nil {
		l.idle.Stop()
		l.idle = nil
	}
	l.last++
	c := &Channel[O, I, A]{
		link: l, flow: &flow[O, I]{channel: l.last, limited: true}, answers: answers, owner: owner,
		opened: make(chan struct{}), done: make(chan struct{}),
	}
	l.channels[l.last] = c
	l.sender.metrics.open(1)
	l.sender.start(c.flow, open)
	return c
}

// drop forgets a channel. A link without channels ends after a while.
func (l *link[O, I, A]) drop(c *Channel[O, I, A]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.channels[c.flow.channel] != c {
		return
	}
	delete(l.channels, c.flow.channel)
	l.sender.metrics.open(-1)
	if len(l.channels) == 0 && !l.broken {
		l.idle = time.AfterFunc(l.mux.dialer.cfg.IdleTimeout, l.closeIdle)
	}
}

func (l *link[O, I, A]) closeIdle() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.channels) == 0 {
		l.broken = true
		l.cancel(errors.New("idle"))
	}
}

// run connects, serves until the stream breaks, and ends what is still open.
func (l *link[O, I, A]) run() {
	err := l.serve()
	if cause := context.Cause(l.ctx); cause != nil {
		err = cause
	}
	l.cancel(err)
	l.mux.forget(l)
	l.mu.Lock()
	l.broken = true
	if l.idle != nil {
		l.idle.Stop()
	}
	channels := l.channels
	l.channels = nil
	l.mu.Unlock()
	l.sender.metrics.open(-len(channels))
	end := broker.E(broker.KindUnavailable, l.mux.protocol.Name+" stream to "+l.node.ID, err)
	for _, c := range channels {
		l.sender.abandon(c.flow, nil)
		c.end(end)
	}
}

func (l *link[O, I, A]) serve() error {
	conn, release, err := l.mux.dialer.pool.acquire(l.node.Addr)
	if err != nil {
		return err
	}
	defer release()
	wire, err := l.mux.protocol.Dial(l.ctx, conn)
	if err != nil {
		return FromStatus(err)
	}
	var sending sync.WaitGroup
	sending.Go(func() {
		if err := l.sender.run(l.ctx, wire.Send); !errors.Is(err, io.EOF) { // io.EOF: Recv knows why
			l.cancel(FromStatus(err))
		}
	})
	defer sending.Wait()
	for {
		frames, err := wire.Recv()
		if err != nil {
			err = FromStatus(err)
			l.cancel(err)
			return err
		}
		for i := range frames {
			l.receive(&frames[i])
		}
	}
}

// receive handles one frame. One of a channel that this side has ended already is late and changes nothing.
func (l *link[O, I, A]) receive(f *Frame[Opened, A]) {
	l.mu.Lock()
	c := l.channels[f.Channel]
	l.mu.Unlock()
	if c == nil {
		return
	}
	if f.Bad != nil {
		c.giveUp(broker.E(broker.KindInternal, "answer cannot be read", f.Bad))
		return
	}
	if o := f.Open; o != nil && !l.open(c, o) {
		return
	}
	if len(f.Items) > 0 {
		c.dispatch(f.Items)
	}
	if f.Credit > 0 {
		l.sender.allow(c.flow, f.Credit)
	}
	if f.End != nil {
		err := f.End.Err
		if err == nil {
			err = broker.E(broker.KindUnavailable, "closed by the server", nil)
		}
		l.drop(c)
		l.sender.abandon(c.flow, nil)
		c.end(err)
	}
}

// open takes the answer to an opening and reports whether the channel is open.
func (l *link[O, I, A]) open(c *Channel[O, I, A], o *Opened) bool {
	if o.Err != nil {
		l.drop(c)
		l.sender.abandon(c.flow, nil)
		c.end(o.Err)
		return false
	}
	select {
	case <-c.opened: // said twice
		return true
	default:
	}
	c.epoch = o.Epoch
	l.sender.allow(c.flow, o.Credit)
	close(c.opened)
	return true
}

// view ends what the cluster's new view shows to be over.
func (l *link[O, I, A]) view(v *cluster.View) {
	if inc := l.node.Incarnation; inc != 0 {
		if _, ok := v.ByIncarnation(inc); !ok {
			l.cancel(broker.Errorf(broker.KindUnavailable, "%s %s is gone", l.node.Role, l.node.ID))
			return
		}
	}
	var over []*Channel[O, I, A]
	l.mu.Lock()
	for _, c := range l.channels {
		if c.owner.over(v) {
			over = append(over, c)
		}
	}
	l.mu.Unlock()
	for _, c := range over {
		c.giveUp(broker.Errorf(broker.KindNotOwner, "%s partition %d has changed hands", c.owner.Space, c.owner.Partition))
	}
}
