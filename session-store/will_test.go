package sessionstore_test

import (
	"testing"
	"time"

	"github.com/pando-mq/pando/services/broker"
)

func will(delay time.Duration) *broker.Will {
	return &broker.Will{Msg: message("will", "gone", 1), Delay: delay}
}

// MQTT 5.0 §3.1.2.5, §3.1.3.2.2 and rule R6. Each step names what happens; publishes are what must have reached the routers after it. Every case runs with the
// owner of the partition replaced after each step, too.
func TestWills(t *testing.T) {
	type world2 struct {
		*world
		g1, g2  *gateway
		d, next *device
	}
	type step struct {
		name string
		do   func(*world2)
		want int // wills published so far
	}
	connect := func(o options) step {
		return step{"connect", func(w *world2) { w.d = w.g1.connect("c", o) }, 0}
	}
	detach := func(x broker.Detach, want int) step {
		return step{"detach", func(w *world2) { w.d.detach(x) }, want}
	}
	takeOver := func(o options) step {
		return step{"take over", func(w *world2) { w.next = w.g2.connect("c", o) }, 0}
	}
	kicked := func(want int) step {
		return step{"kicked", func(w *world2) { w.d.kicked() }, want}
	}
	gone := func(want int) step {
		return step{"gateway gone", func(w *world2) { w.g1.gone() }, want}
	}
	wait := func(d time.Duration, want int) step {
		return step{"wait", func(*world2) { time.Sleep(d); settle() }, want}
	}
	closed, normal := broker.Detach{Reason: "closed"}, broker.Detach{Reason: "normal", DropWill: true}
	hour := time.Hour
	cases := map[string][]step{
		"clean, closed":                      {connect(options{clean: true, will: will(0)}), detach(closed, 1)},
		"clean, disconnect":                  {connect(options{clean: true, will: will(0)}), detach(normal, 0), wait(hour, 0)},
		"clean, delay means nothing":         {connect(options{clean: true, will: will(hour)}), detach(closed, 1)},
		"persistent, closed":                 {connect(options{expiry: hour, will: will(0)}), detach(closed, 1)},
		"persistent, disconnect":             {connect(options{expiry: hour, will: will(0)}), detach(normal, 0), wait(2*hour, 0)},
		"persistent, delay":                  {connect(options{expiry: hour, will: will(time.Minute)}), detach(closed, 0), wait(50*time.Second, 0), wait(20*time.Second, 1)},
		"persistent, delay, session ends":    {connect(options{expiry: time.Minute, will: will(hour)}), detach(closed, 0), wait(50*time.Second, 0), wait(20*time.Second, 1), wait(2*hour, 1)},
		"persistent, delay, back in time":    {connect(options{expiry: hour, will: will(time.Minute)}), detach(closed, 0), takeOver(persistent), wait(hour, 0)},
		"persistent, delay, back clean":      {connect(options{expiry: hour, will: will(time.Minute)}), detach(closed, 0), {"back", func(w *world2) { w.g2.connect("c", options{clean: true}) }, 1}},
		"delay, disconnect with expiry 0":    {connect(options{expiry: hour, will: will(time.Minute)}), detach(broker.Detach{HasExpiry: true}, 1)},
		"gateway gone":                       {connect(options{expiry: hour, will: will(0)}), gone(1)},
		"gateway gone, delay":                {connect(options{expiry: hour, will: will(time.Minute)}), gone(0), wait(70*time.Second, 1)},
		"gateway gone, clean":                {connect(options{clean: true, will: will(0)}), gone(1)},
		"take-over, kick answered":           {connect(options{expiry: hour, will: will(0)}), takeOver(persistent), kicked(1)},
		"take-over, disconnect on its way":   {connect(options{expiry: hour, will: will(0)}), takeOver(persistent), detach(normal, 0), kicked(0)},
		"take-over, close on its way":        {connect(options{expiry: hour, will: will(0)}), takeOver(persistent), detach(closed, 1), kicked(1)},
		"take-over, gateway gone":            {connect(options{expiry: hour, will: will(0)}), takeOver(persistent), gone(1)},
		"take-over, delay":                   {connect(options{expiry: hour, will: will(time.Minute)}), takeOver(persistent), kicked(0), wait(hour, 0)},
		"take-over, delay, clean start":      {connect(options{expiry: hour, will: will(time.Minute)}), takeOver(options{clean: true}), kicked(1)},
		"take-over, delay, expiry 0":         {connect(options{clean: true, will: will(time.Minute)}), takeOver(options{clean: true}), kicked(1)},
		"take-over, new will is another":     {connect(options{expiry: hour, will: will(0)}), takeOver(options{expiry: hour, will: will(0)}), kicked(1), {"new one closes", func(w *world2) { w.next.detach(closed) }, 2}},
		"late close of a superseded, repeat": {connect(options{expiry: hour, will: will(0)}), takeOver(persistent), detach(closed, 1), detach(closed, 1), kicked(1), detach(closed, 1)},
	}
	for name, steps := range cases {
		for _, fail := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", owner fails after each step"}[fail], func(t *testing.T) {
				run(t, func(t *testing.T, w *world) {
					x := &world2{world: w, g1: w.gateway("g1"), g2: w.gateway("g2")}
					for _, s := range steps {
						s.do(x)
						if fail {
							x.failOver(x.g1, x.g2)
						}
						settle()
						if got := w.router.published(); len(got) != s.want {
							t.Fatalf("after %q: published %v, want %d wills", s.name, got, s.want)
						}
					}
				})
			})
		}
	}
}

