package session_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/session"
)

func want(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("%s: got %q, want %q", what, got, want)
	}
}

func TestQoS1Exchange(t *testing.T) { // MQTT 5.0 §4.3.2
	t.Parallel()
	s := newSession(t, nil)
	offer(t, s, message("a", 1), t0)
	want(t, "sent", drain(s, t0), "publish 1 q1 a")
	if r := ack(s, broker.AckPubrec, 1); r.Known {
		t.Fatal("PUBREC to QoS 1 is taken")
	}
	if r := ack(s, broker.AckPuback, 2); r.Known {
		t.Fatal("an unknown index is taken")
	}
	r := ack(s, broker.AckPuback, 1)
	if !r.Known || !r.Changed || !r.Done || r.Release || r.PacketID != 2 || r.Msg == nil {
		t.Fatalf("PUBACK: %+v", r)
	}
	if r := ack(s, broker.AckPuback, 1); r.Known {
		t.Fatal("a second PUBACK is taken")
	}
	if s.Bytes() != 0 {
		t.Fatalf("%d bytes left", s.Bytes())
	}
}

func TestQoS2Exchange(t *testing.T) { // MQTT 5.0 §4.3.3
	t.Parallel()
	s := newSession(t, nil)
	offer(t, s, message("a", 2), t0)
	want(t, "sent", drain(s, t0), "publish 1 q2 a")
	for _, kind := range []broker.AckKind{broker.AckPuback, broker.AckPubcomp} {
		if r := ack(s, kind, 1); r.Known {
			t.Fatalf("ack %d before PUBREC is taken", kind)
		}
	}
	if r := ack(s, broker.AckPubrec, 1); !r.Changed || !r.Release || r.Done || r.Msg == nil {
		t.Fatalf("PUBREC: %+v", r)
	}
	want(t, "PUBREL is the host's answer to PUBREC", drain(s, t0))
	if r := ack(s, broker.AckPubrec, 1); !r.Known || r.Changed || !r.Release {
		t.Fatalf("repeated PUBREC: %+v", r)
	}
	if r := ack(s, broker.AckDropped, 1); r.Known {
		t.Fatal("what was received is dropped")
	}
	if r := ack(s, broker.AckPubcomp, 1); !r.Done || r.Msg != nil {
		t.Fatalf("PUBCOMP: %+v", r)
	}
	offer(t, s, message("a", 2), t0)
	drain(s, t0)
	if r := s.Ack(broker.ClientAck{Index: 2, Kind: broker.AckPubrec, Failed: true}, t0); !r.Done || r.Release {
		t.Fatalf("PUBREC with a reason of 0x80 or above ends the exchange: %+v", r)
	}
}

func TestReconnectSendsAgainInOrder(t *testing.T) { // MQTT 5.0 §4.4, §4.6
	t.Parallel()
	set := settings(t, nil)
	for _, restored := range []bool{false, true} {
		s := session.New(set, "c", t0)
		subscribe(t, s, broker.Subscription{Filter: "#", QoS: 2})
		s.Attach(4, t0)
		for i, q := range []broker.QoS{1, 2, 2, 1, 1} {
			offer(t, s, message(fmt.Sprint(i+1), q), t0)
		}
		want(t, "first connection", drain(s, t0), "publish 1 q1 1", "publish 2 q2 2", "publish 3 q2 3", "publish 4 q1 4")
		ack(s, broker.AckPubrec, 2)
		s.Detach(t0)
		want(t, "detached", drain(s, t0))
		if restored {
			s = restore(t, set, s)
			want(t, "restored", drain(s, t0))
		}
		s.Attach(4, t0)
		want(t, "second connection", drain(s, t0), "publish 1 q1 dup 1", "release 2", "publish 3 q2 dup 3", "publish 4 q1 dup 4")
		ack(s, broker.AckPuback, 1)
		want(t, "window moves", drain(s, t0), "publish 5 q1 5")
	}
}

