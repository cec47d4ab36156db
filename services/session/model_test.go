package session_test

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/session"
	"pgregory.net/rapid"
)

// item is one message in the model.
type item struct {
	index    uint64 // of QoS 0: the tail when it came
	prio     int
	size     int64
	grant    session.Grant
	msg      *broker.Message
	received bool
	out      bool // the connection has it
	counted  bool // it takes a place of the receive maximum
	dup      bool
}

// model is a session written down as plainly as possible: lists, searched from the front.
type model struct {
	set            session.Config
	now            time.Time
	tail           uint64
	size           int
	attached, live bool
	queued         []*item // QoS 1 and 2
	zero           []*item
	window         []*item
	held           map[uint16]time.Time
	dropped        int
}

func (m *model) prio(topic string) int {
	if m.set.Queue.Type != session.QueuePriority {
		return 0
	}
	return m.set.Queue.Priority[topic]
}

func total(lists ...[]*item) (n int64) {
	for _, l := range lists {
		for _, it := range l {
			n += it.size
		}
	}
	return n
}

// victim is the place of the oldest item of the lowest priority, up to a highest allowed one; -1 if there is none.
func victim(list []*item, highest int) int {
	best := -1
	for i, it := range list {
		if it.prio <= highest && (best < 0 || it.prio < list[best].prio) {
			best = i
		}
	}
	return best
}

const anyPrio = 1 << 30

func (m *model) remove(list *[]*item, i int) {
	*list = slices.Delete(*list, i, i+1)
	m.dropped++
}

// first is the place of the next item in order of priority, then arrival.
func first(list []*item) int {
	best := -1
	for i, it := range list {
		if best < 0 || it.prio > list[best].prio {
			best = i
		}
	}
	return best
}

func (m *model) release() {
	for m.attached && len(m.window) < m.size && len(m.queued) > 0 {
		i := first(m.queued)
		it := m.queued[i]
		if it.msg.Expired(m.now) {
			m.remove(&m.queued, i)
			continue
		}
		m.queued = slices.Delete(m.queued, i, i+1)
		m.window = append(m.window, it)
	}
}

func (m *model) enqueue(it *item) (index uint64) {
	q := m.set.Queue
	limit := int64(q.MaxBytes)
	it.index = m.tail
	if it.grant.QoS == 0 {
		if it.msg.Expired(m.now) || !m.live && !q.StoreQoS0 {
			m.dropped++
			return 0
		}
		for len(m.queued)+len(m.zero) >= q.MaxLength || total(m.queued, m.zero, m.window)+it.size > limit {
			i := victim(m.zero, it.prio)
			if i < 0 {
				m.dropped++
				return 0
			}
			m.remove(&m.zero, i)
		}
		m.zero = append(m.zero, it)
		return 0
	}
	fixed := total(m.window) + it.size
	for _, o := range m.queued {
		if o.prio > it.prio {
			fixed += o.size
		}
	}
	if it.msg.Expired(m.now) || fixed > limit {
		m.dropped++
		return 0
	}
	for total(m.queued, m.zero, m.window)+it.size > limit {
		if i := victim(m.zero, anyPrio); i >= 0 {
			m.remove(&m.zero, i)
		} else {
			m.remove(&m.queued, victim(m.queued, it.prio))
		}
	}
	m.tail++
	m.queued = append(m.queued, it)
	m.release()
	for len(m.queued)+len(m.zero) > q.MaxLength {
		if i := victim(m.zero, anyPrio); i >= 0 {
			m.remove(&m.zero, i)
		} else {
			m.remove(&m.queued, victim(m.queued, anyPrio))
		}
	}
	if !slices.Contains(m.queued, it) && !slices.Contains(m.window, it) {
		return 0
	}
	return it.index
}

func (m *model) restart() {
	for _, it := range m.window {
		it.out, it.counted, it.dup = false, false, true
	}
}

