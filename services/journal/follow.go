package journal

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// followEvery is the pause between two looks at a log that is followed.
const followEvery = 150 * time.Millisecond

// Follower reads logs that others own. Every Store is one.
type Follower interface {
	// Follow keeps m at what the log name holds until ctx ends: a replica of the owner's state, behind it by the time of one look, at most
	// 200 ms while the storage answers. It writes nothing, makes no stream and no consumer, and fences nobody.
	//
	// It begins with m.Restore: with the snapshot that the log starts with, or with nil, the state before the first event. Then m gets every event
	// in order. When the log is not the one that was read so far (it is shorter, gone, purged past the place reached, a batch is missing) or m
	// returns an error, it begins again, with Restore, after a pause of 10 ms doubling to 1 s. A storage that does not answer is asked again.
	//
	// caughtUp is called after each look, new events or not, when m has everything that was durable when the look began; it runs, as
	// the methods of m, on the caller's goroutine. Between a Restore and the next caughtUp the state of m is of the past.
	//
	// Follow blocks; it returns the error of ctx, or ErrStorageClosed.
	Follow(ctx context.Context, name string, m Machine, caughtUp func()) error
}

// follower is one pass over a log, from its beginning to the first inconsistency.
//
// Which prefix may be applied: everything up to the last sequence that the leader of the stream names, read without a gap. Whether a replay drops a
// record depends only on the records before it (is one of them of a newer epoch?), and those do not change any more: sequences only grow, purges
// take away only what a snapshot covers, and a base is a record of the newest epoch. So what this pass decides about a record is what the replay of
// every later owner decides, whoever comes: an epoch record that lands later drops what comes behind it, never what is before it. An event
// whose callback got an error may be in that prefix; then every replay has it too. What the leader names is committed, so that a new
// leader has it. Only a power loss below level fsync takes acknowledged records away again; then the log is shorter, or the next batch
// number does not fit, and the pass ends.
type follower struct {
	p        *partition // for reading; it owns nothing
	m        Machine
	caughtUp func()
	r        *replay // its end is the last sequence that m has; nil before the first look
}

// Follow implements Store.
func (s *store) Follow(ctx context.Context, name string, m Machine, caughtUp func()) error {
	if err := checkName(name); err != nil {
		return err
	}
	p := &partition{
		name: name, owner: Owner{Epoch: math.MaxUint64}, streams: s.streams, opts: s.opts, meter: s.meter, metrics: s.deps.Metrics,
		log: s.deps.Log.With("journal", name),
	}
	var pause backoff
	for {
		f := &follower{p: p, m: m, caughtUp: func() { pause = backoff{}; caughtUp() }}
		err := f.run(ctx)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, ErrStorageClosed):
			return fmt.Errorf("follow journal %q: %w", name, err)
		case errors.Is(err, errPurged):
			p.log.Debug("following again from the snapshot", "error", err)
		case pause.next == 0:
			p.log.Warn("following again from the beginning", "error", err)
		}
		if err := pause.wait(ctx); err != nil {
			return err
		}
	}
}

// run looks at the log until something is wrong or ctx ends.
func (f *follower) run(ctx context.Context) error {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		if err := f.look(ctx); err != nil {
			return err
		}
		f.caughtUp()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// look applies what came since the last look.
func (f *follower) look(ctx context.Context) error {
	var info StreamInfo
	err := f.p.persist(ctx, "look at the log", func(ctx context.Context) (err error) {
		info, err = f.p.lookUp(ctx)
		return err
	})
	if err != nil {
		return err
	}
	if f.r == nil {
		err = f.begin(info)
	} else {
		err = f.compare(info)
	}
	if err != nil || info.Last <= f.r.end {
		return err
	}
	f.r.first, f.r.end = max(f.r.end+1, info.First), info.Last
	err = f.r.run(ctx)
	f.r.sizes = nil // only an owner measures its log
	if f.p.purged(ctx, err) {
		return errPurged
	}
	return err
}

// begin starts the pass. A log that was purged brings its snapshot; before any other there is nothing.
func (f *follower) begin(info StreamInfo) error {
	f.r = &replay{p: f.p, m: f.m, ready: info.First <= 1}
	if !f.r.ready {
		return nil
	}
	if err := f.m.Restore(nil); err != nil {
		return fmt.Errorf("restore the empty state of stream %s: %w", f.p.name, err)
	}
	return nil
}

// compare makes sure that the log is the one that was read so far.
func (f *follower) compare(info StreamInfo) error {
	at := f.r.end
	switch {
	case !info.Exists && at > 0:
		return f.p.corrupt(at, "the stream is gone")
	case info.Last < at:
		return f.p.corrupt(info.Last, fmt.Sprintf("the stream ends here, but sequence %d was read", at))
	case info.First > at+1:
		return errPurged
	}
	return nil
}
