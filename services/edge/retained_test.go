package edge_test

import (
	"fmt"
	"testing"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/edge"
	"github.com/pando-mq/pando/services/edge/edgetest"
)

// retain publishes n retained messages to r/<i>.
func retain(t *testing.T, pub *edgetest.Device, n int) {
	t.Helper()
	for i := range n {
		r := receive(t, pub.PublishMessage(&broker.Message{Topic: fmt.Sprintf("r/%d", i), Payload: []byte("kept"), QoS: 1, Retain: true}, uint16(i+1)))
		if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
}

func TestRetainedHandling(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e := b.Edge(t, nil)
	pub := b.Connect(t, e, edgetest.Clean("pub"))
	retain(t, pub, 2)
	tests := []struct {
		name string
		subs []broker.Subscription
		want int
	}{
		{"always", []broker.Subscription{{Filter: "r/+"}, {Filter: "r/+"}}, 4},
		{"only if new", []broker.Subscription{{Filter: "r/+", RetainHandling: 1}, {Filter: "r/+", RetainHandling: 1}}, 2},
		{"never", []broker.Subscription{{Filter: "r/+", RetainHandling: 2}}, 0},
		{"shared", []broker.Subscription{{Filter: "$share/g/r/+"}}, 0},
		{"exact", []broker.Subscription{{Filter: "r/1"}}, 1},
	}
	for _, tt := range tests {
		d := b.Connect(t, e, edgetest.Clean(tt.name))
		for _, s := range tt.subs {
			granted(t, d.SubscribeWith(s))
		}
		if tt.want > 0 {
			for _, g := range d.WaitGot(tt.want) {
				if !g.Retain {
					t.Errorf("%s: retain flag missing", tt.name)
				}
			}
		}
		granted(t, d.Subscribe(0, "end/"+tt.name))
		receive(t, pub.Publish("end/"+tt.name, "", 0, 0))
		if got := d.WaitGot(tt.want + 1); len(got) != tt.want+1 {
			t.Errorf("%s: %v", tt.name, texts(got))
		}
		d.Close()
	}
}

func TestRetainedArePacedByTheClient(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e := b.Edge(t, func(c *edge.Config, _ *edge.Deps) { c.Session.Queue.MaxLength = 20 })
	pub := b.Connect(t, e, edgetest.Clean("pub"))
	retain(t, pub, 300)
	slow := b.Connect(t, e, edgetest.Clean("slow"))
	slow.FillAfter(1)
	granted(t, slow.Subscribe(1, "r/#"))
	slow.WaitGot(1)
	for range readers { // many stalled readers slow nobody else
		d := b.Connect(t, e, edgetest.Clean(""))
		d.FillAfter(1)
		granted(t, d.Subscribe(0, "r/#"))
		d.WaitGot(1)
	}
	quick := b.Connect(t, e, edgetest.Clean("quick"))
	quick.AutoAck()
	granted(t, quick.Subscribe(1, "r/#"))
	if got := quick.WaitGot(300); len(got) != 300 {
		t.Fatalf("quick got %d", len(got))
	}
	slow.AutoAck()
	slow.Do(func(c *edge.Conn) { c.Ack(slow.Got()[0].PacketID, broker.AckPuback, false) })
	slow.Drain(-1)
	if got := slow.WaitGot(300); len(got) != 300 {
		t.Fatalf("slow got %d", len(got))
	}
	if n := e.Dropped(edge.DropQueueFull); n != 0 {
		t.Fatalf("%d dropped", n)
	}
}

// readers is more than may read at once.
const readers = 40
