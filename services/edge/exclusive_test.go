package edge_test

import (
	"fmt"
	"testing"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/edge/edgetest"
)

// One client at most is subscribed exclusively, over all gateways; ordinary subscribers do not count.
func TestExclusiveHasOneSubscriber(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e1, e2 := b.Edge(t, nil), b.Edge(t, nil)
	first, second, third := b.Connect(t, e1, edgetest.Clean("first")), b.Connect(t, e2, edgetest.Clean("second")), b.Connect(t, e2, edgetest.Clean("third"))
	pub := b.Connect(t, e1, edgetest.Clean("pub"))
	granted(t, first.Subscribe(1, "$exclusive/t"))
	granted(t, third.Subscribe(0, "t"))
	for _, d := range []*edgetest.Device{second, third} {
		if r := d.Subscribe(1, "$exclusive/t", "other"); broker.KindOf(r[0].Err) != broker.KindQuota || r[1].Err != nil {
			t.Fatalf("answered %+v", r)
		}
	}
	granted(t, first.Subscribe(0, "$exclusive/t")) // one's own subscription may be replaced
	receive(t, pub.Publish("t", "1", 1, 1))
	wantGot(t, first, "t=1")
	wantGot(t, third, "t=1")
	first.Unsubscribe("$exclusive/t")
	eventually(t, "free", func() bool { return second.Subscribe(1, "$exclusive/t")[0].Err == nil })
	receive(t, pub.Publish("t", "2", 1, 2))
	wantGot(t, second, "t=2")
	second.Close()
	eventually(t, "free", func() bool { return first.Subscribe(1, "$exclusive/t")[0].Err == nil })
}

// The same inner filter with and without the prefix are two subscriptions and one message; each ends by itself.
func TestExclusiveBesideAnOrdinaryOne(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e := b.Edge(t, nil)
	d, pub := b.Connect(t, e, edgetest.Clean("d")), b.Connect(t, e, edgetest.Clean("pub"))
	d.AutoAck()
	granted(t, d.Subscribe(1, "$exclusive/t", "t"))
	for i, full := range []string{"$exclusive/t", "t"} {
		receive(t, pub.Publish("t", fmt.Sprint(i), 1, uint16(i+1)))
		d.WaitGot(i + 1)
		d.Unsubscribe(full)
	}
	eventually(t, "no route without a subscription", func() bool { return !receive(t, pub.Publish("t", "nobody", 1, 9)).Matched })
	if got := texts(d.Got()); len(got) != 2 {
		t.Fatalf("got %v", got)
	}
}

func TestExclusiveFilters(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	d := b.Connect(t, b.Edge(t, nil), edgetest.Clean("d"))
	filters := []string{"$exclusive/a/+", "$exclusive/#", "$exclusive/$share/g/a", "$share/g/$exclusive/#", "$exclusive/", "$local/$exclusive/a", "$exclusive/$exclusive/a"}
	for i, r := range d.Subscribe(1, filters...) {
		if want := filters[i] == "$share/g/$exclusive/#"; (r.Err == nil) != want {
			t.Errorf("%s: %v", filters[i], r.Err)
		}
	}
}
