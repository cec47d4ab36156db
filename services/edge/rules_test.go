package edge_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/edge"
	"github.com/pando-mq/pando/services/edge/edgetest"
)

// both runs a test with a clean and with a persistent session.
func both(t *testing.T, fn func(t *testing.T, req func(string) edge.ConnectRequest)) {
	t.Helper()
	for name, req := range map[string]func(string) edge.ConnectRequest{"clean": edgetest.Clean, "persistent": edgetest.Persistent} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fn(t, req)
		})
	}
}

func TestRevokedSubscriptionDeliversNothing(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, req func(string) edge.ConnectRequest) {
		b := edgetest.New(t)
		e := b.Edge(t, nil)
		d, pub := b.Connect(t, e, req("c")), b.Connect(t, e, edgetest.Clean("pub"))
		d.AutoAck()
		granted(t, d.Subscribe(1, "good/+", "bad/+"))
		receive(t, pub.Publish("bad/1", "before", 1, 1))
		wantGot(t, d, "bad/1=before")
		d.FillAfter(0)
		d.Do(func(*edge.Conn) {})
		receive(t, pub.Publish("good/1", "fills", 1, 2)) // from here on messages queue
		d.WaitGot(2)
		receive(t, pub.Publish("bad/2", "queued", 1, 3))
		receive(t, pub.Publish("good/2", "queued", 1, 4))
		asked := len(b.Auth.Questions())
		b.Auth.Deny(broker.ActionSubscribe, "bad/+")
		eventually(t, "the edge has heard of it", func() bool { return len(b.Auth.Questions()) > asked })
		d.Drain(-1)
		wantGot(t, d, "bad/1=before", "good/1=fills", "good/2=queued")
		eventually(t, "dropped", func() bool { return e.Dropped(edge.DropDenied) == 1 })
		eventually(t, "unsubscribed", func() bool {
			rows, err := e.ClientSubscriptions(t.Context(), broker.ClientQuery{ClientID: "c"})
			return err == nil && len(rows) == 1 && rows[0].Filter == "good/+"
		})
		receive(t, pub.Publish("bad/3", "after", 1, 5))
		receive(t, pub.Publish("good/3", "after", 1, 6))
		wantGot(t, d, "bad/1=before", "good/1=fills", "good/2=queued", "good/3=after")
		b.Auth.Allow(broker.ActionSubscribe, "bad/+")
		eventually(t, "granted again", func() bool { return d.Subscribe(1, "bad/+")[0].Err == nil })
		receive(t, pub.Publish("bad/4", "again", 1, 7))
		wantGot(t, d, "bad/1=before", "good/1=fills", "good/2=queued", "good/3=after", "bad/4=again")
	})
}

func TestIdleConnectionsAreReviewed(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, req func(string) edge.ConnectRequest) {
		b := edgetest.New(t)
		e := b.Edge(t, nil)
		d := b.Connect(t, e, req("c"))
		granted(t, d.Subscribe(1, "t"))
		b.Auth.Deny(broker.ActionSubscribe, "t")
		eventually(t, "unsubscribed", func() bool {
			rows, err := e.ClientSubscriptions(t.Context(), broker.ClientQuery{ClientID: "c"})
			return err == nil && len(rows) == 0
		})
	})
}

// Rules that change while a review is under way are looked at after it, by connections with nothing to deliver too.
func TestAChangeDuringAReviewIsReviewed(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, req func(string) edge.ConnectRequest) {
		b := edgetest.New(t)
		e := b.Edge(t, nil)
		r := req("c")
		r.Will = &broker.Will{Msg: &broker.Message{Topic: "will"}}
		d := b.Connect(t, e, r)
		release := b.Auth.Stall("will")
		asked := len(b.Auth.Questions())
		b.Auth.Deny(broker.ActionPublish, "something")
		eventually(t, "a review", func() bool { return len(b.Auth.Questions()) > asked })
		granted(t, d.Subscribe(1, "t"))
		b.Auth.Deny(broker.ActionSubscribe, "t")
		other := b.Connect(t, e, edgetest.Clean("other"))
		if other.Subscribe(1, "t")[0].Err == nil {
			t.Fatal("the rules did not change")
		}
		d.Do(func(*edge.Conn) {})
		release()
		eventually(t, "unsubscribed", func() bool {
			rows, err := e.ClientSubscriptions(t.Context(), broker.ClientQuery{ClientID: "c"})
			return err == nil && len(rows) == 0
		})
	})
}

func TestDeliveriesWaitWhileNothingIsDecided(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, req func(string) edge.ConnectRequest) {
		b := edgetest.New(t)
		e := b.Edge(t, nil)
		d := b.Connect(t, e, req("c"))
		pub := b.Connect(t, e, edgetest.Clean("pub"))
		granted(t, d.Subscribe(1, "t"))
		b.Auth.Superuser("root")
		root := b.Connect(t, e, edgetest.Clean("root"))
		receive(t, pub.Publish("t", "1", 1, 1))
		wantGot(t, d, "t=1")
		asked := len(b.Auth.Questions())
		b.Auth.Fail(errors.New("no authsvc"))
		b.Auth.Deny(broker.ActionPublish, "something") // a newer generation that nobody can decide under
		eventually(t, "asked", func() bool { return len(b.Auth.Questions()) > asked })
		receive(t, root.Publish("t", "2", 1, 1))
		if len(d.Got()) != 1 {
			t.Fatal("delivered undecided")
		}
		b.Auth.Fail(nil)
		wantGot(t, d, "t=1", "t=2")
	})
}

