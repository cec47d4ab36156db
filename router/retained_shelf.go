package router

import (
	"errors"
	"fmt"
	"io"
	"math/bits"
	"os"
	"strings"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/session"
)

// held is a retained message as a state has it.
type held struct {
	m  *broker.Message // with a shelf: tenant, topic and expiry alone
	at place           // with a shelf: where the whole of it is
}

// size is what the message counts, or a little more.
func (h held) size() int { return h.m.Size() + int(h.at.n) }

// shelf keeps the messages of one retained partition in a file, for storage disc_only. The file follows from the log: it is made empty with each replay, and
// removed when the partition is given up or the router starts; nothing is ever synchronised. A record lies in a slot of a size that it shares with others, eight
// sizes for each power of two; a slot that is free is used again, so the file is as large as the most that ever lay in it, and an eighth more.
type shelf struct {
	file *os.File
	free map[int64][]int64 // size of slots -> offsets
	end  int64
	buf  []byte
}

// place is where a record lies.
type place struct {
	at int64
	n  uint32 // bytes; 0: nowhere
}

func newShelf(dir, name string) (*shelf, error) {
	f, err := os.CreateTemp(dir, name+"-*")
	if err != nil {
		return nil, fmt.Errorf("file of retained messages: %w", err)
	}
	return &shelf{file: f, free: map[int64][]int64{}}, nil
}

// close removes the file. A nil shelf has none.
func (s *shelf) close() error {
	if s == nil {
		return nil
	}
	return errors.Join(s.file.Close(), os.Remove(s.file.Name()))
}

// reset forgets everything.
func (s *shelf) reset() error {
	clear(s.free)
	s.end = 0
	return s.file.Truncate(0)
}

// slotSize is the size of the slots for n bytes.
func slotSize(n int) int64 {
	step := int64(1) << max(bits.Len(uint(n))-4, 3)
	return (int64(n) + step - 1) / step * step
}

// put writes a message.
func (s *shelf) put(m *broker.Message) (p place, err error) {
	s.buf = session.AppendMessage(s.buf[:0], m)
	p.n = uint32(len(s.buf))
	size := slotSize(len(s.buf))
	list := s.free[size]
	if len(list) > 0 {
		p.at = list[len(list)-1]
	} else {
		p.at = s.end
	}
	if _, err := s.file.WriteAt(s.buf, p.at); err != nil {
		return place{}, fmt.Errorf("write retained message: %w", err)
	}
	if len(list) > 0 {
		s.free[size] = list[:len(list)-1]
	} else {
		s.end += size
	}
	return p, nil
}

// drop gives a slot free.
func (s *shelf) drop(p place) {
	if p.n > 0 {
		size := slotSize(int(p.n))
		s.free[size] = append(s.free[size], p.at)
	}
}

// read appends a record, in the form of session.AppendMessage. It needs no lock: what it gives is of use if the record was not dropped meanwhile.
func (s *shelf) read(dst []byte, p place) ([]byte, error) {
	n := len(dst)
	dst = append(dst, make([]byte, p.n)...)
	if _, err := s.file.ReadAt(dst[n:], p.at); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("read retained message: %w", err)
	}
	return dst, nil
}

// load reads a message, as read does.
func (s *shelf) load(p place) (*broker.Message, error) {
	b, err := s.read(nil, p)
	if err != nil {
		return nil, err
	}
	m, _, err := session.DecodeMessage(b)
	return m, err
}

// hold makes what the state keeps of a message. It is to be put or dropped.
func (s *retainedState) hold(m *broker.Message) (held, error) {
	if s.shelf == nil {
		return held{m: m}, nil
	}
	at, err := s.shelf.put(m)
	if err != nil {
		return held{}, err
	}
	return held{&broker.Message{Tenant: m.Tenant, Topic: strings.Clone(m.Topic), Expires: m.Expires}, at}, nil
}

// let gives up what was held.
func (s *retainedState) let(h held) {
	if s.shelf != nil {
		s.shelf.drop(h.at)
	}
}