func TestReconnectWithSmallerWindow(t *testing.T) { // receive maximum, MQTT 5.0 §3.3.4, §4.9
	t.Parallel()
	s := newSession(t, nil)
	for range 5 {
		offer(t, s, message("a", 2), t0)
	}
	drain(s, t0)
	ack(s, broker.AckPubrec, 2)
	s.Attach(2, t0)
	want(t, "two unanswered at most, PUBREL is not limited", drain(s, t0), "publish 1 q2 dup a", "release 2", "publish 3 q2 dup a")
	ack(s, broker.AckPubrec, 1)
	want(t, "PUBREC frees nothing", drain(s, t0))
	ack(s, broker.AckPubcomp, 1)
	want(t, "PUBCOMP does", drain(s, t0), "publish 4 q2 dup a")
}

func TestWindowAndQueueOrder(t *testing.T) {
	t.Parallel()
	s := newSession(t, nil)
	s.Attach(2, t0)
	offer(t, s, message("1", 1), t0)
	offer(t, s, message("0", 0), t0)
	offer(t, s, message("2", 1), t0)
	offer(t, s, message("3", 1), t0)
	offer(t, s, message("00", 0), t0)
	want(t, "in order of arrival; QoS 0 does not wait for the window", drain(s, t0), "publish 1 q1 1", "publish 0 q0 0", "publish 2 q1 2", "publish 0 q0 00")
	ack(s, broker.AckPuback, 2)
	want(t, "a later answer frees a place too", drain(s, t0), "publish 3 q1 3")
}

func TestPriorities(t *testing.T) {
	t.Parallel()
	prio := func(c *session.Config) {
		c.Queue.Type, c.Queue.MaxLength = session.QueuePriority, 3
		c.Queue.Priority = map[string]int{"high": 10, "low": -1}
	}
	s := newSession(t, prio)
	s.Detach(t0)
	for _, topic := range []string{"low", "mid", "high", "mid"} {
		offer(t, s, message(topic, 1), t0)
	}
	if d := s.Dropped(); len(d) != 1 || d[0].Msg.Topic != "low" || d[0].Reason != session.DropQueueFull || d[0].Index != 1 {
		t.Fatalf("dropped %+v, want the one of the lowest priority", d)
	}
	g, _ := s.MatchTopic(message("low", 1), "")
	if index, drops := s.Enqueue(message("low", 1), g, t0); index != 0 || len(drops) != 1 || drops[0].Msg.Topic != "low" {
		t.Fatalf("a low one displaced others: %d, %+v", index, drops)
	}
	s.Attach(32, t0)
	want(t, "higher first", drain(s, t0), "publish 3 q1 high", "publish 2 q1 mid", "publish 4 q1 mid")
	for _, i := range []uint64{2, 3, 4} {
		if r := ack(s, broker.AckPuback, i); !r.Done {
			t.Fatalf("answer to %d: %+v", i, r)
		}
	}
}

func TestPacketIDs(t *testing.T) { // rule R4
	t.Parallel()
	s := newSession(t, nil)
	m := message("a", 1)
	g, _ := s.MatchTopic(m, "")
	sent := func() session.Out {
		t.Helper()
		o, ok := s.Next(t0, session.Volatile)
		if !ok {
			t.Fatal("nothing to send")
		}
		if want := uint16(1 + o.Index%65535); o.PacketID != want || want == 0 {
			t.Fatalf("index %d has packet id %d, want %d", o.Index, o.PacketID, want)
		}
		return o
	}
	s.Enqueue(m, g, t0)
	first := sent() // stays unanswered
	for range 65534 {
		s.Enqueue(m, g, t0)
		ack(s, broker.AckPuback, sent().Index)
	}
	index, _ := s.Enqueue(m, g, t0)
	if index != first.Index+65535 {
		t.Fatalf("index %d", index)
	}
	s.Enqueue(m, g, t0)
	want(t, "the id is in use, and order is kept", drain(s, t0))
	r := restore(t, settings(t, nil), s)
	ack(s, broker.AckPuback, first.Index)
	durable := s.Version() - 1
	if _, ok := s.Next(t0, durable); ok {
		t.Fatal("the id was used again before the answer to its last use was durable")
	}
	if o, ok := s.Next(t0, durable+1); !ok || o.Index != index || o.PacketID != first.PacketID || o.Dup {
		t.Fatalf("then %+v, %v", o, ok)
	}
	// a restored session waits just so
	if !r.Resume([]broker.Inflight{{Index: first.Index, PacketID: first.PacketID, QoS: 1}}, t0) {
		t.Fatal("the table does not fit")
	}
	want(t, "restored: in use", drain(r, t0))
	ack(r, broker.AckPuback, first.Index)
	want(t, "restored: not durable yet", drainTo(r, t0, r.Version()-1))
	want(t, "restored: durable", drain(r, t0), fmt.Sprintf("publish %d q1 a", index), fmt.Sprintf("publish %d q1 a", index+1))
}

