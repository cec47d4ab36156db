package journal

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Store opens partition logs. Implementations: NewMemory, NewJetStream, and New over any Streams.
type Store interface {
	// Open takes over the partition log name (for example "SS_3") for owner: it settles the tail, writes the epoch record, restores the
	// snapshot the log starts with, replays the events after it into m, then returns a Log ready for Append. It may start m more
	// than once, each time by Restore. A log that was never written makes no stream: its epoch record waits for the first event.
	//
	// Errors: ErrFenced if a newer epoch is in the log, ErrNoLease if owner.Valid said no, *CorruptError if the log holds something
	// else than was written, otherwise the error of m or of the storage. ctx bounds Open only, not the life of the Log.
	Open(ctx context.Context, name string, owner Owner, m Machine) (Log, error)
	Follower
}

// Owner is who opens a log.
type Owner struct {
	// Epoch grows from owner to owner: the create revision of the ownership key. One epoch has one Log at a time.
	Epoch uint64
	// Valid reports that the lease behind Epoch is still good, its margin included. It is asked before every epoch record and must not
	// block. Nil means always valid.
	Valid func() bool
}

// Machine is the state that a log rebuilds. Its methods are called by Open and Follow only, one at a time.
type Machine interface {
	// Restore replaces the whole state by a snapshot; an earlier state, half replayed, is thrown away. The machine may keep the slice. Follow
	// passes nil for the state before the first event.
	Restore(snapshot []byte) error
	// Apply applies one event. The slice is part of a larger record: copy what is kept.
	Apply(event []byte) error
}

// Log is an open partition log. All methods may be called from any goroutine.
type Log interface {
	// Append queues one event; it never blocks. The event is copied.
	//
	// If Append returns nil, done is called exactly once, in the order of Append, from the log's goroutine: with nil when the event is
	// durable at the configured level; after a non-nil error no later event succeeds. done must not block and must not call Close;
	// it may call Append. If Append returns an error nothing was queued and done is not called: ErrFull above the byte bound of
	// pending events, ErrTooLarge, ErrClosed after Close, or the error that ended the log.
	Append(event []byte, done func(error)) error

	// SnapshotDue reports that the log outgrew max(4 MiB, 2 x last snapshot) or half of its size limit, and no snapshot is under way.
	SnapshotDue() bool

	// Snapshot hands over the state that reflects exactly all events appended so far. It is written in the background as 512 KiB
	// chunks, its manifest goes into the log only after those events are durable, then the records and snapshots before it are purged. The log keeps
	// the slice. While a snapshot is under way, and on a log that was never written, the call does nothing.
	Snapshot(state []byte)

	// Stats returns the figures of this moment.
	Stats() Stats

	// Lost is closed when the log ended by itself: it was fenced, lost its lease, or failed for good. All callbacks were called before.
	Lost() <-chan struct{}

	// Err returns why the log ended, nil while it runs and after a clean Close.
	Err() error

	// Close stops accepting events, waits until the pending ones are durable, and ends the log; a snapshot under way is abandoned.
	// When ctx ends first, the pending events fail with its error, and Close returns it. Close may be called again.
	Close(ctx context.Context) error
}

// Stats are the figures of a log.
type Stats struct {
	Level         Level     // the durability asked for
	Epoch         uint64    // the owner's
	PendingBytes  int       // queued and in flight
	PendingEvents int       // queued and in flight
	Events        uint64    // durable since Open
	Batches       uint64    // appended since Open
	LastSequence  uint64    // stream sequence of the last durable record
	LogBytes      int64     // appended since the last snapshot, 1 KiB more for each record: what its replay costs
	StreamBytes   int64     // in the stream, an estimate between two look-ups
	MaxBytes      int64     // limit of StreamBytes; alarm at 70 %
	Snapshotting  bool      // a snapshot is under way, its purge included
	SnapshotBytes int       // size of the last snapshot
	SnapshotTime  time.Time // when the last snapshot of this Log got its manifest; zero if none
}

// Level is how durable an acknowledged event is; see the package comment.
type Level string

// Levels of durability.
const (
	Memory Level = "memory" // survives the loss of any process but the last NATS server with a copy
	Disk   Level = "disk"   // survives a killed process
	Fsync  Level = "fsync"  // survives a power loss
)

var (
	// ErrFenced: another owner writes this log.
	ErrFenced = errors.New("fenced by another owner")
	// ErrNoLease: the lease was not valid when an epoch record had to be written.
	ErrNoLease = errors.New("lease not valid")
	// ErrFull: the pending events reached their byte bound.
	ErrFull = errors.New("too many pending bytes")
	// ErrTooLarge: one event does not fit into a record.
	ErrTooLarge = errors.New("event too large")
	// ErrClosed: the log was closed.
	ErrClosed = errors.New("log closed")
)

// CorruptError tells that a stream holds something else than was written to it. The partition refuses to serve.
type CorruptError struct {
	Stream   string // name of the stream
	Sequence uint64 // record concerned
	Reason   string // what is wrong
}

// Error names the stream, the sequence and what is wrong.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("stream %s, sequence %d: %s", e.Stream, e.Sequence, e.Reason)
}

// Options are the limits of a store, the same for each of its logs. The zero value of a field selects its default.
type Options struct {
	Level            Level         // durability; default Fsync
	Replicas         int           // copies of each stream; default 1
	MaxBytes         int64         // size limit of a log's stream; appends wait from three quarters on until a snapshot made room; default 1 GiB
	SnapshotMaxBytes int64         // size limit of a snapshot stream, which holds two snapshots at times; default 1 GiB
	MaxPending       int           // bytes of pending events per log, then ErrFull; default 32 MiB, at most an eighth of MaxBytes
	MaxRecord        int           // bytes of events gathered into one record; default 256 KiB; one larger event is a record of its own
	SnapshotAfter    int64         // least LogBytes that make a snapshot due; default 4 MiB
	Timeout          time.Duration // after which the outcome of one request is unknown; default 5 s
	MaxSpacing       time.Duration // largest pause between two appends of one partition; default 2 ms; negative: none
}

const (
	chunkSize      = 512 << 10
	recordWeight   = 1 << 10 // a record is one message to read; a log of small ones is slow to replay long before it is large
	defaultMaxSize = 1 << 30
)

func (o Options) withDefaults() Options {
	set(&o.Level, Fsync)
	set(&o.Replicas, 1)
	set(&o.MaxBytes, defaultMaxSize)
	set(&o.SnapshotMaxBytes, defaultMaxSize)
	set(&o.MaxPending, 32<<20)
	o.MaxPending = int(min(int64(o.MaxPending), o.MaxBytes/8))
	set(&o.MaxRecord, 256<<10)
	set(&o.SnapshotAfter, 4<<20)
	set(&o.Timeout, 5*time.Second)
	set(&o.MaxSpacing, 2*time.Millisecond)
	return o
}

func set[T comparable](p *T, def T) {
	var zero T
	if *p == zero {
		*p = def
	}
}
