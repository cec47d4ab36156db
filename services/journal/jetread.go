package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Records are read by direct gets in batches (ADR-31 of NATS): one request is answered by up to windowRecords messages and an end mark. Any
// replica may answer, also one that lags. The next window is asked for before the present one is handed out.
const (
	windowRecords = 1024
	windowBytes   = 2 << 20
)

// Read implements Streams.
func (s *jetStreams) Read(ctx context.Context, name string, from, to uint64, fn func(uint64, []byte) error) error {
	if from > to {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	next := s.fetch(ctx, name, from, to)
	defer func() {
		cancel()
		if next != nil {
			<-next // its goroutine ended
		}
	}()
	for from <= to {
		w := <-next
		next = nil
		if w.err == nil && len(w.records) == 0 {
			w = s.atLeader(ctx, name, from)
		}
		from += uint64(len(w.records))
		if w.err == nil && from <= to {
			next = s.fetch(ctx, name, from, to)
		}
		for i, rec := range w.records {
			if err := fn(from-uint64(len(w.records)-i), rec); err != nil {
				return err
			}
		}
		if w.err != nil {
			return w.err
		}
	}
	return nil
}

// window is a run of records without a gap.
type window struct {
	records [][]byte
	err     error
}

// fetch reads the window that starts at from in a goroutine of its own.
func (s *jetStreams) fetch(ctx context.Context, name string, from, to uint64) chan window {
	c := make(chan window, 1)
	go func() { c <- s.window(ctx, name, from, to) }()
	return c
}

type getRequest struct {
	Sequence uint64 `json:"seq"`
	Batch    uint64 `json:"batch,omitempty"`
	MaxBytes int    `json:"max_bytes,omitempty"`
}

// window asks any replica for the records from..to and returns what it gave, up to the first gap; nothing if it has no record from.
func (s *jetStreams) window(ctx context.Context, name string, from, to uint64) (w window) {
	req, err := json.Marshal(getRequest{Sequence: from, Batch: min(to-from+1, windowRecords), MaxBytes: windowBytes})
	if err != nil {
		return window{err: err}
	}
	nc := s.readers[int(s.turn.Add(1))%len(s.readers)]
	inbox := nc.NewInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		return window{err: s.classify(err)}
	}
	defer func() { w.err = errors.Join(w.err, s.classify(sub.Unsubscribe())) }()
	if err := nc.PublishRequest("$JS.API.DIRECT.GET."+name, inbox, req); err != nil {
		return window{err: s.classify(err)}
	}
	for {
		m, err := s.nextMessage(ctx, sub)
		if err != nil {
			return window{err: fmt.Errorf("read stream %s from sequence %d: %w", name, from, s.classify(err))}
		}
		if status := m.Header.Get("Status"); len(m.Data) == 0 && status != "" {
			switch status {
			case "204", "404": // end of the batch; not here
				return w
			}
			return window{err: fmt.Errorf("read stream %s from sequence %d: %s %s", name, from, status, m.Header.Get("Description"))}
		}
		seq, err := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64)
		if err != nil {
			return window{err: fmt.Errorf("read stream %s from sequence %d: answer without a sequence: %w", name, from, err)}
		}
		if seq == from+uint64(len(w.records)) {
			w.records = append(w.records, m.Data)
		}
	}
}

func (s *jetStreams) nextMessage(ctx context.Context, sub *nats.Subscription) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	return sub.NextMsgWithContext(ctx)
}

type getAnswer struct {
	Error   *jetstream.APIError `json:"error"`
	Message *struct {
		Sequence uint64 `json:"seq"`
		Data     []byte `json:"data"`
	} `json:"message"`
}

// atLeader asks the leader of the stream for one record.
func (s *jetStreams) atLeader(ctx context.Context, name string, seq uint64) window {
	req, err := json.Marshal(getRequest{Sequence: seq})
	if err != nil {
		return window{err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	m, err := s.nc.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+name, req)
	if err != nil {
		return window{err: fmt.Errorf("read sequence %d of stream %s at its leader: %w", seq, name, s.classify(err))}
	}
	var a getAnswer
	if err := json.Unmarshal(m.Data, &a); err != nil {
		return window{err: fmt.Errorf("read sequence %d of stream %s at its leader: %w", seq, name, err)}
	}
	switch {
	case a.Error != nil && a.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return window{err: &CorruptError{Stream: name, Sequence: seq, Reason: "no such record, says the leader of the stream"}}
	case a.Error != nil:
		return window{err: fmt.Errorf("read sequence %d of stream %s at its leader: %w", seq, name, a.Error)}
	case a.Message == nil || a.Message.Sequence != seq:
		return window{err: fmt.Errorf("read sequence %d of stream %s at its leader: answer without the record", seq, name)}
	}
	return window{records: [][]byte{a.Message.Data}}
}