func TestQoS2WaitsForDurability(t *testing.T) { // architecture: QoS 1 may be pushed while the append is under way, QoS 2 only after it
	t.Parallel()
	s := newSession(t, nil)
	v := s.Version()
	offer(t, s, message("1", 1), t0)
	offer(t, s, message("2", 2), t0)
	offer(t, s, message("0", 0), t0)
	offer(t, s, message("3", 1), t0)
	want(t, "before the append", drainTo(s, t0, v), "publish 1 q1 1", "publish 0 q0 0")
	want(t, "half of it", drainTo(s, t0, v+2), "publish 2 q2 2", "publish 3 q1 3")
}

func TestResume(t *testing.T) { // rule R5
	t.Parallel()
	set := settings(t, nil)
	s := newSession(t, nil)
	for i := 1; i <= 4; i++ {
		offer(t, s, message(fmt.Sprint(i), 2), t0)
	}
	drain(s, t0)
	ack(s, broker.AckPubrec, 2)
	ack(s, broker.AckPubrec, 3)
	in := func(index uint64, received bool) broker.Inflight {
		return broker.Inflight{Index: index, PacketID: uint16(1 + index), QoS: 2, Received: received}
	}
	if got, want := s.Inflight(nil), []broker.Inflight{in(1, false), in(2, true), in(3, true), in(4, false)}; !slices.Equal(got, want) {
		t.Fatalf("table %+v, want %+v", got, want)
	}
	for _, c := range []struct {
		name  string
		table []broker.Inflight
		fits  bool
		want  []string
	}{
		{"all known: nothing again", s.Inflight(nil), true, nil},
		{"only what is not in it", []broker.Inflight{in(1, false), in(2, true)}, true, []string{"release 3", "publish 4 q2 dup 4"}},
		{"PUBREC is durable, its PUBREL did not go out", []broker.Inflight{in(1, false), in(2, false), in(3, true), in(4, false)}, true, []string{"release 2"}},
		{"complete here already", []broker.Inflight{in(1, false), in(2, true), in(3, true), in(4, false)}[1:], true, []string{"publish 1 q2 dup 1"}},
		{"above the tail: close the connection", []broker.Inflight{in(5, false)}, false, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := restore(t, set, s)
			if fits := r.Resume(c.table, t0); fits != c.fits {
				t.Fatalf("fits %v", fits)
			}
			want(t, "pushed", drain(r, t0), c.want...)
		})
	}
	s.Detach(t0)
	if restore(t, set, s).Resume(nil, t0) {
		t.Fatal("a detached session resumed")
	}
}

func TestLeftover(t *testing.T) { // rule R7
	t.Parallel()
	s := session.New(settings(t, nil), "c", t0)
	subscribe(t, s, broker.Subscription{Filter: "$share/g/+", QoS: 2}, broker.Subscription{Filter: "own", QoS: 2})
	s.Attach(4, t0)
	put := func(topic string, qos broker.QoS, filter string) {
		m := message(topic, qos)
		g, ok := s.GrantFor(filter, m, "")
		if !ok {
			t.Fatal("no grant")
		}
		s.Enqueue(m, g, t0)
	}
	put("acked", 1, "$share/g/+")
	put("sent1", 1, "$share/g/+")
	put("sent2", 2, "$share/g/+")
	put("own", 1, "own")
	put("received", 2, "$share/g/+")
	put("unsent1", 1, "$share/g/+")
	put("unsent2", 2, "$share/g/+")
	put("own", 2, "own")
	drain(s, t0)
	ack(s, broker.AckPuback, 1)
	drain(s, t0)
	ack(s, broker.AckPubrec, 5)
	s.Detach(t0)
	for _, s := range []*session.Session{s, restore(t, settings(t, nil), s)} {
		var got []string
		for _, l := range s.Leftover() {
			if l.Share != (broker.Share{Group: "g", Filter: "+"}) {
				t.Fatalf("share %+v", l.Share)
			}
			got = append(got, l.Msg.Topic)
		}
		want(t, "to be routed again", got, "sent1", "unsent1", "unsent2")
	}
}

