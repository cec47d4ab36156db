package cluster

import (
	"context"
	"errors"
	"sync"
	"time"
)

// worker contends for one partition, serves it, and gives it back.
type worker struct {
	m         *member
	space     Space
	partition int
	host      PartitionHost
}

// recheck is how long a worker waits at most before it looks again, whatever the view does.
const recheck = 500 * time.Millisecond

// run repeats claim and hold until ctx ends or the membership is over.
func (w *worker) run(ctx context.Context) {
	wait := acquirePause()
	for {
		epoch, ok := w.claim(ctx)
		if !ok {
			return
		}
		err := w.hold(ctx, epoch)
		if err == nil {
			wait = acquirePause()
			continue
		}
		w.m.h.log.Warn("a partition could not be acquired", "space", w.space, "partition", w.partition, "epoch", epoch,
			"retry_in", wait.d, "error", err)
		if wait.sleep(ctx) != nil {
			return
		}
		wait = wait.next()
	}
}

// claim waits until the partition is this member's to take, and takes it. It returns false when ctx ended or the membership is over.
func (w *worker) claim(ctx context.Context) (epoch uint64, ok bool) {
	timer := time.NewTimer(recheck)
	defer timer.Stop()
	for {
		v, changed := w.m.h.observe()
		owner, held := v.Owner(w.space, w.partition)
		switch {
		case ctx.Err() != nil || w.m.over.Load():
			return 0, false
		case held && owner.Node.Incarnation == w.m.self.Incarnation:
			// A claim of unknown outcome, or a deletion that did not succeed: an epoch is never taken up again.
			w.giveBack(ctx, owner.Epoch)
		case !held && w.wanted(v) && w.m.Valid():
			if epoch, ok := w.tryClaim(ctx); ok {
				return epoch, true
			}
		}
		timer.Reset(recheck)
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
			return 0, false
		}
	}
}

func (w *worker) wanted(v *View) bool { return v.Assigned(w.space, w.partition) == w.m.self.ID }

// assignedAway says that another is to have the partition. Without a readable assignment everybody keeps what it has.
func (w *worker) assignedAway(v *View) bool {
	id := v.Assigned(w.space, w.partition)
	return id != "" && id != w.m.self.ID
}

// tryClaim writes the ownership key if it is absent and the member's key is still there.
func (w *worker) tryClaim(ctx context.Context) (epoch uint64, ok bool) {
	ctx, cancel := w.m.h.callContext(ctx)
	defer cancel()
	key := ownKey(w.space, w.partition)
	done, revision, err := w.m.h.store.txn(ctx,
		[]cond{{key: key}, {key: w.m.key, created: w.m.self.Incarnation}},
		[]write{{key: key, value: encodeOwner(w.m.self), lease: w.m.lease}})
	if err != nil {
		w.m.h.log.Debug("the outcome of a claim is unknown", "space", w.space, "partition", w.partition, "error", err)
		return 0, false
	}
	return revision, done
}

// hold serves the partition until the claim is lost or not wanted any more. It returns the error of Acquire.
func (w *worker) hold(ctx context.Context, epoch uint64) error {
	c := &claim{m: w.m, lost: make(chan struct{})}
	claimCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	began := time.Now()
	var acquireErr error
	acquired := async(func() {
		acquireErr = w.host.Acquire(claimCtx, Claim{
			Space: w.space, Partition: w.partition, Epoch: epoch, Valid: c.valid, Lost: c.lost,
		})
	})
	over := w.await(ctx, c, epoch, acquired)
	if over {
		cancel()
	}
	<-acquired
	if acquireErr == nil || !over {
		w.m.h.metrics.acquired(w.space, began, acquireErr)
	}
	if acquireErr == nil {
		if !over {
			w.await(ctx, c, epoch, nil)
		}
		w.release(ctx, c, epoch, cancel)
	}
	c.end()
	w.giveBack(ctx, epoch)
	if over {
		return nil // a claim that was not wanted any more did not fail
	}
	return acquireErr
}

// await returns false when done is closed, true when the claim is over: lost, and then it has been ended, or not wanted any more.
func (w *worker) await(ctx context.Context, c *claim, epoch uint64, done <-chan struct{}) bool {
	for {
		v, changed := w.m.h.observe()
		if w.checkLost(c, v, epoch) || ctx.Err() != nil || w.assignedAway(v) {
			return true
		}
		select {
		case <-done:
			return false
		case <-w.m.lost:
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// checkLost ends the claim if the membership is lost or the key is gone.
func (w *worker) checkLost(c *claim, v *View, epoch uint64) bool {
	owner, held := v.Owner(w.space, w.partition)
	gone := v.Revision >= epoch && (!held || owner.Epoch != epoch)
	if !gone && !w.m.over.Load() {
		return false
	}
	if c.end() {
		w.m.h.log.Warn("a partition is lost", "space", w.space, "partition", w.partition, "epoch", epoch)
	}
	return true
}

// release lets the host drain, and goes on watching for the loss of the claim meanwhile.
func (w *worker) release(ctx context.Context, c *claim, epoch uint64, cancel context.CancelFunc) {
	began := time.Now()
	drainCtx, stop := context.WithTimeout(context.WithoutCancel(ctx), w.m.h.options.DrainTimeout)
	defer stop()
	if c.ended() {
		cancel()
	}
	released := async(func() { w.host.Release(drainCtx, w.partition) })
	for waiting := true; waiting; {
		v, changed := w.m.h.observe()
		if w.checkLost(c, v, epoch) {
			cancel()
			changed = nil
		}
		lost := w.m.lost
		if c.ended() {
			lost = nil
		}
		select {
		case <-released:
			waiting = false
		case <-changed:
		case <-lost:
		}
	}
	w.m.h.metrics.released(w.space, began, c.ended())
}

// giveBack deletes the key of an epoch, so that another can claim. The claim is not Valid any more.
func (w *worker) giveBack(ctx context.Context, epoch uint64) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.m.h.options.DrainTimeout)
	defer cancel()
	for wait := storePause(); !w.m.over.Load(); wait = wait.next() {
		err := w.deleteKey(ctx, epoch)
		if err == nil {
			return
		}
		if wait.sleep(ctx) != nil {
			// The key stays until the lease ends, or until the next claim of this worker finds it.
			w.m.h.log.Warn("a partition could not be given back", "space", w.space, "partition", w.partition, "epoch", epoch,
				"error", errors.Join(ctx.Err(), err))
			return
		}
	}
}

func (w *worker) deleteKey(ctx context.Context, epoch uint64) error {
	ctx, cancel := w.m.h.callContext(ctx)
	defer cancel()
	key := ownKey(w.space, w.partition)
	_, _, err := w.m.h.store.txn(ctx, []cond{{key: key, created: epoch}}, []write{{key: key, delete: true}})
	return err
}

// claim is the inside of a Claim.
type claim struct {
	m    *member
	lost chan struct{}

	mu sync.Mutex // guards the closing of lost
}

// valid takes no lock: it is asked for each message.
func (c *claim) valid() bool { return c.m.Valid() && !c.ended() }

// end closes lost; it returns false if that was done before.
func (c *claim) end() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended() {
		return false
	}
	close(c.lost)
	return true
}

func (c *claim) ended() bool {
	select {
	case <-c.lost:
		return true
	default:
		return false
	}
}

// async runs f and closes the channel when it returned. The caller waits for it.
func async(f func()) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	return done
}
