package router

import (
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/session"
	"github.com/pando-mq/pando/services/topic"
)

func logName(partition int) string { return "RT_" + strconv.Itoa(partition) }

// retainedState is what the log of a retained partition rebuilds: it implements journal.Machine.
//
//	event    = version 1 | put, delete, delay | source | uvarint seq | uvarint topic epoch | put: message; delete: tenant, topic; delay: due, message
//	         | version 1 | fire | varint time | uvarint n
//	         | version 1 | sent | uvarint topic partition | uvarint seq
//	snapshot = version 2 | uvarint n, n x (source, seq) | uvarint n, n x (topic partition, epoch) | delayed (see delayed_state.go) | message ...
//	           version 1 is the same without the delayed
//	source   = kind | uvarint incarnation | uvarint partition | uvarint topic partition
//	due      = varint Unix milliseconds
type retainedState struct {
	tenants map[string]*topic.Retained[held]
	shelf   *shelf // of the messages, for storage disc_only; nil: they are in memory
	cursors map[broker.Source]uint64
	epochs  map[int]uint64                 // topic partition -> highest epoch seen (rule N10)
	dollars map[string]map[string]struct{} // tenant -> first levels that begin with $: "#" does not find them
	due     expiryHeap
	n       int
	delayed delayed
}

const (
	stateVersion    = 1 // of events
	snapshotVersion = 2
	opPut           = 1
	opDelete        = 2
	opDelay         = 3
	opFire          = 4
	opSent          = 5
)

// newRetainedState makes an empty state; topics is the number of topic partitions, which are what an outbox has a queue for.
func newRetainedState(topics int) *retainedState {
	return &retainedState{
		tenants: map[string]*topic.Retained[held]{}, cursors: map[broker.Source]uint64{}, epochs: map[int]uint64{},
		dollars: map[string]map[string]struct{}{}, delayed: newDelayed(topics),
	}
}

func (s *retainedState) len() int { return s.n }

// store is hold and put.
func (s *retainedState) store(m *broker.Message) error {
	h, err := s.hold(m)
	if err == nil {
		s.put(h)
	}
	return err
}

func (s *retainedState) put(h held) {
	m := h.m
	x := s.tenants[m.Tenant]
	if x == nil {
		x = topic.NewRetained[held]()
		s.tenants[m.Tenant] = x
	}
	if old, replaced := x.Put(m.Topic, h); replaced {
		s.let(old)
	} else {
		s.n++
	}
	if strings.HasPrefix(m.Topic, "$") {
		if s.dollars[m.Tenant] == nil {
			s.dollars[m.Tenant] = map[string]struct{}{}
		}
		first, _, _ := strings.Cut(m.Topic, "/")
		s.dollars[m.Tenant][first] = struct{}{}
	}
	if !m.Expires.IsZero() {
		heap.Push(&s.due, m)
		s.prune()
	}
}

// prune lets go of messages that were replaced or deleted before their time, when there are more of them than of others: a topic that is published to again and
// again must not keep them all.
func (s *retainedState) prune() {
	if len(s.due) <= 2*s.n+pruneFloor {
		return
	}
	s.due = slices.DeleteFunc(s.due, func(m *broker.Message) bool {
		cur, ok := s.get(m.Tenant, m.Topic)
		return !ok || cur.m != m
	})
	heap.Init(&s.due)
}

// pruneFloor is how many messages that are gone may be kept whatever their share.
const pruneFloor = 256

func (s *retainedState) get(tenant, name string) (h held, ok bool) {
	if x := s.tenants[tenant]; x != nil {
		return x.Get(name)
	}
	return held{}, false
}

func (s *retainedState) remove(tenant, name string) {
	if x := s.tenants[tenant]; x != nil {
		if h, ok := x.Delete(name); ok {
			s.let(h)
			s.n--
		}
	}
}

// page lists up to limit messages after a topic.
func (s *retainedState) page(tenant, filter, after string, limit int) (items []topic.Item[held], more bool) {
	if x := s.tenants[tenant]; x != nil {
		return x.Page(filter, after, limit)
	}
	return nil, false
}

// expire removes messages whose time has come and returns how many.
func (s *retainedState) expire(now time.Time) int {
	n := 0
	for len(s.due) > 0 && s.due[0].Expired(now) {
		m := heap.Pop(&s.due).(*broker.Message)
		if cur, ok := s.get(m.Tenant, m.Topic); ok && cur.m == m {
			s.remove(m.Tenant, m.Topic)
			n++
		}
	}
	return n
}

// expiryHeap orders messages by their end.
type expiryHeap []*broker.Message

func (h expiryHeap) Len() int           { return len(h) }
func (h expiryHeap) Less(i, j int) bool { return h[i].Expires.Before(h[j].Expires) }
func (h expiryHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *expiryHeap) Push(x any) { *h = append(*h, x.(*broker.Message)) }

// Pop implements heap.Interface.
func (h *expiryHeap) Pop() any {
	old := *h
	m := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return m
}

// appendEvent writes the event of one delivery.
func appendEvent(dst []byte, d *broker.Delivery, epoch uint64) []byte {
	op := byte(opPut)
	if len(d.Msg.Payload) == 0 {
		op = opDelete
	}
	dst = appendHead(dst, op, d, epoch)
	if op == opPut {
		return session.AppendMessage(dst, d.Msg)
	}
	return appendText(appendText(dst, d.Msg.Tenant), d.Msg.Topic)
}

