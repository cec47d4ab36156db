package edge_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/edge"
	"github.com/pando-mq/pando/services/edge/edgetest"
)

// tick is the resolution that the wheel promises: a deadline is met at most two of it late.
const tick = 100 * time.Millisecond

func TestKeepAlive(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		keepAlive time.Duration
		backoff   float64
		touch     []time.Duration // after the connect
		want      time.Duration   // after the last sign of life
	}{
		{"1.5 times", 60 * time.Second, 0.75, nil, 90 * time.Second},
		{"longer than the wheel", 10 * time.Minute, 0.75, nil, 15 * time.Minute},
		{"touched", 10 * time.Second, 0.75, []time.Duration{14 * time.Second, 28 * time.Second, 42500 * time.Millisecond}, 15 * time.Second},
		{"another factor", 10 * time.Second, 1.25, nil, 25 * time.Second},
		{"one second", time.Second, 0.75, []time.Duration{time.Second, 2 * time.Second}, 1500 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := edgetest.New(t)
				e := b.Edge(t, func(c *edge.Config, _ *edge.Deps) { c.KeepaliveBackoff = tt.backoff })
				req := edgetest.Clean("c")
				req.KeepAlive = tt.keepAlive
				d := b.Connect(t, e, req)
				start, last := time.Now(), time.Now()
				for _, at := range tt.touch {
					time.Sleep(at - time.Since(start))
					d.Conn().Touch()
					last = time.Now()
				}
				time.Sleep(tt.want - time.Since(last) - time.Millisecond)
				synctest.Wait()
				if k := d.Kicks(); len(k) != 0 {
					t.Fatalf("kicked %v too early: %v", tt.want-time.Since(last), k)
				}
				time.Sleep(2*tick + 2*time.Millisecond)
				synctest.Wait()
				if k := d.Kicks(); len(k) != 1 || k[0].Code != edge.KickKeepAlive {
					t.Fatalf("kicks %v after %v", k, time.Since(last))
				}
			})
		})
	}
}

func TestCredentialsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := edgetest.New(t)
		e := b.Edge(t, nil)
		b.Auth.SetExpires(time.Now().Add(time.Hour))
		req := edgetest.Clean("c")
		req.KeepAlive = time.Minute
		d := b.Connect(t, e, req)
		for range 59 {
			time.Sleep(time.Minute)
			d.Conn().Touch()
		}
		if len(d.Kicks()) != 0 {
			t.Fatal("kicked too early")
		}
		time.Sleep(time.Minute + 2*tick)
		synctest.Wait()
		if k := d.Kicks(); len(k) != 1 || k[0].Code != edge.KickExpired {
			t.Fatalf("kicks %v", k)
		}
	})
}

func TestNoKeepAlive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := edgetest.New(t)
		e := b.Edge(t, nil)
		d := b.Connect(t, e, edgetest.Clean("c"))
		time.Sleep(time.Hour)
		if len(d.Kicks()) != 0 {
			t.Fatal("kicked")
		}
	})
}

func TestRetainedStallEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := edgetest.New(t)
		e := b.Edge(t, func(c *edge.Config, _ *edge.Deps) { c.Session.Queue.MaxLength = 20 })
		pub := b.Connect(t, e, edgetest.Clean("pub"))
		retain(t, pub, 100)
		d := b.Connect(t, e, edgetest.Clean("c"))
		d.FillAfter(0)
		granted(t, d.Subscribe(0, "r/#"))
		synctest.Wait()
		before := len(d.Got())
		time.Sleep(30 * time.Second)
		if e.Dropped(edge.DropStalled) != 0 {
			t.Fatal("given up too early")
		}
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if e.Dropped(edge.DropStalled) == 0 || before > 1 {
			t.Fatalf("not given up; %d delivered", before)
		}
	})
}

func TestForgottenSources(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := edgetest.New(t)
		e := b.Edge(t, nil)
		d := b.Connect(t, e, edgetest.Clean("c"))
		granted(t, d.Subscribe(1, "t"))
		s, err := e.OpenDeliver(t.Context(), broker.DeliverOpen{Topic: 3, TopicEpoch: 5}, func([]broker.DeliverAck) {})
		if err != nil {
			t.Fatal(err)
		}
		send := func(seq uint64, text string) {
			m := &broker.Message{Topic: "t", Payload: []byte(text), QoS: 1}
			if err := s.Send([]broker.Delivery{{Source: broker.Source{Incarnation: 7, Topic: 3}, Seq: seq, Msg: m, Plain: true}}); err != nil {
				t.Fatal(err)
			}
		}
		send(1, "first")
		send(1, "repeat")
		time.Sleep(5 * time.Minute) // incarnation 7 is in no view
		send(2, "second")
		time.Sleep(15 * time.Minute)
		send(3, "dead")
		synctest.Wait()
		wantGot(t, d, "t=first", "t=second")
	})
}
