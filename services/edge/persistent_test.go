package edge_test

import (
	"fmt"
	"testing"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/edge"
	"github.com/pando-mq/pando/services/edge/edgetest"
)

func TestPersistentSessionGoesOn(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e1, e2 := b.Edge(t, nil), b.Edge(t, nil)
	d := b.Connect(t, e1, edgetest.Persistent("c"))
	granted(t, d.Subscribe(2, "t"))
	pub := b.Connect(t, e2, edgetest.Clean("pub"))
	receive(t, pub.Publish("t", "1", 1, 1))
	first := wantGot(t, d, "t=1") // and no answer
	d.Disconnect(edge.Disconnect{})
	eventually(t, "detached", func() bool { return !b.Sessions.Attached("", "c") })
	receive(t, pub.Publish("t", "2", 2, 2))
	again := edgetest.NewDevice()
	defer again.Close()
	if r := again.Connect(e2, edgetest.Persistent("c")); r.Err != nil || !r.SessionPresent {
		t.Fatalf("%+v", r)
	}
	got := wantGot(t, again, "t=1", "t=2")
	if !got[0].Dup || got[0].PacketID != first[0].PacketID || got[1].Dup {
		t.Fatalf("%+v", got)
	}
	again.Disconnect(edge.Disconnect{HasExpiry: true})
	eventually(t, "ended", func() bool { r := b.Sessions.Requests(broker.OpDetach); return len(r) == 2 && r[1].Detach.HasExpiry })
	last := edgetest.NewDevice()
	defer last.Close()
	if r := last.Connect(e2, edgetest.Persistent("c")); r.Err != nil || r.SessionPresent {
		t.Fatalf("after expiry 0: %+v", r)
	}
}

func TestPersistentQoS2Publisher(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e := b.Edge(t, nil)
	d := b.Connect(t, e, edgetest.Persistent("c"))
	b.Sessions.Lose(broker.OpPublish2, 1)
	if r := receive(t, d.Publish("t", "1", 2, 5)); r.Err != nil || r.Repeated { // the answer was lost, the repeat gets the same
		t.Fatalf("%+v", r)
	}
	if r := receive(t, d.Publish("t", "1", 2, 5)); r.Err != nil || !r.Repeated {
		t.Fatalf("%+v", r)
	}
	b.Sessions.Lose(broker.OpRelease, 1)
	released := make(chan bool, 2)
	for range 2 {
		d.Do(func(c *edge.Conn) {
			c.Release(5, func(_ uint16, known bool, err error) { released <- known && err == nil })
		})
	}
	if !receive(t, released) || receive(t, released) {
		t.Fatal("known once")
	}
	eventually(t, "routed", func() bool { return len(b.Router.Seen()) == 1 })
	b.Sessions.RefuseOp(broker.OpPublish2, broker.E(broker.KindQuota, "too many", nil))
	if r := receive(t, d.Publish("t", "2", 2, 6)); kindOf(t, r.Err) != broker.KindQuota {
		t.Fatalf("%+v", r)
	}
	if e.Counters().Get(edge.MessagesQoS2Dropped) != 1 {
		t.Fatal("not counted")
	}
}

