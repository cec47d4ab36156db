package edge

import (
	"context"
	"errors"
	"time"

	"github.com/pando-mq/pando/services/broker"
)

// retainedRoom is how many bytes of a clean session's queue retained messages may fill before their reading pauses.
const retainedRoom = 256 << 10

// retainedJob reads the retained messages for one new subscription.
type retainedJob struct {
	full  string // filter of the subscription
	inner string // to ask for
}

var errReaderDone = errors.New("the subscriber is gone")

// readRetained has the retained messages for a new subscription of a clean session read. One reader per connection works such jobs off in order; it holds one
// of readersMax places while it reads, and none while it waits for the client.
func (c *Conn) readRetained(job retainedJob) {
	c.mu.Lock()
	if c.sess == nil {
		c.mu.Unlock()
		return
	}
	c.toRead = append(c.toRead, job)
	start := !c.reading
	c.reading = true
	var ctx context.Context
	if start {
		ctx, c.stopRead = context.WithCancel(c.e.ctx)
	}
	c.mu.Unlock()
	if start {
		c.e.tasks.spawn(func() { c.reader(ctx) })
	}
}

// reader works off the jobs of one connection.
func (c *Conn) reader(ctx context.Context) {
	for {
		c.mu.Lock()
		if len(c.toRead) == 0 || ctx.Err() != nil {
			c.reading, c.toRead = false, nil
			c.stopRead()
			c.stopRead = nil
			c.mu.Unlock()
			return
		}
		job := c.toRead[0]
		c.toRead = c.toRead[1:]
		c.mu.Unlock()
		if err := c.read(ctx, job); err != nil && ctx.Err() == nil && !errors.Is(err, errReaderDone) {
			c.e.metrics.retainedFailed()
		}
	}
}

// read reads for one job. While partitions move it asks again, a few times.
func (c *Conn) read(ctx context.Context, job retainedJob) error {
	select {
	case c.e.readers <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-c.e.readers }()
	q := broker.RetainedQuery{Tenant: c.id.Tenant, Filter: job.inner}
	pause, given := retryFloor, false
	for {
		err := c.e.deps.Router.ReadRetained(ctx, q, func(batch []*broker.Message) error {
			given = true
			return c.takeRetained(ctx, job, batch)
		})
		if err == nil || given || !broker.KindOf(err).Retryable() {
			return err
		}
		if !sleep(ctx, pause) {
			return ctx.Err()
		}
		if pause *= 2; pause > 4*retryCeiling {
			return err
		}
	}
}

// takeRetained queues a batch for the client, at the pace the client takes it.
func (c *Conn) takeRetained(ctx context.Context, job retainedJob, batch []*broker.Message) error {
	for i, m := range batch {
		room, err := c.offerRetained(job, m)
		if err != nil {
			return err
		}
		if room == nil {
			continue
		}
		<-c.e.readers
		err = c.waitRoom(ctx, room)
		c.e.readers <- struct{}{}
		if err != nil {
			c.e.dropped(DropStalled, len(batch)-i-1)
			return err
		}
	}
	return nil
}

// waitRoom waits until the client's queue is short again.
func (c *Conn) waitRoom(ctx context.Context, room <-chan struct{}) error {
	t := time.NewTimer(c.e.cfg.Output.StallTime)
	defer t.Stop()
	select {
	case <-room:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return errReaderDone
	}
}

// offerRetained queues one message. room is closed when there is room for the next; nil: there is.
func (c *Conn) offerRetained(job retainedJob, m *broker.Message) (room <-chan struct{}, err error) {
	c.mu.Lock()
	if c.sess == nil {
		c.mu.Unlock()
		return nil, errReaderDone
	}
	due := false
	if g, ok := c.sess.GrantFor(job.full, m, c.e.deps.NodeName); ok {
		g.Retain = true
		if _, lost := c.enqueue(m, g, c.e.now()); lost > 0 {
			c.e.dropped(lost-1, 1)
		}
		c.pumpDue = true
		due = c.schedule()
		if c.crowded() {
			if c.roomCh == nil {
				c.roomCh = make(chan struct{})
			}
			room = c.roomCh
		}
	}
	c.mu.Unlock()
	if due {
		c.submit()
	}
	return room, nil
}

// crowded says that retained messages have to wait for the client. Called with the lock held.
func (c *Conn) crowded() bool {
	q := &c.e.set.Load().Queue
	n, bytes := c.sess.Queued(), c.sess.Bytes()
	return q.MaxLength > 0 && n >= max(1, q.MaxLength/2) || bytes >= min(retainedRoom, int64(q.MaxBytes)/2)
}

// uncrowd wakes who waits for room. Called with the lock held.
func (c *Conn) uncrowd() {
	if c.roomCh != nil && !c.crowded() {
		close(c.roomCh)
		c.roomCh = nil
	}
}
