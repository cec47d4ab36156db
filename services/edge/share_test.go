package edge_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/edge"
	"github.com/pando-mq/pando/services/edge/edgetest"
)

func TestSharedGroupGetsOneCopy(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e1, e2 := b.Edge(t, nil), b.Edge(t, nil)
	var members []*edgetest.Device
	for i, e := range []*edge.Edge{e1, e1, e2} {
		d := b.Connect(t, e, edgetest.Clean(fmt.Sprint("m", i)))
		d.AutoAck()
		granted(t, d.Subscribe(1, "$share/g/t/+"))
		members = append(members, d)
	}
	queue := b.Connect(t, e2, edgetest.Clean("q"))
	queue.AutoAck()
	granted(t, queue.Subscribe(1, "$queue/t/+"))
	pub := b.Connect(t, e1, edgetest.Clean("pub"))
	const n = 60
	for i := range n {
		receive(t, pub.Publish("t/x", fmt.Sprint(i), 1, uint16(i+1)))
	}
	queue.WaitGot(n)
	total := func() (sum int) {
		for _, d := range members {
			sum += len(d.Got())
		}
		return sum
	}
	eventually(t, "delivered", func() bool { return total() == n })
	for i, d := range members {
		if len(d.Got()) == 0 {
			t.Errorf("member %d got nothing", i)
		}
	}
	if len(queue.Got()) != n {
		t.Errorf("the other group got %d", len(queue.Got()))
	}
}

func TestSharedMemberWithRoomComesFirst(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e := b.Edge(t, nil)
	req := edgetest.Clean("busy")
	req.ReceiveMax = 1
	busy, free, pub := b.Connect(t, e, req), b.Connect(t, e, edgetest.Clean("free")), b.Connect(t, e, edgetest.Clean("pub"))
	free.AutoAck()
	granted(t, busy.Subscribe(1, "$share/g/t"))
	granted(t, free.Subscribe(1, "$share/g/t"))
	for i := range 20 {
		receive(t, pub.Publish("t", fmt.Sprint(i), 1, uint16(i+1)))
	}
	if !free.Wait(func() bool { return len(free.Got())+len(busy.Got()) == 20 }) || len(busy.Got()) > 1 {
		t.Fatalf("busy %v, free %d", texts(busy.Got()), len(free.Got()))
	}
}

func TestSharedMessagesOfAMemberThatLeft(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e1, e2 := b.Edge(t, nil), b.Edge(t, nil)
	req := edgetest.Clean("first")
	req.ReceiveMax = 2
	first, pub := b.Connect(t, e1, req), b.Connect(t, e1, edgetest.Clean("pub"))
	granted(t, first.Subscribe(2, "$share/g/t"))
	// qos 1 sent and acknowledged, qos 1 sent, qos 2 sent, and two that wait
	receive(t, pub.Publish("t", "acked", 1, 1))
	got := wantGot(t, first, "t=acked")
	first.Do(func(c *edge.Conn) { c.Ack(got[0].PacketID, broker.AckPuback, false) })
	receive(t, pub.Publish("t", "sent1", 1, 2))
	receive(t, pub.Publish("t", "sent2", 2, 3))
	receive(t, pub.Publish("t", "waits1", 1, 4))
	receive(t, pub.Publish("t", "waits2", 2, 5))
	wantGot(t, first, "t=acked", "t=sent1", "t=sent2")
	second := b.Connect(t, e2, edgetest.Clean("second"))
	second.AutoAck()
	granted(t, second.Subscribe(2, "$share/g/t"))
	first.Close()
	wantGot(t, second, "t=sent1", "t=waits1", "t=waits2")
}

func TestSharedMessageWithoutMembersIsDropped(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e := b.Edge(t, func(c *edge.Config, _ *edge.Deps) { c.Output.ShareAge = time.Second })
	member, pub := b.Connect(t, e, edgetest.Clean("m")), b.Connect(t, e, edgetest.Clean("pub"))
	granted(t, member.Subscribe(1, "$share/g/t"))
	b.Router.StallRoutes(true) // the router does not hear that the member leaves: the message comes back here
	receive(t, pub.Publish("t", "sent", 1, 1))
	wantGot(t, member, "t=sent")
	member.Close()
	eventually(t, "dropped", func() bool { return e.Dropped(edge.DropNoReceiver) == 1 })
	if n := len(b.Router.Seen()); n < 3 || n > 10 {
		t.Fatalf("routed %d times", n)
	}
	b.Router.StallRoutes(false)
}
