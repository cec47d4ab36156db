package rpc

import (
	"cmp"
	"context"
	"errors"
	"sync"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
)

// Ownership is what a channel hangs on: a partition in one epoch. The zero value means nothing but the process.
type Ownership struct {
	Space     cluster.Space
	Partition int
	Epoch     uint64
}

// over reports whether the view shows a later epoch.
func (o Ownership) over(v *cluster.View) bool {
	if o.Space == "" {
		return false
	}
	owner, ok := v.Owner(o.Space, o.Partition)
	return ok && owner.Epoch > o.Epoch
}

// Channel is the opener's end of one channel: a broker.PublishStream, DeliverStream or SessionStream.
type Channel[O, I, A any] struct {
	link    *link[O, I, A]
	flow    *flow[O, I]
	answers func([]A)
	owner   Ownership
	opened  chan struct{} // closed when Opened came; epoch is set then
	epoch   uint64
	done    chan struct{}

	mu      sync.Mutex
	ended   bool
	calling bool // answers is running: done is closed after it
	err     error
}

// Epoch is the ownership epoch that the server bound the channel to.
func (c *Channel[O, I, A]) Epoch() uint64 { return c.epoch }

// Done is closed when the channel has ended; no answer comes after it.
func (c *Channel[O, I, A]) Done() <-chan struct{} { return c.done }

// Err says why the channel ended; nil before.
func (c *Channel[O, I, A]) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Send passes a batch on, in order. It never blocks. When more is queued than the bound the channel ends with KindBusy.
func (c *Channel[O, I, A]) Send(batch []I) error {
	if len(batch) == 0 {
		return nil
	}
	d := c.link.mux.dialer
	busy, err := c.link.sender.push(c.flow, batch, d.cfg.QueueBytes)
	switch {
	case err == nil:
		if busy && d.deps.Busy != nil {
			d.deps.Busy(c.link.node, c.link.sender.queued(c.flow))
		}
		return nil
	case errors.Is(err, errFull), errors.Is(err, errTooLarge):
		c.link.sender.metrics.busy()
		c.giveUp(err)
	}
	return cmp.Or(c.Err(), err)
}

// Close ends the channel, behind what was sent and has credit.
func (c *Channel[O, I, A]) Close() {
	c.link.drop(c)
	c.link.sender.finish(c.flow, &End{})
	c.end(broker.E(broker.KindCanceled, "closed by its opener", nil))
}

// giveUp ends the channel from this side for a reason of its own.
func (c *Channel[O, I, A]) giveUp(err error) {
	c.link.drop(c)
	c.link.sender.abandon(c.flow, &End{})
	c.end(err)
}

// end closes done, once, after a running callback.
func (c *Channel[O, I, A]) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	c.ended, c.err = true, err
	if !c.calling {
		close(c.done)
	}
}

// dispatch calls the opener with answers. Only the link's reader calls it.
func (c *Channel[O, I, A]) dispatch(answers []A) {
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return
	}
	c.calling = true
	c.mu.Unlock()
	c.answers(answers)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calling = false
	if c.ended {
		close(c.done)
	}
}

// await waits until the server answered the opening.
func (c *Channel[O, I, A]) await(ctx context.Context) error {
	select {
	case <-c.opened:
		return nil
	case <-c.done:
		return c.Err()
	case <-ctx.Done():
		err := broker.E(broker.KindCanceled, "open "+c.link.mux.protocol.Name+" stream", ctx.Err())
		c.giveUp(err)
		return err
	}
}
