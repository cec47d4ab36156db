package gatewaymqtt_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
	"github.com/pando-mq/pando/services/broker"
)

// TestAttach: what a CONNECT asks for is what the session partition hears.
func TestAttach(t *testing.T) {
	t.Parallel()
	w := start(t, func(s *setup) { s.session.ExpiryInterval = 1000 * time.Hour })
	type attach struct {
		Clean     bool
		Expiry    time.Duration
		Window    uint16
		KeepAlive time.Duration
		MaxPacket uint32
		Delay     time.Duration // of the will
		Life      time.Duration
	}
	five := func(fn func(p *packet.Properties)) func(*packet.Connect) {
		return func(p *packet.Connect) { fn(&p.Properties) }
	}
	will := func(props packet.Properties) func(*packet.Connect) {
		return func(p *packet.Connect) { p.Will = &packet.Will{Topic: "w", Properties: props} }
	}
	for name, tt := range map[string]struct {
		v    packet.Version
		how  []func(*packet.Connect)
		want attach
	}{
		"3.1.1 clean":                      {packet.V311, nil, attach{Clean: true, Window: 32}},
		"3.1.1 persistent":                 {packet.V311, []func(*packet.Connect){clean(false)}, attach{Expiry: 1000 * time.Hour, Window: 32}},
		"5.0 without expiry (§3.1.2.11.2)": {packet.V5, []func(*packet.Connect){clean(false)}, attach{Window: 32}},
		"5.0 with expiry": {
			packet.V5,
			[]func(*packet.Connect){five(func(p *packet.Properties) { p.SessionExpiry = packet.Some[uint32](60) })},
			attach{Clean: true, Expiry: time.Minute, Window: 32},
		},
		"5.0 for ever": {
			packet.V5,
			[]func(*packet.Connect){five(func(p *packet.Properties) { p.SessionExpiry = packet.Some[uint32](0xffffffff) })},
			attach{Clean: true, Expiry: 1000 * time.Hour, Window: 32},
		},
		"receive maximum and packet size": {packet.V5, []func(*packet.Connect){five(func(p *packet.Properties) {
			p.ReceiveMaximum, p.MaximumPacketSize = packet.Some[uint16](5), packet.Some[uint32](100)
		})}, attach{Clean: true, Window: 5, MaxPacket: 100}},
		"keep-alive": {
			packet.V31,
			[]func(*packet.Connect){func(p *packet.Connect) { p.KeepAlive = 65535 }},
			attach{Clean: true, Window: 32, KeepAlive: 65535 * time.Second},
		},
		"will": {
			packet.V5,
			[]func(*packet.Connect){will(packet.Properties{WillDelay: packet.Some[uint32](5), MessageExpiry: packet.Some[uint32](9)})},
			attach{Clean: true, Window: 32, Delay: 5 * time.Second, Life: 9 * time.Second},
		},
		"will that is never in time": {
			packet.V5,
			[]func(*packet.Connect){will(packet.Properties{MessageExpiry: packet.Some[uint32](0)})},
			attach{Clean: true, Window: 32, Life: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w.connect(t, tt.v, name, tt.how...)
			for _, r := range w.backend.Sessions.Requests(broker.OpAttach) {
				if r.ClientID != name {
					continue
				}
				a := r.Attach
				got := attach{Clean: a.CleanStart, Expiry: a.Expiry, Window: a.Window, KeepAlive: a.KeepAlive, MaxPacket: a.MaxPacket}
				if a.Will != nil {
					got.Delay, got.Life = a.Will.Delay, a.Will.Expiry
				}
				if d := cmp.Diff(tt.want, got); d != "" {
					t.Errorf("attach (-want +got):\n%s", d)
				}
				return
			}
			t.Error("no attach")
		})
	}
}

// TestDetach: DISCONNECT may change the session expiry (§3.14.2.2.2).
func TestDetach(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect(t, packet.V5, "leaves", func(p *packet.Connect) { p.Properties.SessionExpiry = packet.Some[uint32](100) })
	c.send(&packet.Disconnect{Properties: packet.Properties{SessionExpiry: packet.Some[uint32](7)}})
	c.expectClosed()
	w.eventually(t, "detached", func() bool { return len(w.backend.Sessions.Requests(broker.OpDetach)) == 1 })
	d := w.backend.Sessions.Requests(broker.OpDetach)[0].Detach
	if !d.DropWill || !d.HasExpiry || d.Expiry != 7*time.Second || d.Reason != "normal" {
		t.Errorf("%+v", d)
	}
}

// TestReleaseThatFails: without an answer of the suite PUBREL gets none, so that the client repeats it.
func TestReleaseThatFails(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.backend.Sessions.RefuseOp(broker.OpRelease, broker.E(broker.KindUnavailable, "test", nil))
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			c := w.connect(t, v, "rel"+v.String(), func(p *packet.Connect) {
				p.CleanStart = v == packet.V5
				if v == packet.V5 {
					p.Properties.SessionExpiry = packet.Some[uint32](100)
				}
			})
			c.send(message(2, 1, "a", "x"))
			expect[*packet.Ack](c)
			c.send(&packet.Ack{Type: packet.TypePubrel, ID: 1})
			c.expectEnd(packet.ServerBusy)
		})
	}
}