func (m *model) next() (string, bool) {
	if !m.live {
		return "", false
	}
	var due *item
	outstanding := 0
	for _, it := range m.window {
		if it.counted {
			outstanding++
		}
		if due == nil && !it.out {
			due = it
		}
	}
	if due != nil && !due.received && outstanding >= m.size {
		due = nil
	}
	for z := first(m.zero); z >= 0; z = first(m.zero) {
		it := m.zero[z]
		if it.msg.Expired(m.now) {
			m.remove(&m.zero, z)
			continue
		}
		if due == nil || it.prio > due.prio || it.prio == due.prio && it.index <= due.index {
			m.zero = slices.Delete(m.zero, z, z+1)
			return fmt.Sprintf("publish 0 q0 %s", it.msg.Topic), true
		}
		break
	}
	if due == nil {
		return "", false
	}
	due.out = true
	if due.received {
		return fmt.Sprintf("release %d", due.index), true
	}
	if !due.dup && due.msg.Expired(m.now) {
		return fmt.Sprintf("expired %d", due.index), true
	}
	due.counted = true
	dup := ""
	if due.dup {
		dup = " dup"
	}
	return fmt.Sprintf("publish %d q%d%s %s", due.index, due.grant.QoS, dup, due.msg.Topic), true
}

// leftover is rule R7: unsent, and QoS 1 that was sent.
func (m *model) leftover() (left []session.Leftover) {
	add := func(it *item) {
		if it.msg.Topic == "x" {
			left = append(left, session.Leftover{Index: it.index, Share: broker.Share{Group: "g", Filter: "x"}, Msg: it.msg})
		}
	}
	for _, it := range m.window {
		if it.grant.QoS == 1 {
			add(it)
		}
	}
	for _, it := range m.queued {
		add(it)
	}
	slices.SortFunc(left, func(a, b session.Leftover) int { return cmp.Compare(a.Index, b.Index) })
	return left
}

// ack returns "known changed release done".
func (m *model) ack(a broker.ClientAck) string {
	i := slices.IndexFunc(m.window, func(it *item) bool { return it.index == a.Index })
	none := fmt.Sprint(false, false, false, false)
	if i < 0 {
		return none
	}
	it := m.window[i]
	done := func() string {
		m.window = slices.Delete(m.window, i, i+1)
		m.release()
		return fmt.Sprint(true, true, false, true)
	}
	switch q2 := it.grant.QoS == 2; {
	case a.Kind == broker.AckPuback && !q2,
		a.Kind == broker.AckPubrec && q2 && !it.received && a.Failed,
		a.Kind == broker.AckPubcomp && it.received:
		return done()
	case a.Kind == broker.AckDropped && !it.received:
		m.dropped++
		return done()
	case a.Kind == broker.AckPubrec && q2 && it.received && !a.Failed:
		return fmt.Sprint(true, false, true, false)
	case a.Kind == broker.AckPubrec && q2 && !it.received:
		it.received, it.out, it.size = true, true, 64
		it.prio = m.prio("a") // PUBREL goes first
		m.release()
		return fmt.Sprint(true, true, true, false)
	}
	return none
}

// group is the shared subscription of the machine's client.
const group = "$share/g/x"

// machine runs a session and the model, and keeps the durable calls for a replay.
type machine struct {
	model
	set *session.Settings
	s   *session.Session
	log []func(*session.Session)
}

func newMachine(t *rapid.T) *machine {
	c := session.DefaultConfig()
	c.Queue.MaxLength = rapid.IntRange(1, 8).Draw(t, "max_length")
	c.Queue.MaxBytes = session.Bytes(rapid.SampledFrom([]int{700, 2500, 100_000}).Draw(t, "max_bytes"))
	c.Queue.StoreQoS0 = rapid.Bool().Draw(t, "store_qos0")
	if rapid.Bool().Draw(t, "priority") {
		c.Queue.Type, c.Queue.Priority = session.QueuePriority, map[string]int{"a": 5, "b": -5}
	}
	set, err := session.Prepare(c)
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{set: set}
	m.model = model{set: c, now: t0, tail: 1, size: 32, held: map[uint16]time.Time{}}
	m.s = session.New(set, "c", t0)
	for _, f := range []string{"#", group} {
		m.do(func(s *session.Session) {
			if _, err := s.Subscribe(broker.Subscription{Filter: f, QoS: 2}, 0); err != nil {
				t.Fatal(err)
			}
		})
	}
	return m
}