func TestUnansweredRequestsAreRepeatedInOrder(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e := b.Edge(t, nil)
	d := b.Connect(t, e, edgetest.Persistent("c"))
	b.Sessions.Mute(broker.OpPublish2, true)
	var answers []<-chan edge.PublishResult
	for i := range 5 {
		answers = append(answers, d.Publish("t", fmt.Sprint(i), 2, uint16(i+1)))
	}
	granted(t, d.Subscribe(1, "x")) // answered in the middle
	eventually(t, "sent", func() bool { return len(b.Sessions.Requests(broker.OpPublish2)) == 5 })
	before := len(b.Sessions.Requests(0))
	b.Sessions.Mute(broker.OpPublish2, false)
	b.Sessions.Break()
	for _, ch := range answers {
		if r := receive(t, ch); r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	all := b.Sessions.Requests(0)
	repeats := all[before:]
	if len(repeats) != 6 || repeats[0].Op != broker.OpAnnounce {
		t.Fatalf("%d requests on the new stream, the first is %v", len(repeats), repeats[0].Op)
	}
	originals := b.Sessions.Requests(broker.OpPublish2)[:5]
	for i, r := range repeats[1:] {
		if r.Op != broker.OpPublish2 || r.ID != originals[i].ID || r.Publish2.PacketID != uint16(i+1) {
			t.Fatalf("request %d repeated as %+v", i, r)
		}
	}
}

func TestAnnouncementsCarryTheInflightTable(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e := b.Edge(t, nil)
	d, clean, pub := b.Connect(t, e, edgetest.Persistent("c")), b.Connect(t, e, edgetest.Clean("clean")), b.Connect(t, e, edgetest.Clean("pub"))
	granted(t, d.Subscribe(2, "t"))
	for i := range 3 {
		receive(t, pub.Publish("t", fmt.Sprint(i), broker.QoS(1+i%2), uint16(i+1)))
	}
	got := wantGot(t, d, "t=0", "t=1", "t=2")
	b.Sessions.Mute(broker.OpAck, true)
	d.Do(func(c *edge.Conn) { // neither is answered by the partition
		c.Ack(got[0].PacketID, broker.AckPuback, false)
		c.Ack(got[1].PacketID, broker.AckPubrec, false)
	})
	eventually(t, "PUBREL", func() bool { return len(d.Released()) == 1 })
	b.Sessions.Mute(broker.OpAck, false)
	b.Sessions.Break()
	eventually(t, "announced", func() bool { return len(b.Sessions.Requests(broker.OpAnnounce)) >= 3 })
	var table []broker.Inflight
	for _, r := range b.Sessions.Requests(broker.OpAnnounce) {
		switch r.ClientID {
		case "c":
			table = r.Announce.Inflight
		case "clean":
			if len(r.Announce.Inflight) != 0 || r.Announce.Attach.Identity.ClientID != "clean" {
				t.Errorf("clean: %+v", r.Announce)
			}
		}
	}
	if len(table) != 3 || table[0].QoS != 1 || !table[1].Received || table[2].Received || table[1].PacketID != got[1].PacketID {
		t.Fatalf("table %+v", table)
	}
	receive(t, pub.Publish("t", "3", 1, 9))
	wantGot(t, d, "t=0", "t=1", "t=2", "t=3") // nothing was sent twice
	_ = clean
}

func TestRefusedAnnouncementsEndTheConnection(t *testing.T) {
	t.Parallel()
	for kind, code := range map[broker.Kind]edge.KickCode{broker.KindConflict: edge.KickTakenOver, broker.KindStale: edge.KickTakenOver, broker.KindInvalid: edge.KickLost} {
		b := edgetest.New(t)
		e := b.Edge(t, nil)
		d := b.Connect(t, e, edgetest.Persistent("c"))
		b.Sessions.RefuseOp(broker.OpAnnounce, broker.E(kind, "as the test wants", nil))
		b.Sessions.Break()
		if !d.Wait(func() bool { return len(d.Kicks()) == 1 }) || d.Kicks()[0].Code != code {
			t.Errorf("%v: kicks %v", kind, d.Kicks())
		}
	}
}

func TestSetExpiry(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e := b.Edge(t, nil)
	d, clean := b.Connect(t, e, edgetest.Persistent("c")), b.Connect(t, e, edgetest.Clean("clean"))
	set := func(d *edgetest.Device) error {
		result := make(chan error, 1)
		d.Do(func(c *edge.Conn) { c.SetExpiry(1, func(err error) { result <- err }) })
		return receive(t, result)
	}
	if err := set(d); err != nil {
		t.Error(err)
	}
	if kindOf(t, set(clean)) != broker.KindInvalid {
		t.Error("a clean session got an expiry")
	}
}

// A session that exists goes on, with what it has, also for a connection that ends it (MQTT 5.0: clean start 0, expiry interval 0).
func TestSessionGoesOnForAConnectionThatEndsIt(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e := b.Edge(t, nil)
	d := b.Connect(t, e, edgetest.Persistent("c"))
	granted(t, d.Subscribe(1, "t"))
	d.Disconnect(edge.Disconnect{})
	eventually(t, "detached", func() bool { return !b.Sessions.Attached("", "c") })
	pub := b.Connect(t, e, edgetest.Clean("pub"))
	receive(t, pub.Publish("t", "kept", 1, 1))
	last := edgetest.NewDevice()
	defer last.Close()
	req := edgetest.Persistent("c")
	req.Expiry = 0
	if r := last.Connect(e, req); r.Err != nil || !r.SessionPresent {
		t.Fatalf("%+v", r)
	}
	wantGot(t, last, "t=kept")
}

// $local gets a QoS 2 message of a persistent session once: not again when the client repeats it, on another connection too, and nothing of one that is refused.
func TestLocalGetsPersistentQoS2Once(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e := b.Edge(t, nil)
	local := b.Connect(t, e, edgetest.Clean("local"))
	granted(t, local.Subscribe(2, "$local/t/#"))
	local.AutoAck()
	d := b.Connect(t, e, edgetest.Persistent("c"))
	b.Sessions.Lose(broker.OpPublish2, 1)
	receive(t, d.Publish("t/1", "one", 2, 5)) // the gateway repeats it
	d.Close()
	d = b.Connect(t, e, edgetest.Persistent("c"))
	again := func(text string, id uint16, dup bool) edge.PublishResult {
		t.Helper()
		results := make(chan edge.PublishResult, 1)
		d.Do(func(c *edge.Conn) {
			m := &broker.Message{Topic: "t/1", Payload: []byte(text), QoS: 2}
			c.Publish(edge.Publish{Msg: m, PacketID: id, Dup: dup, Done: func(r edge.PublishResult) { results <- r }})
		})
		return receive(t, results)
	}
	if r := again("one", 5, true); r.Err != nil || !r.Repeated {
		t.Fatalf("%+v", r)
	}
	if r := again("two", 6, true); r.Err != nil || r.Repeated { // its first sending was lost
		t.Fatalf("%+v", r)
	}
	b.Sessions.RefuseOp(broker.OpPublish2, broker.E(broker.KindQuota, "too many", nil))
	if r := again("refused", 7, false); kindOf(t, r.Err) != broker.KindQuota {
		t.Fatalf("%+v", r)
	}
	b.Sessions.RefuseOp(broker.OpPublish2, nil)
	again("three", 8, false)
	wantGot(t, local, "t/1=one", "t/1=two", "t/1=three")
}