func TestIncomingQoS2(t *testing.T) { // rule R1, MQTT 5.0 §4.3.3 method B
	t.Parallel()
	s := newSession(t, nil)
	receive := func(id uint16, now time.Time, max int) string {
		known, err := s.Receive2(id, now, max)
		return fmt.Sprint(known, err != nil && broker.KindOf(err) == broker.KindQuota)
	}
	for _, c := range []struct {
		what, got, want string
	}{
		{"new", receive(7, t0, 2), "false false"},
		{"repeat of a held id is not published again", receive(7, t0, 2), "true false"},
		{"second", receive(8, at(20*time.Second), 2), "false false"},
		{"beyond max_awaiting_rel", receive(9, at(30*time.Second), 2), "false true"},
		{"a repeat is no growth", receive(8, at(30*time.Second), 2), "true false"},
		{"over await_rel_timeout gives way", receive(9, at(31*time.Second), 2), "false false"},
		{"the other is held still", fmt.Sprint(s.Held(7), s.Held(8)), "false true"},
		{"release", fmt.Sprint(s.Release2(8)), "true"},
		{"release of an unknown id", fmt.Sprint(s.Release2(8)), "false"},
		{"the id is new again", receive(8, t0, 0), "false false"},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %s, want %s", c.what, c.got, c.want)
		}
	}
}

func TestQueueLimits(t *testing.T) {
	t.Parallel()
	small := func(c *session.Config) { c.Queue.MaxLength = 3 }
	size := func(qos broker.QoS, payload int) *broker.Message {
		m := message("a", qos)
		m.Payload = make([]byte, payload)
		return m
	}
	for _, c := range []struct {
		name    string
		config  func(*session.Config)
		msgs    []*broker.Message
		dropped string // "reason q<qos>" of each
		left    int
	}{
		{"QoS 0 goes first, then the oldest", small, []*broker.Message{message("a", 1), message("b", 0), message("c", 2), message("d", 1), message("e", 1)}, "[queue_full q0 b queue_full q1 a]", 3},
		{"QoS 0 displaces only QoS 0", small, []*broker.Message{message("a", 1), message("b", 1), message("c", 0), message("d", 0), message("e", 1), message("f", 0)}, "[queue_full q0 c queue_full q0 d queue_full q0 f]", 3},
		{"store_qos0 off", func(c *session.Config) { c.Queue.StoreQoS0 = false }, []*broker.Message{message("a", 0), message("b", 1)}, "[offline_qos0 q0 a]", 1},
		{"bytes", func(c *session.Config) { c.Queue.MaxBytes = 4000 }, []*broker.Message{size(1, 1000), size(1, 1000), size(0, 1000), size(2, 2000)}, "[queue_full q0 a queue_full q1 a]", 2},
		{"one that can never fit displaces nothing", func(c *session.Config) { c.Queue.MaxBytes = 4000 }, []*broker.Message{size(1, 1000), size(1, 4000), size(0, 4000)}, "[queue_full q1 a queue_full q0 a]", 1},
		{"no limit of length", func(c *session.Config) { c.Queue.MaxLength = 0 }, slices.Repeat([]*broker.Message{message("a", 1)}, 2000), "[]", 2000},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newSession(t, c.config)
			s.Detach(t0)
			dropped := []string{}
			for _, m := range c.msgs {
				offer(t, s, m, t0)
				for _, d := range s.Dropped() {
					dropped = append(dropped, fmt.Sprintf("%v q%d %s", d.Reason, d.QoS, d.Msg.Topic))
				}
			}
			if got := fmt.Sprint(dropped); got != c.dropped || s.Queued() != c.left {
				t.Fatalf("dropped %s, %d left; want %s, %d", got, s.Queued(), c.dropped, c.left)
			}
			st := s.Stats()
			sum := uint64(0)
			for _, n := range st.Dropped {
				sum += n
			}
			if st.Enqueued != uint64(len(c.msgs)) || st.Enqueued != sum+uint64(s.Queued()) {
				t.Fatalf("offered = dropped + queued does not hold: %+v", st)
			}
		})
	}
}