// do makes a durable call, and remembers it.
func (m *machine) do(call func(*session.Session)) {
	call(m.s)
	m.log = append(m.log, call)
}

func (m *machine) step() { m.now = m.now.Add(time.Second) }

func (m *machine) attach(t *rapid.T) {
	w, now := uint16(rapid.IntRange(1, 4).Draw(t, "window")), m.now
	m.do(func(s *session.Session) { s.Attach(w, now) })
	m.attached, m.live, m.size = true, true, int(w)
	m.restart()
	m.release()
}

func (m *machine) detach(*rapid.T) {
	now := m.now
	m.do(func(s *session.Session) { s.Detach(now) })
	m.attached, m.live = false, false
	if !m.model.set.Queue.StoreQoS0 {
		m.dropped += len(m.model.zero)
		m.model.zero = nil
	}
}

func (m *machine) offer(t *rapid.T) {
	m.step()
	msg := message(rapid.SampledFrom([]string{"a", "b", "x"}).Draw(t, "topic"), broker.QoS(rapid.IntRange(0, 2).Draw(t, "qos")))
	msg.Payload = make([]byte, rapid.SampledFrom([]int{0, 10, 300, 2000}).Draw(t, "payload"))
	if rapid.IntRange(0, 4).Draw(t, "expires") == 0 {
		msg.Expires = m.now.Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "seconds")) * time.Second)
	}
	g, ok := m.s.MatchTopic(msg, "")
	if msg.Topic == "x" {
		g, ok = m.s.GrantFor(group, msg, "")
	}
	if !ok || g.QoS != msg.QoS {
		t.Fatalf("grant %+v, %v", g, ok)
	}
	want := m.enqueue(&item{msg: msg, grant: g, prio: m.prio(msg.Topic), size: int64(64 + msg.Size() + 16)})
	now := m.now
	call := func(s *session.Session) {
		if got, _ := s.Enqueue(msg, g, now); got != want {
			t.Fatalf("index %d, want %d", got, want)
		}
	}
	if msg.QoS == 0 {
		call(m.s) // never in a log
		return
	}
	m.do(call)
}

func (m *machine) take(t *rapid.T) {
	want, wantOK := m.next()
	o, ok := m.s.Next(m.now, session.Volatile)
	if ok != wantOK || ok && text(o) != want {
		t.Fatalf("next is %v %s, want %v %q", ok, text(o), wantOK, want)
	}
}

func (m *machine) answer(t *rapid.T) {
	if len(m.window) == 0 {
		t.Skip("nothing to answer")
	}
	m.step()
	index := m.window[rapid.IntRange(0, len(m.window)-1).Draw(t, "which")].index
	if rapid.IntRange(0, 9).Draw(t, "unknown") == 0 {
		index = m.tail + 3
	}
	a := broker.ClientAck{
		Index:  index,
		Kind:   rapid.SampledFrom([]broker.AckKind{broker.AckPuback, broker.AckPubrec, broker.AckPubrec, broker.AckPubcomp, broker.AckDropped}).Draw(t, "kind"),
		Failed: rapid.IntRange(0, 5).Draw(t, "failed") == 0,
	}
	want, now := m.ack(a), m.now
	m.do(func(s *session.Session) {
		r := s.Ack(a, now)
		if got := fmt.Sprint(r.Known, r.Changed, r.Release, r.Done); got != want {
			t.Fatalf("%+v: known, changed, release, done = %s, want %s", a, got, want)
		}
	})
}

func (m *machine) qos2(t *rapid.T) {
	id, now := uint16(rapid.IntRange(1, 3).Draw(t, "id")), m.now
	_, held := m.held[id]
	if rapid.Bool().Draw(t, "receive") {
		m.held[id] = now
		m.do(func(s *session.Session) {
			if known, err := s.Receive2(id, now, 0); known != held || err != nil {
				t.Fatalf("known %v, %v", known, err)
			}
		})
		return
	}
	delete(m.held, id)
	m.do(func(s *session.Session) {
		if known := s.Release2(id); known != held {
			t.Fatalf("known %v", known)
		}
	})
}