// failOver replaces the owner; the gateways that are alive open streams and announce nothing: everything the test connects is durable.
func (w *world) failOver(gateways ...*gateway) {
	w.t.Helper()
	w.fail()
	for _, g := range gateways {
		if _, ok := w.cluster.View().ByIncarnation(g.ref.Incarnation); ok {
			g.open()
		}
	}
}

// Rule R6: a gateway whose key goes while nobody watches is noticed by the next owner, by its incarnation.
func TestR6NewOwnerDetachesGoneIncarnations(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		g.connect("c", options{expiry: time.Hour, will: will(0)})
		w.kill()
		g.gone()
		w.gateway2("g1")
		w.startStore()
		w.want("published", w.router.published(), "will=gone")
		infos, err := w.store.Sessions(w.t.Context(), broker.ClientQuery{})
		if err != nil || len(infos) != 1 || infos[0].Connected {
			t.Fatalf("sessions %+v: %v", infos, err)
		}
	})
}

// gateway2 registers a gateway again, without opening streams.
func (w *world) gateway2(id string) {
	w.t.Helper()
	g := w.gatewayMember(id)
	w.gws[g.ref.Incarnation] = g
}

// Rule R6: nothing of a will leaves before the record is durable that it is published.
func TestR6WillWaitsForItsRecord(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		d := g.connect("c", options{expiry: time.Hour, will: will(0)})
		held, release := w.faults.Hold(logOf("c"))
		r := d.request(broker.OpDetach)
		r.Detach = &broker.Detach{Reason: "closed"}
		id := g.send(r)
		settle()
		<-held
		if got := w.router.published(); len(got) != 0 || g.reply(id) != nil {
			t.Fatalf("published %v before the record is durable", got)
		}
		release()
		settle()
		w.want("published", w.router.published(), "will=gone")
	})
}

func TestWillMessage(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		x := will(0)
		x.Expiry = time.Minute
		x.Msg.Retain = true
		d := g.connect("c", options{expiry: time.Hour, will: x})
		time.Sleep(time.Second)
		d.detach(broker.Detach{Reason: "closed"})
		settle()
		m := w.router.got[0].Msg
		if m.ID == (broker.MessageID{}) || !m.Retain || m.Expires.Sub(m.Published) != time.Minute || !m.Published.After(x.Msg.Published) {
			t.Fatalf("will %+v", m)
		}
	})
}