func TestWhatIsInTheWindowIsNeverDropped(t *testing.T) {
	t.Parallel()
	s := newSession(t, func(c *session.Config) { c.Queue.MaxLength = 1 })
	s.Attach(2, t0)
	for i := range 10 {
		offer(t, s, message(fmt.Sprint(i), 2), t0)
	}
	s.Attach(2, t0)
	want(t, "the first two and the newest", append(drain(s, t0), fmt.Sprint(s.Queued())), "publish 1 q2 dup 0", "publish 2 q2 dup 1", "1")
}

func TestMemoryBound(t *testing.T) {
	t.Parallel()
	const limit = 1 << 20
	s := newSession(t, func(c *session.Config) { c.Queue.MaxLength, c.Queue.MaxBytes = 0, limit })
	for i := range 20_000 {
		m := message("a", broker.QoS(i%3))
		m.Payload = make([]byte, i%500*10)
		offer(t, s, m, t0)
		if i%7 == 0 {
			s.Next(t0, session.Volatile)
		}
		if s.Bytes() > limit {
			t.Fatalf("%d bytes after %d messages", s.Bytes(), i)
		}
		if i%1000 == 0 {
			s.Detach(t0)
			s.Attach(uint16(1+i%100), t0)
		}
	}
	if s.Size() < s.Bytes() {
		t.Fatalf("Size %d is below the bytes of the messages, %d", s.Size(), s.Bytes())
	}
}

func TestMessageExpiry(t *testing.T) { // MQTT 5.0 §3.3.2.3.3
	t.Parallel()
	expiring := func(topic string, qos broker.QoS) *broker.Message {
		m := message(topic, qos)
		m.Expires = at(time.Minute)
		return m
	}
	s := newSession(t, nil)
	s.Attach(1, t0)
	offer(t, s, expiring("1", 1), t0)
	want(t, "in time", drain(s, t0), "publish 1 q1 1")
	offer(t, s, expiring("2", 2), t0)
	offer(t, s, expiring("0", 0), t0)
	offer(t, s, message("3", 1), t0)
	late := at(time.Minute)
	want(t, "expired QoS 0 is skipped", drain(s, late))
	if r := s.Ack(broker.ClientAck{Index: 1, Kind: broker.AckPuback}, late); !r.Done || len(s.Dropped()) != 1 {
		t.Fatalf("%+v, dropped %+v", r, s.Dropped())
	}
	want(t, "expired in the queue is skipped", drain(s, late), "publish 3 q1 3")
	if index := offer(t, s, expiring("4", 1), late); index != 0 {
		t.Fatal("an expired message was queued")
	}
	if st := s.Stats(); st.Dropped[session.DropExpired] != 3 {
		t.Fatalf("dropped %v", st.Dropped)
	}

	s = newSession(t, nil)
	offer(t, s, expiring("1", 2), t0)
	want(t, "expired between release and sending", drain(s, late), "expired 1")
	if r := s.Ack(broker.ClientAck{Index: 1, Kind: broker.AckDropped}, late); !r.Done || s.Stats().Dropped[session.DropExpired] != 1 {
		t.Fatalf("%+v, %+v", r, s.Stats())
	}
	offer(t, s, expiring("2", 2), t0)
	drain(s, t0)
	s.Attach(32, late)
	want(t, "once begun, a delivery goes on", drain(s, late), "publish 2 q2 dup 2")
}

func TestRefusedByTheGateway(t *testing.T) {
	t.Parallel()
	s := newSession(t, nil)
	s.Attach(1, t0)
	offer(t, s, message("1", 2), t0)
	offer(t, s, message("2", 1), t0)
	drain(s, t0)
	if r := ack(s, broker.AckDropped, 1); !r.Done || s.Stats().Dropped[session.DropRefused] != 1 {
		t.Fatalf("%+v, %+v", r, s.Stats())
	}
	want(t, "its place is free", drain(s, t0), "publish 2 q1 2")
}