// fail replaces the session by its snapshot or by its replay, as a new owner of the partition would, and goes on with a live connection or without.
func (m *machine) fail(t *rapid.T) {
	table := m.s.Inflight(nil)
	if rapid.Bool().Draw(t, "snapshot") {
		m.s = m.restore(t)
	} else {
		m.s = m.replay()
		m.s.Suspend()
	}
	m.live, m.model.zero = false, nil
	if _, ok := m.s.Next(m.now, session.Volatile); ok {
		t.Fatal("a new owner sends before the gateway announced the connection")
	}
	if !m.attached || rapid.Bool().Draw(t, "closed") {
		return
	}
	lost := rapid.IntRange(0, len(table)).Draw(t, "lost pushes")
	table = table[:len(table)-lost]
	if !m.s.Resume(table, m.now) {
		t.Fatalf("table %+v does not fit", table)
	}
	m.live = true
	m.restart()
	for _, in := range table {
		for _, it := range m.window {
			if it.index == in.Index {
				it.out, it.counted = true, true
			}
		}
	}
}

func (m *machine) restore(t *rapid.T) *session.Session {
	messages := map[*broker.Message]uint64{}
	var stored []*broker.Message
	var ref func(*broker.Message) uint64
	if rapid.Bool().Draw(t, "messages apart") {
		ref = func(msg *broker.Message) uint64 {
			if _, ok := messages[msg]; !ok {
				messages[msg] = uint64(len(stored))
				stored = append(stored, msg)
			}
			return messages[msg]
		}
	}
	s, err := session.Decode(m.s.AppendTo(nil, ref), m.set, "c", func(n uint64) (*broker.Message, error) { return stored[n], nil })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (m *machine) replay() *session.Session {
	s := session.New(m.set, "c", t0)
	for _, call := range m.log {
		call(s)
	}
	return s
}

func (m *machine) check(t *rapid.T) {
	if live, size := m.s.Window(); live != len(m.window) || size != m.size {
		t.Fatalf("window %d of %d, want %d of %d", live, size, len(m.window), m.size)
	}
	if got, want := m.s.Queued(), len(m.queued)+len(m.model.zero); got != want {
		t.Fatalf("%d queued, want %d", got, want)
	}
	if got, want := m.s.Bytes(), total(m.queued, m.model.zero, m.window); got != want || got > int64(m.model.set.Queue.MaxBytes)+64*int64(len(m.window)) {
		t.Fatalf("%d bytes, want %d", got, want)
	}
	if m.s.Tail() != m.tail || m.s.Attached() != m.attached || m.s.Info().AwaitingRel != len(m.held) {
		t.Fatalf("tail %d, attached %v, info %+v", m.s.Tail(), m.s.Attached(), m.s.Info())
	}
	same := func(a, b session.Leftover) bool { // a restored session has its own copies of the messages
		return a.Index == b.Index && a.Share == b.Share && a.Msg.Topic == b.Msg.Topic && a.Msg.QoS == b.Msg.QoS
	}
	if got, want := m.s.Leftover(), m.leftover(); !slices.EqualFunc(got, want, same) {
		t.Fatalf("leftover %+v, want %+v", got, want)
	}
	live := m.s.AppendTo(nil, nil)
	again, err := session.Decode(live, m.set, "c", nil)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(live, again.AppendTo(nil, nil)) {
		t.Fatal("a restored session has another snapshot")
	}
	if replayed := m.replay().AppendTo(nil, nil); !bytes.Equal(live, replayed) {
		t.Fatalf("replay differs:\n%x\n%x", live, replayed)
	}
}

// TestModel compares sessions with the model, restores and replays them at every step, and lets their owner fail.
func TestModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(t)
		t.Repeat(map[string]func(*rapid.T){
			"attach": m.attach, "detach": m.detach, "offer": m.offer, "offer more": m.offer, "next": m.take, "next more": m.take, "answer": m.answer,
			"answer more": m.answer, "qos2": m.qos2, "fail": m.fail, "": m.check,
		})
	})
}
