package edge_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/edge"
	"github.com/pando-mq/pando/services/edge/edgetest"
)

// A client cannot pile up SUBSCRIBEs, UNSUBSCRIBEs and PUBRELs that nobody answers: they count like publishes, and reading is held.
func TestRequestsWithoutAnswerHoldReading(t *testing.T) {
	t.Parallel()
	ask := map[string]func(c *edge.Conn, n int, done func()){
		"subscribe": func(c *edge.Conn, n int, done func()) {
			c.Subscribe([]broker.Subscription{{Filter: fmt.Sprint("t/", n)}}, func([]edge.SubscribeResult) { done() })
		},
		"unsubscribe": func(c *edge.Conn, n int, done func()) {
			c.Unsubscribe([]string{fmt.Sprint("t/", n)}, func([]edge.SubscribeResult) { done() })
		},
		"release": func(c *edge.Conn, n int, done func()) { c.Release(uint16(n+1), func(uint16, bool, error) { done() }) },
	}
	for name, ask := range ask {
		for _, clean := range []bool{true, false} {
			if clean && name != "subscribe" {
				continue // answered at once
			}
			t.Run(fmt.Sprint(name, " clean ", clean), func(t *testing.T) {
				t.Parallel()
				b := edgetest.New(t)
				e := b.Edge(t, func(c *edge.Config, _ *edge.Deps) { c.Publish.MaxUnacked = 1000 })
				req := edgetest.Persistent("c")
				if clean {
					req = edgetest.Clean("c")
				}
				d := b.Connect(t, e, req)
				ops := []broker.SessionOp{broker.OpSubscribe, broker.OpUnsubscribe, broker.OpRelease}
				for _, op := range ops {
					b.Sessions.Mute(op, true)
				}
				b.Router.StallRoutes(true)
				answered := make(chan struct{}, 20)
				for n := range 20 {
					d.Do(func(c *edge.Conn) { ask(c, n, func() { answered <- struct{}{} }) })
				}
				if h := d.Holds(); len(h) != 1 || !h[0] {
					t.Errorf("holds %v with twenty requests waiting", h)
				}
				for _, op := range ops {
					b.Sessions.Mute(op, false)
				}
				b.Router.StallRoutes(false)
				b.Sessions.Break() // the next stream repeats them
				for range 20 {
					receive(t, answered)
				}
				if !d.Wait(func() bool { h := d.Holds(); return len(h) == 2 && !h[1] }) {
					t.Errorf("holds %v at the end", d.Holds())
				}
			})
		}
	}
}

// What waits for one session partition is bounded for all clients together: requests beyond it are not sent, and go on in order when there is room.
func TestRequestsWaitForRoomAtTheSessionPartition(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e := b.Edge(t, func(c *edge.Config, _ *edge.Deps) { c.Publish.MaxUnacked = 64 << 20 })
	d := b.Connect(t, e, edgetest.Persistent("c"))
	b.Sessions.Mute(broker.OpPublish2, true)
	large := strings.Repeat("x", 4<<20)
	for n := range 4 {
		d.Publish("t", large, 2, uint16(n+1))
	}
	answered := make(chan string, 3)
	d.Do(func(c *edge.Conn) {
		c.Subscribe([]broker.Subscription{{Filter: "a"}}, func([]edge.SubscribeResult) { answered <- "subscribe" })
		c.Release(9, func(uint16, bool, error) { answered <- "release" })
		c.Unsubscribe([]string{"a"}, func([]edge.SubscribeResult) { answered <- "unsubscribe" })
	})
	eventually(t, "publishes sent", func() bool { return len(b.Sessions.Requests(broker.OpPublish2)) == 4 })
	if !d.Wait(func() bool { return len(d.Holds()) == 1 }) {
		t.Fatal("reading goes on")
	}
	pending(t, answered)
	if n := len(b.Sessions.Requests(broker.OpSubscribe)); n != 0 {
		t.Errorf("%d requests beyond the bound", n)
	}
	b.Sessions.Mute(broker.OpPublish2, false)
	b.Sessions.Break()
	for _, want := range []string{"subscribe", "release", "unsubscribe"} {
		if got := receive(t, answered); got != want {
			t.Errorf("answered %s, want %s", got, want)
		}
	}
}

// SUBACK always waits for the routers, also if the filter is in the session already (rule N8).
func TestARepeatedSubscribeWaitsForTheRouters(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e := b.Edge(t, nil)
	d := b.Connect(t, e, edgetest.Clean("c"))
	b.Router.StallRoutes(true)
	answered := make(chan edge.SubscribeResult, 2)
	for range 2 {
		d.Do(func(c *edge.Conn) {
			c.Subscribe([]broker.Subscription{{Filter: "a"}}, func(r []edge.SubscribeResult) { answered <- r[0] })
		})
	}
	granted(t, d.Subscribe(0, "$local/a")) // behind them, and for no router
	pending(t, answered)
	b.Router.StallRoutes(false)
	if first, second := receive(t, answered), receive(t, answered); first.Err != nil || second.Err != nil || first.Existed == second.Existed {
		t.Errorf("%+v, %+v", first, second)
	}
}
