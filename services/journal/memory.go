package journal

import (
	"context"
	"sync"
)

// NewMemory returns a store whose streams live in this process: the same log on the same rules, without durability. Logs of one name fence one
// another, and what was durable is there again when the name is opened again, as long as the Store is kept.
func NewMemory() Store {
	return New(NewMemoryStreams(), Options{Level: Memory}, Deps{})
}

// NewMemoryStreams returns streams in the memory of this process, 1 GiB each at most.
func NewMemoryStreams() Streams {
	return &memoryStreams{streams: make(map[string]*memoryStream)}
}

const (
	memoryMaxRecord = 8 << 20
	memoryOverhead  = 32 // bytes counted per record beside its own
)

type memoryStreams struct {
	mu      sync.Mutex
	streams map[string]*memoryStream
}

type memoryStream struct {
	first   uint64 // sequence of records[0]
	records [][]byte
	bytes   int64
}

func (s *memoryStream) last() uint64 { return s.first + uint64(len(s.records)) - 1 }

// Create implements Streams.
func (s *memoryStreams) Create(ctx context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.streams[name] == nil {
		s.streams[name] = &memoryStream{first: 1}
	}
	return ctx.Err()
}

// Info implements Streams.
func (s *memoryStreams) Info(ctx context.Context, name string) (StreamInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[name]
	if st == nil {
		return StreamInfo{}, ctx.Err()
	}
	return StreamInfo{Exists: true, First: st.first, Last: st.last(), Bytes: st.bytes, MaxBytes: defaultMaxSize}, ctx.Err()
}

// Append implements Streams.
func (s *memoryStreams) Append(ctx context.Context, name string, record []byte, condition uint64) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[name]
	size := int64(len(record)) + memoryOverhead
	switch {
	case st == nil:
		return 0, &CorruptError{Stream: name, Reason: "no such stream"}
	case condition != Unconditional && condition != st.last():
		return 0, ErrRefused
	case st.bytes+size > defaultMaxSize:
		return 0, ErrStreamFull
	}
	st.records = append(st.records, append([]byte(nil), record...))
	st.bytes += size
	return st.last(), nil
}

// Read implements Streams.
func (s *memoryStreams) Read(ctx context.Context, name string, from, to uint64, fn func(uint64, []byte) error) error {
	for seq := from; seq <= to; seq++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		rec, ok := s.record(name, seq)
		if !ok {
			return &CorruptError{Stream: name, Sequence: seq, Reason: "no such record"}
		}
		if err := fn(seq, rec); err != nil {
			return err
		}
	}
	return nil
}

func (s *memoryStreams) record(name string, seq uint64) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[name]
	if st == nil || seq < st.first || seq > st.last() {
		return nil, false
	}
	return st.records[seq-st.first], true
}

// Purge implements Streams.
func (s *memoryStreams) Purge(ctx context.Context, name string, below uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[name]
	if st == nil {
		return ctx.Err()
	}
	for len(st.records) > 0 && st.first < below {
		st.bytes -= int64(len(st.records[0])) + memoryOverhead
		st.records[0] = nil
		st.records = st.records[1:]
		st.first++
	}
	return ctx.Err()
}

// MaxRecord implements Streams.
func (s *memoryStreams) MaxRecord() int { return memoryMaxRecord }
