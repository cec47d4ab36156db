package authsvc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/pando-mq/pando/authsvc/store"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/journal"
)

const (
	// commandBatch changes travel together at most.
	commandBatch = 128
	// settleTime is how long an owner waits for its own projection and rules.
	settleTime = 15 * time.Second
	// reopenAfter and reopenMax bound the pauses before a log that ended is opened again.
	reopenAfter, reopenMax = 100 * time.Millisecond, 5 * time.Second
)

// owner is this process as the writer of the journal, for one claim. Its
// goroutine takes commands, one batch at a time: a batch is planned on a
// projection that has everything before it.
type owner struct {
	s        *Service
	claim    cluster.Claim
	commands chan *command
	cancel   context.CancelFunc // ends run
	ended    chan struct{}      // run returned

	mu     sync.Mutex
	log    journal.Log
	closed bool // by Release: no log is opened any more

	next uint64 // sequence number of the next event; of run's goroutine
}

// command is one change that somebody waits for.
type command struct {
	key  string // what it touches: two of one key never share a batch; "": nothing shares its batch
	plan func(ctx context.Context) ([]store.Event, error)
	done chan error // 1 slot

	last int // index in the batch of its last event, -1 for none; of run's goroutine
	err  error
}

// Acquire implements cluster.PartitionHost: it takes the journal over.
func (s *Service) Acquire(ctx context.Context, c cluster.Claim) error {
	o := &owner{s: s, claim: c, commands: make(chan *command), ended: make(chan struct{})}
	if err := o.open(ctx); err != nil {
		return err
	}
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	o.cancel = cancel
	go o.run(life)
	s.owner.Store(o)
	s.ownership.raise()
	s.metrics.owner.Set(1)
	s.deps.Log.Info("this process writes the journal of users and rules", slog.Uint64("epoch", c.Epoch))
	return nil
}

// Release implements cluster.PartitionHost. Changes under way are finished,
// those that wait are told to look for the next owner.
func (s *Service) Release(ctx context.Context, _ int) {
	o := s.owner.Swap(nil)
	if o == nil {
		return
	}
	s.metrics.owner.Set(0)
	o.cancel()
	o.mu.Lock()
	o.closed = true
	log := o.log
	o.mu.Unlock()
	if err := log.Close(ctx); err != nil {
		s.deps.Log.Warn("the journal of users and rules was left", slog.Any("error", err))
	}
	<-o.ended
	s.ownership.raise()
}