func TestGrantsEndWithTheirTime(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, req func(string) edge.ConnectRequest) {
		synctest.Test(t, func(t *testing.T) {
			b := edgetest.New(t)
			e := b.Edge(t, nil)
			b.Auth.SetTTL(20 * time.Second)
			b.Auth.Superuser("root")
			d, root := b.Connect(t, e, req("c")), b.Connect(t, e, edgetest.Clean("root"))
			granted(t, d.Subscribe(1, "t"))
			receive(t, root.Publish("t", "1", 1, 1))
			wantGot(t, d, "t=1")
			asked := len(b.Auth.Questions())
			time.Sleep(19 * time.Second)
			receive(t, root.Publish("t", "2", 1, 2))
			wantGot(t, d, "t=1", "t=2")
			if n := len(b.Auth.Questions()); n != asked {
				t.Fatalf("asked %d times within the grant's time", n-asked)
			}
			time.Sleep(2 * time.Second)
			receive(t, root.Publish("t", "3", 1, 3))
			wantGot(t, d, "t=1", "t=2", "t=3")
			if n := len(b.Auth.Questions()); n != asked+1 {
				t.Fatalf("asked %d times after the grant's time", n-asked)
			}
		})
	})
}

func TestCheckDeliveryByTopic(t *testing.T) {
	t.Parallel()
	for _, cache := range []int{0, 1, 32} {
		t.Run(fmt.Sprint("cache ", cache), func(t *testing.T) {
			t.Parallel()
			both(t, func(t *testing.T, req func(string) edge.ConnectRequest) {
				b := edgetest.New(t)
				e := b.Edge(t, func(c *edge.Config, _ *edge.Deps) { c.ACL.CheckDelivery, c.ACL.CacheSize = edge.CheckTopic, cache })
				b.Auth.Deny(broker.ActionSubscribe, "t/secret")
				r := req("c")
				r.Mountpoint = "m/"
				d, pub := b.Connect(t, e, r), b.Connect(t, e, edgetest.Clean("pub"))
				d.AutoAck()
				granted(t, d.Subscribe(1, "t/+"))
				for i, topic := range []string{"m/t/a", "m/t/secret", "m/t/b", "m/t/secret", "m/t/a"} {
					receive(t, pub.Publish(topic, fmt.Sprint(i), 1, uint16(i+1)))
				}
				wantGot(t, d, "t/a=0", "t/b=2", "t/a=4")
				if e.Dropped(edge.DropDenied) != 2 {
					t.Fatalf("%d denied", e.Dropped(edge.DropDenied))
				}
			})
		})
	}
}

func TestQueuedByAFilterThatIsNoSubscriptionAnyMore(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, req func(string) edge.ConnectRequest) {
		b := edgetest.New(t)
		e := b.Edge(t, nil)
		d, pub := b.Connect(t, e, req("c")), b.Connect(t, e, edgetest.Clean("pub"))
		d.AutoAck()
		probe := b.Connect(t, e, edgetest.Clean("probe")) // reviewed when the rules change
		granted(t, probe.Subscribe(0, "b/#"))
		granted(t, d.Subscribe(1, "a/#", "b/#"))
		d.FillAfter(1)
		receive(t, pub.Publish("a/0", "fills", 1, 1))
		d.WaitGot(1)
		receive(t, pub.Publish("a/1", "queued", 1, 2))
		receive(t, pub.Publish("b/1", "queued", 1, 3))
		if u := d.Unsubscribe("a/#", "b/#"); u[0].Err != nil || u[1].Err != nil {
			t.Fatalf("%+v", u)
		}
		b.Auth.Deny(broker.ActionSubscribe, "b/#")
		rows := func() int {
			r, _ := e.ClientSubscriptions(t.Context(), broker.ClientQuery{ClientID: "probe"})
			return len(r)
		}
		eventually(t, "the edge has heard of it", func() bool { return rows() == 0 })
		d.Drain(-1)
		wantGot(t, d, "a/0=fills", "a/1=queued")
	})
}

func TestResumedSubscriptionsAreDecidedAgain(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e := b.Edge(t, nil)
	d, pub := b.Connect(t, e, edgetest.Persistent("c")), b.Connect(t, e, edgetest.Clean("pub"))
	granted(t, d.Subscribe(1, "good", "bad"))
	d.Close()
	eventually(t, "detached", func() bool { return !b.Sessions.Attached("", "c") })
	receive(t, pub.Publish("bad", "1", 1, 1))
	receive(t, pub.Publish("good", "2", 1, 2))
	b.Auth.Deny(broker.ActionSubscribe, "bad")
	again := b.Connect(t, e, edgetest.Persistent("c"))
	wantGot(t, again, "good=2")
	eventually(t, "unsubscribed", func() bool { return len(b.Sessions.Requests(broker.OpUnsubscribe)) == 1 })
}

func TestFlushACL(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e := b.Edge(t, nil)
	d := b.Connect(t, e, edgetest.Clean("c"))
	receive(t, d.Publish("t", "", 1, 1))
	receive(t, d.Publish("t", "", 1, 2))
	if n := len(b.Auth.Questions()); n != 1 {
		t.Fatalf("%d questions", n)
	}
	for i, id := range []string{"c", ""} {
		if err := e.FlushACL(t.Context(), "", id); err != nil {
			t.Fatal(err)
		}
		d.Do(func(*edge.Conn) {})
		receive(t, d.Publish("t", "", 1, uint16(3+i)))
		if n := len(b.Auth.Questions()); n != 2+i {
			t.Fatalf("%d questions", n)
		}
	}
	if err := e.FlushACL(t.Context(), "", "nobody"); kindOf(t, err) != broker.KindNotFound {
		t.Fatal(err)
	}
}