// appendHead writes what the events of deliveries begin with.
func appendHead(dst []byte, op byte, d *broker.Delivery, epoch uint64) []byte {
	dst = appendSource(append(dst, stateVersion, op), d.Source)
	return binary.AppendUvarint(binary.AppendUvarint(dst, d.Seq), epoch)
}

func appendSource(dst []byte, s broker.Source) []byte {
	dst = append(dst, byte(s.Kind))
	dst = binary.AppendUvarint(dst, s.Incarnation)
	dst = binary.AppendUvarint(dst, uint64(s.Partition))
	return binary.AppendUvarint(dst, uint64(s.Topic))
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// Apply replays one event.
func (s *retainedState) Apply(event []byte) error {
	r := reader{b: event}
	version, op := r.byte(), r.byte()
	switch {
	case !r.bad && version != stateVersion:
		return fmt.Errorf("retained event of version %d, this program knows version %d: %w", version, stateVersion, errRecord)
	case r.bad:
		return fmt.Errorf("retained event: %w", errRecord)
	}
	if op == opFire || op == opSent {
		return s.delayed.replay(op, &r)
	}
	src, seq, epoch := r.source(), r.uvarint(), r.uvarint()
	if r.bad {
		return errRecord
	}
	switch op {
	case opDelay:
		due := r.varint()
		m, _, err := session.DecodeMessage(r.b)
		if err != nil || r.bad {
			return fmt.Errorf("delayed event: %w", errors.Join(errRecord, err))
		}
		s.delayed.add(due, m)
	case opPut:
		m, _, err := session.DecodeMessage(r.b)
		if err != nil {
			return fmt.Errorf("retained event: %w", err)
		}
		if err := s.store(m); err != nil {
			return err
		}
	case opDelete:
		tenant, name := r.text(), r.text()
		if r.bad {
			return errRecord
		}
		s.remove(tenant, name)
	default:
		return fmt.Errorf("retained event with op %d: %w", op, errRecord)
	}
	s.cursors[src] = max(s.cursors[src], seq)
	s.epochs[src.Topic] = max(s.epochs[src.Topic], epoch)
	return nil
}

// snapshot writes the whole state. An error is one of the shelf.
func (s *retainedState) snapshot() ([]byte, error) {
	dst := []byte{snapshotVersion}
	dst = binary.AppendUvarint(dst, uint64(len(s.cursors)))
	for src, seq := range s.cursors {
		dst = binary.AppendUvarint(appendSource(dst, src), seq)
	}
	dst = binary.AppendUvarint(dst, uint64(len(s.epochs)))
	for t, e := range s.epochs {
		dst = binary.AppendUvarint(binary.AppendUvarint(dst, uint64(t)), e)
	}
	dst = s.delayed.appendTo(dst)
	var err error
	add := func(_ string, h held) bool {
		if s.shelf == nil {
			dst = session.AppendMessage(dst, h.m)
		} else {
			dst, err = s.shelf.read(dst, h.at)
		}
		return err == nil
	}
	for tenant, x := range s.tenants {
		x.Query("#", add)
		for first := range s.dollars[tenant] {
			x.Query(first+"/#", add)
		}
	}
	return dst, err
}

// Restore replaces the state by a snapshot.
func (s *retainedState) Restore(snapshot []byte) error {
	was := s.shelf
	*s = *newRetainedState(len(s.delayed.out))
	if s.shelf = was; was != nil {
		if err := was.reset(); err != nil {
			return fmt.Errorf("file of retained messages: %w", err)
		}
	}
	if len(snapshot) == 0 {
		return nil
	}
	r := reader{b: snapshot}
	version := r.byte()
	if version != 1 && version != snapshotVersion {
		return fmt.Errorf("retained snapshot of version %d, this program knows versions 1 and %d: %w", version, snapshotVersion, errRecord)
	}
	for n := r.uvarint(); n > 0 && !r.bad; n-- {
		src := r.source()
		s.cursors[src] = r.uvarint()
	}
	for n := r.uvarint(); n > 0 && !r.bad; n-- {
		t := int(r.uvarint())
		s.epochs[t] = r.uvarint()
	}
	if version >= 2 {
		if err := s.delayed.restore(&r); err != nil {
			return err
		}
	}
	if r.bad {
		return errRecord
	}
	for len(r.b) > 0 {
		m, rest, err := session.DecodeMessage(r.b)
		if err != nil {
			return fmt.Errorf("retained snapshot: %w", err)
		}
		if err := s.store(m); err != nil {
			return err
		}
		r.b = rest
	}
	return nil
}

var errRecord = errors.New("not a record of this program")

// reader takes a record apart; after the first fault everything it gives is zero and bad is set.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) message() *broker.Message {
	if r.bad {
		return nil
	}
	m, rest, err := session.DecodeMessage(r.b)
	if err != nil {
		r.bad, rest = true, nil
	}
	r.b = rest
	return m
}

func (r *reader) text() string {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return ""
	}
	t := strings.Clone(string(r.b[:n]))
	r.b = r.b[n:]
	return t
}

func (r *reader) source() broker.Source {
	return broker.Source{
		Kind: broker.SourceKind(r.byte()), Incarnation: r.uvarint(), Partition: int(r.uvarint()), Topic: int(r.uvarint()),
	}
}