func TestRetry(t *testing.T) {
	t.Parallel()
	s := newSession(t, nil)
	offer(t, s, message("1", 1), t0)
	offer(t, s, message("2", 2), t0)
	drain(s, t0)
	ack(s, broker.AckPubrec, 2)
	due := func(d time.Duration) (got []string) {
		for _, o := range s.Retry(at(d), nil) {
			got = append(got, text(o))
		}
		return got
	}
	want(t, "before the interval", due(19*time.Second))
	want(t, "after it", due(20*time.Second), "publish 1 q1 dup 1", "release 2")
	want(t, "once per interval", due(21*time.Second))
	ack(s, broker.AckPuback, 1)
	want(t, "answered ones no more", due(time.Minute), "release 2")
}

func TestWatermarks(t *testing.T) {
	t.Parallel()
	s := newSession(t, func(c *session.Config) { c.Queue.MaxLength = 10 })
	s.Attach(1, t0)
	offer(t, s, message("a", 1), t0)
	var got []string
	note := func() {
		if m := s.Mark(); m != session.MarkNone {
			got = append(got, fmt.Sprint(map[session.Mark]string{session.MarkHigh: "high", session.MarkLow: "low"}[m], s.Queued()))
		}
	}
	for range 9 {
		offer(t, s, message("a", 1), t0)
		note()
	}
	for i := range 9 {
		ack(s, broker.AckPuback, uint64(i+1))
		note()
	}
	want(t, "once on the way up, once on the way down", got, "high7", "low2")
}

func TestExpiryOfTheSession(t *testing.T) { // MQTT 5.0 §3.1.2.11.2
	t.Parallel()
	s := session.New(settings(t, nil), "c", t0)
	s.SetExpiry(time.Hour)
	s.Attach(1, t0)
	if _, ok := s.Expires(); ok {
		t.Fatal("an attached session expires")
	}
	s.Detach(at(time.Minute))
	if got, ok := s.Expires(); !ok || !got.Equal(at(61*time.Minute)) {
		t.Fatalf("expires %v, %v", got, ok)
	}
	s.SetExpiry(broker.Forever)
	if _, ok := s.Expires(); ok {
		t.Fatal("a session that lasts for ever expires")
	}
}

func TestInfo(t *testing.T) {
	t.Parallel()
	s := newSession(t, nil)
	s.SetExpiry(time.Hour)
	s.Attach(2, t0)
	for range 5 {
		offer(t, s, message("a", 1), t0)
	}
	drain(s, t0)
	if _, err := s.Receive2(1, t0, 0); err != nil {
		t.Fatal(err)
	}
	i := s.Info()
	i.QueuedBytes = min(i.QueuedBytes, 1)
	want := broker.SessionInfo{ClientID: "c", Connected: true, Persistent: true, Subscriptions: 1, Window: 2, Inflight: 2, Queued: 3, QueuedBytes: 1, AwaitingRel: 1, Delivered: 2, Enqueued: 5, Created: t0}
	if i != want {
		t.Fatalf("got %+v, want %+v", i, want)
	}
}

func TestUseOtherSettings(t *testing.T) {
	t.Parallel()
	s := newSession(t, func(c *session.Config) {
		c.Queue.Type, c.Queue.Priority = session.QueuePriority, map[string]int{"a": 1}
	})
	s.Attach(1, t0)
	for _, topic := range []string{"b", "c", "a", "b"} {
		offer(t, s, message(topic, 1), t0)
	}
	offer(t, s, message("a", 0), t0)
	bytes := s.Bytes()
	s.Use(settings(t, func(c *session.Config) { c.Queue.MaxLength = 3 }))
	if s.Queued() != 4 || s.Bytes() != bytes {
		t.Fatalf("%d queued, %d bytes, want 4 and %d", s.Queued(), s.Bytes(), bytes)
	}
	offer(t, s, message("d", 1), t0)
	if d := s.Dropped(); len(d) != 2 || d[0].QoS != 0 || d[1].Msg.Topic != "c" {
		t.Fatalf("dropped %+v, want QoS 0 and then the oldest", d)
	}
	s.Attach(32, t0)
	want(t, "in order of arrival now", drain(s, t0), "publish 1 q1 dup b", "publish 3 q1 a", "publish 4 q1 b", "publish 5 q1 d")
}
