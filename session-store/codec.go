package sessionstore

import (
	"encoding/binary"
	"errors"
	"math"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/session"
)

// ErrCorrupt is wrapped by what decoding an event or a snapshot returns for input that this package did not write.
var ErrCorrupt = errors.New("corrupt session partition data")

// clientKey names a client of one tenant.
type clientKey struct{ tenant, id string }

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendKey(dst []byte, k clientKey) []byte {
	return appendText(appendText(dst, k.tenant), k.id)
}

func appendShare(dst []byte, s *broker.Share) []byte {
	if s == nil {
		return append(dst, 0)
	}
	return appendText(appendText(append(dst, 1), s.Group), s.Filter)
}

func appendSource(dst []byte, s broker.Source) []byte {
	dst = append(dst, byte(s.Kind))
	dst = binary.AppendUvarint(dst, s.Incarnation)
	dst = binary.AppendUvarint(dst, uint64(s.Partition))
	return binary.AppendUvarint(dst, uint64(s.Topic))
}

// appendWill appends 0, or 1 and the will.
func appendWill(dst []byte, w *broker.Will) []byte {
	if w == nil {
		return append(dst, 0)
	}
	dst = binary.AppendVarint(append(dst, 1), int64(w.Delay))
	dst = binary.AppendVarint(dst, int64(w.Expiry))
	return session.AppendMessage(dst, w.Msg)
}

// reader cuts values off the front of a slice; after the first error all of them are zero.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail() {
	if r.err == nil {
		r.err = ErrCorrupt
	}
	r.b = nil
}

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.fail()
		return nil
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) byte() byte {
	if v := r.take(1); v != nil {
		return v[0]
	}
	return 0
}

// flags reads a byte in which only the bits of mask may be set.
func (r *reader) flags(mask byte) byte {
	v := r.byte()
	if v&^mask != 0 {
		r.fail()
	}
	return v
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

// number reads a count or an index that fits an int on every system.
func (r *reader) number() int {
	v := r.uvarint()
	if v > math.MaxInt32 {
		r.fail()
		return 0
	}
	return int(v)
}

// count reads how many things follow, each of at least one byte: never above what is left.
func (r *reader) count() int {
	v := r.uvarint()
	if v > uint64(len(r.b)) {
		r.fail()
		return 0
	}
	return int(v)
}

func (r *reader) text() string { return string(r.take(r.count())) }

func (r *reader) key() clientKey { return clientKey{tenant: r.text(), id: r.text()} }

func (r *reader) messageID() (id broker.MessageID) {
	copy(id[:], r.take(len(id)))
	return id
}

func (r *reader) message() *broker.Message {
	if r.err != nil {
		return &broker.Message{}
	}
	m, rest, err := session.DecodeMessage(r.b)
	if err != nil {
		r.fail()
		return &broker.Message{}
	}
	r.b = rest
	return m
}

func (r *reader) matched() *session.Matched {
	if r.err != nil {
		return nil
	}
	m, rest, err := session.DecodeMatched(r.b)
	if err != nil {
		r.fail()
		return nil
	}
	r.b = rest
	return m
}

func (r *reader) share() *broker.Share {
	if r.flags(1) == 0 {
		return nil
	}
	return &broker.Share{Group: r.text(), Filter: r.text()}
}

func (r *reader) source() broker.Source {
	s := broker.Source{Kind: broker.SourceKind(r.byte()), Incarnation: r.uvarint(), Partition: r.number(), Topic: r.number()}
	if s.Kind > broker.FromRetained {
		r.fail()
	}
	return s
}

func (r *reader) will() *broker.Will {
	if r.flags(1) == 0 {
		return nil
	}
	w := &broker.Will{Delay: r.duration(), Expiry: r.duration()}
	w.Msg = r.message()
	return w
}

// duration reads one that is not negative.
func (r *reader) duration() (d time.Duration) {
	d = time.Duration(r.varint())
	if d < 0 {
		r.fail()
		return 0
	}
	return d
}

// end fails if anything is left, and returns the error.
func (r *reader) end() error {
	if len(r.b) > 0 {
		r.fail()
	}
	return r.err
}
