package journal

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// NewJetStream returns a store whose logs are JetStream streams. The connection stays the caller's; it must reconnect for ever
// (nats.MaxReconnects(-1)), because a closed connection ends every log.
func NewJetStream(nc *nats.Conn, o Options, d Deps) (Store, error) {
	s, err := NewJetStreams(nc, o, d.Readers...)
	if err != nil {
		return nil, err
	}
	return New(s, o, d), nil
}

// NewJetStreams returns the JetStream streams alone. The stream of the log "SS_3" is SS_3 with the subject pando.journal.SS_3, its
// snapshots are in SNAP_SS_3.
//
// Readers are further connections to the same servers. A server answers the reads of one connection one after the other, so a process that opens many
// logs at its start reads them faster over several. They stay the caller's, like nc.
func NewJetStreams(nc *nats.Conn, o Options, readers ...*nats.Conn) (Streams, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("journal on JetStream: %w", err)
	}
	return &jetStreams{nc: nc, js: js, opts: o.withDefaults(), readers: append([]*nats.Conn{nc}, readers...)}, nil
}

type jetStreams struct {
	nc   *nats.Conn
	js   jetstream.JetStream
	opts Options

	readers []*nats.Conn
	turn    atomic.Uint32 // of the reader that takes the next window
}

// Error codes that the client has no names for (nats-server, server/errors.json).
const (
	codeAccountResources jetstream.ErrorCode = 10002 // limit of the account, nothing stored
	codeResources        jetstream.ErrorCode = 10023 // limit of the server, nothing stored
	codeStorageResources jetstream.ErrorCode = 10047 // no room for a new stream
	codeStoreFailed      jetstream.ErrorCode = 10077 // the text says why
)

func subject(name string) string { return "pando.journal." + name }

// Create implements Streams.
func (s *jetStreams) Create(ctx context.Context, name string) error {
	maxBytes := s.opts.MaxBytes
	if strings.HasPrefix(name, snapshotStream("")) {
		maxBytes = s.opts.SnapshotMaxBytes
	}
	_, err := s.js.CreateStream(ctx, jetstream.StreamConfig{
		Name:              name,
		Description:       "partition log, written by its owner only",
		Subjects:          []string{subject(name)},
		Retention:         jetstream.LimitsPolicy,
		Storage:           s.storage(),
		Replicas:          s.opts.Replicas,
		MaxBytes:          maxBytes,
		Discard:           jetstream.DiscardNew,
		DenyDelete:        true,
		AllowDirect:       true,
		MaxMsgsPerSubject: -1,
		PersistMode:       jetstream.DefaultPersistMode,
	})
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return nil // made with other limits, or by another owner at this moment
	}
	return s.classify(err)
}

func (s *jetStreams) storage() jetstream.StorageType {
	if s.opts.Level == Memory {
		return jetstream.MemoryStorage
	}
	return jetstream.FileStorage
}

// Info implements Streams.
func (s *jetStreams) Info(ctx context.Context, name string) (StreamInfo, error) {
	st, err := s.js.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return StreamInfo{}, nil
	}
	if err != nil {
		return StreamInfo{}, s.classify(err)
	}
	info := st.CachedInfo()
	if c := info.Config; c.Storage == jetstream.MemoryStorage && s.opts.Level != Memory {
		return StreamInfo{}, fmt.Errorf("stream %s keeps its records in memory, level %s: %w", name, s.opts.Level, ErrLevel)
	}
	return StreamInfo{
		Exists: true, First: info.State.FirstSeq, Last: info.State.LastSeq,
		Bytes: int64(info.State.Bytes), MaxBytes: max(0, info.Config.MaxBytes),
	}, nil
}

// Append implements Streams.
func (s *jetStreams) Append(ctx context.Context, name string, record []byte, condition uint64) (uint64, error) {
	opts := []jetstream.PublishOpt{jetstream.WithRetryAttempts(0)}
	if condition != Unconditional {
		opts = append(opts, jetstream.WithExpectLastSequence(condition))
	}
	ack, err := s.js.PublishMsg(ctx, &nats.Msg{Subject: subject(name), Data: record}, opts...)
	if err != nil {
		return 0, s.classify(err)
	}
	return ack.Sequence, nil
}

// Purge implements Streams.
func (s *jetStreams) Purge(ctx context.Context, name string, below uint64) error {
	st, err := s.js.Stream(ctx, name)
	if err == nil {
		err = st.Purge(ctx, jetstream.WithPurgeSequence(below))
	}
	return s.classify(err)
}

// MaxRecord implements Streams. The server counts the headers too.
func (s *jetStreams) MaxRecord() int { return int(s.nc.MaxPayload()) - 256 }

// classify turns the errors of which the outcome is known into those of Streams.
func (s *jetStreams) classify(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, nats.ErrConnectionClosed) || s.nc.IsClosed() {
		return fmt.Errorf("%w: %w", ErrStorageClosed, err)
	}
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return err
	}
	switch api.ErrorCode {
	case jetstream.JSErrCodeStreamWrongLastSequence, jetstream.JSErrCodeStreamWrongLastSequenceConstant:
		return fmt.Errorf("%w: %w", ErrRefused, err)
	case codeAccountResources, codeResources, codeStorageResources:
		return fmt.Errorf("%w: %w", ErrStreamFull, err)
	case codeStoreFailed:
		if strings.HasPrefix(api.Description, "maximum ") {
			return fmt.Errorf("%w: %w", ErrStreamFull, err)
		}
	}
	return err
}