// open takes the log over and brings the projection to its end.
func (o *owner) open(ctx context.Context) error {
	f := newFeed(o.s.projection)
	log, err := o.s.deps.Journal.Open(ctx, journalName, journal.Owner{Epoch: o.claim.Epoch, Valid: o.claim.Valid}, f)
	if err != nil {
		return fmt.Errorf("open the journal of users: %w", err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if err = f.finish(); err == nil && o.closed {
		err = journal.ErrClosed
	}
	if err != nil {
		return errors.Join(fmt.Errorf("read the journal of users: %w", err), log.Close(ctx))
	}
	o.log, o.next = log, f.seen+1
	return nil
}

// run serves commands; a log that ended while the claim stands is opened again.
func (o *owner) run(ctx context.Context) {
	defer close(o.ended)
	for {
		o.serve(ctx)
		pause := reopenAfter
		for {
			t := time.NewTimer(pause)
			select {
			case <-ctx.Done():
				t.Stop()
				return
			case <-t.C:
			}
			err := o.open(ctx)
			if err == nil {
				break
			}
			o.s.deps.Log.Warn("the journal of users cannot be opened again", slog.Any("error", err))
			pause = min(2*pause, reopenMax)
		}
	}
}

// serve takes batches until the log ends or ctx does.
func (o *owner) serve(ctx context.Context) {
	var carry *command
	for {
		first := carry
		carry = nil
		if first == nil {
			select {
			case first = <-o.commands:
			case <-o.log.Lost():
				return
			case <-ctx.Done():
				return
			}
		}
		var batch []*command
		batch, carry = o.gather(first)
		if !o.commit(ctx, batch) {
			if carry != nil {
				carry.done <- broker.E(broker.KindNotOwner, "change", nil)
			}
			return
		}
		o.snapshot(ctx)
	}
}

// gather takes the commands that wait already and can share a batch. carry is
// the first one that cannot.
func (o *owner) gather(first *command) (batch []*command, carry *command) {
	batch = []*command{first}
	touched := map[string]bool{first.key: true}
	for first.key != "" && len(batch) < commandBatch {
		select {
		case c := <-o.commands:
			if c.key == "" || touched[c.key] {
				return batch, c
			}
			touched[c.key] = true
			batch = append(batch, c)
		default:
			return batch, nil
		}
	}
	return batch, nil
}

// commit plans a batch, makes it durable, applies it and answers. It returns
// false when the log has ended.
func (o *owner) commit(ctx context.Context, batch []*command) (goesOn bool) {
	plan, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	err := o.s.projection.waitApplied(plan, o.next-1)
	if err == nil && o.s.projection.applied() != o.next-1 {
		err = errHistory
	}
	switch {
	case ctx.Err() != nil:
		err = broker.E(broker.KindNotOwner, "change", err)
	case err != nil:
		err = broker.E(broker.KindUnavailable, "the projection is behind the journal", err)
	}
	var events []store.Event
	results := make(chan error, 4*len(batch)) // a command makes two events at most
	for _, c := range batch {
		c.last, c.err = -1, err
		if err == nil {
			events = o.append(plan, c, events, results)
		}
	}
	durable, failed := 0, error(nil)
	for range events {
		if err := <-results; err != nil {
			failed = err
		} else {
			durable++
		}
	}
	applied := o.apply(plan, events[:durable])
	for _, c := range batch {
		c.answer(durable, failed, applied, o.s.metrics)
	}
	if failed == nil {
		return true
	}
	select { // after a failure no event succeeds any more
	case <-o.log.Lost():
	case <-ctx.Done():
	}
	return false
}

// append plans one command and queues its events.
func (o *owner) append(ctx context.Context, c *command, events []store.Event, results chan<- error) []store.Event {
	planned, err := c.plan(ctx)
	encoded := make([][]byte, len(planned))
	for i := range planned {
		planned[i].Version, planned[i].Sequence = store.Version, o.next+uint64(i)
		if err == nil {
			if encoded[i], err = planned[i].Encode(); err != nil {
				err = broker.E(broker.KindInvalid, "change", err)
			}
		}
	}
	if err != nil && ctx.Err() != nil {
		err = broker.E(broker.KindNotOwner, "change", err) // the ownership ended, or planning took too long
	}
	if err != nil {
		c.err = err
		return events
	}
	for i, b := range encoded {
		if err := o.log.Append(b, func(err error) { results <- err }); err != nil {
			c.err = appendError(err, c.last < 0)
			return events
		}
		c.last = len(events)
		events = append(events, planned[i])
		o.next++
	}
	return events
}

// appendError gives an error of Append its kind; untouched: nothing of the
// change was appended, so that another owner may make it.
func appendError(err error, untouched bool) error {
	const op = "write the journal of users"
	switch {
	case errors.Is(err, journal.ErrFull):
		return broker.E(broker.KindBusy, op, err)
	case errors.Is(err, journal.ErrTooLarge):
		return broker.E(broker.KindTooLarge, op, err)
	case untouched:
		return broker.E(broker.KindNotOwner, op, err)
	}
	return broker.E(broker.KindUnavailable, op, err)
}

// apply brings durable events into the projection, and rules among them into
// force. If that fails they are durable all the same, and Follow brings them.
func (o *owner) apply(ctx context.Context, events []store.Event) error {
	if len(events) == 0 {
		return nil
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	if err := o.s.projection.apply(bounded, events...); err != nil {
		o.s.deps.Log.Error("changes are durable, but not in the projection yet", slog.Any("error", err))
		o.s.metrics.failures.WithLabelValues("apply").Inc()
		o.s.projection.report(err)
		if err := o.s.projection.waitApplied(ctx, events[len(events)-1].Sequence); err != nil {
			return err
		}
	}
	rules, err := o.s.rules.wait(ctx, o.s.projection.db.Load().RulesVersion())
	if err == nil && events[0].Type == store.ACLReload {
		err = rules.fileErr
	}
	return err
}

// answer tells the caller: how many events of the batch are durable, why not
// the others, and whether those that are were applied.
func (c *command) answer(durable int, failed, applied error, m *metrics) {
	switch {
	case c.err != nil:
	case c.last >= durable:
		c.err = broker.E(broker.KindUnavailable, "write the journal of users: the outcome is unknown", failed)
	case c.last >= 0 && applied != nil:
		c.err = broker.E(broker.KindUnavailable, "the change is durable, but not in force here yet", applied)
	}
	result := "ok"
	if c.err != nil {
		result = broker.KindOf(c.err).String()
	}
	m.changes.WithLabelValues(result).Inc()
	c.done <- c.err
}

// snapshot hands the projection to the log when that is due.
func (o *owner) snapshot(ctx context.Context) {
	if !o.log.SnapshotDue() || o.s.projection.applied() != o.next-1 {
		return
	}
	bounded, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	state, err := o.s.projection.db.Load().Snapshot(bounded)
	if err != nil {
		o.s.deps.Log.Error("no snapshot of the users could be made", slog.Any("error", err))
		o.s.metrics.failures.WithLabelValues("snapshot").Inc()
		return
	}
	o.log.Snapshot(state)
}

// do has the owner make a change. KindNotOwner: it was not begun.
func (o *owner) do(ctx context.Context, key string, plan func(context.Context) ([]store.Event, error)) error {
	c := &command{key: key, plan: plan, done: make(chan error, 1)}
	select {
	case o.commands <- c:
	case <-o.ended:
		return broker.E(broker.KindNotOwner, "change", nil)
	case <-ctx.Done():
		return broker.E(broker.KindCanceled, "change", context.Cause(ctx))
	}
	select {
	case err := <-c.done:
		return err
	case <-ctx.Done():
		return broker.E(broker.KindCanceled, "change", context.Cause(ctx))
	}
}
