package journal

import (
	"context"
	"errors"
)

// Streams is the storage below a Store: named, append-only sequences of records, numbered 1, 2, 3 ... A Store built by New adds everything else.
// NewMemoryStreams and NewJetStreams implement it, journaltest.Faults wraps one. Implementations are safe for concurrent use.
type Streams interface {
	// Create makes the stream if it is absent. When it returns nil, every later Info of anybody finds the stream.
	Create(ctx context.Context, name string) error

	// Info asks the leader of the stream. An absent stream has Exists false and is no error.
	Info(ctx context.Context, name string) (StreamInfo, error)

	// Append adds one record and returns its sequence. With a condition other than Unconditional the record is added only if the last
	// sequence of the stream is exactly that. ErrRefused: the condition did not hold. ErrStreamFull: no room. After both the record is not there.
	// ErrStorageClosed: no request will ever succeed. After any other error the record may be there, or land later. Append
	// sends at most one request.
	Append(ctx context.Context, name string, record []byte, condition uint64) (uint64, error)

	// Read calls fn for each record from..to, inclusive, in order, without a gap. A record that a replica does not have is asked again
	// at the leader; one that the leader does not have either ends Read with a *CorruptError. An error of fn ends Read. fn may keep the
	// record but must not change it.
	Read(ctx context.Context, name string, from, to uint64, fn func(sequence uint64, record []byte) error) error

	// Purge removes all records below a sequence.
	Purge(ctx context.Context, name string, below uint64) error

	// MaxRecord is the largest record in bytes that Append takes.
	MaxRecord() int
}

// Unconditional is the condition of an Append that has none.
const Unconditional = ^uint64(0)

// StreamInfo describes a stream.
type StreamInfo struct {
	Exists   bool
	First    uint64 // sequence of the first record; Last + 1 if there is none
	Last     uint64 // sequence of the last record ever added
	Bytes    int64  // of all records, with the overhead of the storage
	MaxBytes int64  // limit of Bytes; 0: none
}

var (
	// ErrRefused: the last sequence of the stream is not the expected one.
	ErrRefused = errors.New("wrong last sequence")
	// ErrStreamFull: the stream reached its size limit, or the storage of the servers.
	ErrStreamFull = errors.New("stream full")
	// ErrLevel: the stream is stored in another way than the configured level needs.
	ErrLevel = errors.New("stream does not fit the durability level")
	// ErrStorageClosed: the connection to the storage was closed for good.
	ErrStorageClosed = errors.New("storage closed")
)

// snapshotStream is the name of the stream that holds the snapshots of a log.
func snapshotStream(name string) string { return "SNAP_" + name }
