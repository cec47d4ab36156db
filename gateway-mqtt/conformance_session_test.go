package gatewaymqtt_test

import (
	"slices"
	"testing"
	"time"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
)

// TestCleanStart: clean start, "clean session" below 5.0 (§3.1.2.4).
func TestCleanStart(t *testing.T) {
	t.Parallel()
	w := start(t)
	t.Run("discards the session", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c := w.back(t, v, own(t), false)
			c.subscribe(1, own(t))
			w.cut(t, c, own(t))
			pub := w.connect(t, v, own(t)+"pub")
			pub.flow(message(1, 1, own(t), "for the old session"))
			c = w.dial(t, "tcp", v)
			c.send(connectPacket(v, own(t)))
			if ack := expect[*packet.Connack](c); ack.SessionPresent || ack.Reason != packet.Success {
				t.Errorf("CONNACK %+v", ack)
			}
			pub.flow(message(1, 2, own(t), "for the old subscription"))
			c.subscribe(1, own(t)+"/new")
			c.only(pub, own(t)+"/new")
		})
	})
	t.Run("is not reused", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c := w.connect(t, v, own(t))
			c.subscribe(1, own(t))
			w.cut(t, c, own(t))
			c = w.back(t, v, own(t), false)
			pub := w.connect(t, v, own(t)+"pub")
			pub.flow(message(1, 1, own(t), "for nobody"))
			c.subscribe(1, own(t)+"/new")
			c.only(pub, own(t)+"/new")
		})
	})
	t.Run("resumes the session", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c := w.back(t, v, own(t), false)
			c.subscribe(1, own(t))
			w.cut(t, c, own(t))
			c = w.back(t, v, own(t), true)
			w.connect(t, v, own(t)+"pub").flow(message(1, 1, own(t), "x"))
			c.receive(own(t), "x")
		})
	})
	t.Run("creates a session", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) { w.back(t, v, own(t), false).quiet() })
	})
}

// TestSessionState: what a session keeps, and how long (§4.1).
func TestSessionState(t *testing.T) {
	t.Parallel()
	w := start(t)
	t.Run("messages while the client is away", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c := w.back(t, v, own(t), false)
			c.subscribe(2, own(t))
			w.cut(t, c, own(t))
			pub := w.connect(t, v, own(t)+"pub")
			pub.flow(message(1, 1, own(t), "one"))
			pub.flow(message(2, 2, own(t), "two"))
			c = w.back(t, v, own(t), true)
			c.receive(own(t), "one")
			c.receive(own(t), "two")
		})
	})
	t.Run("kept while connected", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c := w.connect(t, v, own(t)) // its session ends with the connection, and not before
			c.subscribe(1, own(t))
			pub := w.connect(t, v, own(t)+"pub")
			for id := range uint16(20) {
				pub.flow(message(1, id+1, own(t), "x"))
				c.receive(own(t), "x")
			}
		})
	})
	t.Run("ends with the connection", func(t *testing.T) {
		t.Parallel()
		for name, change := range map[string]func(*packet.Connect){
			"no interval": clean(false),
			"interval 0":  func(p *packet.Connect) { p.CleanStart, p.Properties.SessionExpiry = false, packet.Some[uint32](0) },
		} {
			id := own(t) + name
			c := w.connect(t, packet.V5, id, change)
			c.subscribe(1, own(t))
			w.cut(t, c, id)
			w.back(t, packet.V5, id, false)
		}
	})
	t.Run("DISCONNECT changes the interval", func(t *testing.T) {
		t.Parallel()
		c := w.back(t, packet.V5, own(t), false)
		c.send(&packet.Disconnect{Properties: packet.Properties{SessionExpiry: packet.Some[uint32](0)}})
		c.expectClosed()
		w.gone(t, own(t))
		w.back(t, packet.V5, own(t), false)
	})
	t.Run("DISCONNECT makes none of nothing", func(t *testing.T) {
		t.Parallel()
		c := w.connect(t, packet.V5, own(t))
		c.send(&packet.Disconnect{Properties: packet.Properties{SessionExpiry: packet.Some[uint32](10)}})
		c.expectEnd(packet.ProtocolError)
	})
	t.Run("retained messages are no part of it", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c := w.connect(t, v, own(t))
			c.flow(retained(1, 1, own(t), "stays"))
			w.cut(t, c, own(t))
			c = w.connect(t, v, own(t))
			c.subscribe(1, own(t))
			c.receive(own(t), "stays")
		})
	})
}

// TestWillMessage: wills (§3.1.2.5, §3.1.3.2). How long a will waits is the session partition's affair.
func TestWillMessage(t *testing.T) {
	t.Parallel()
	w := start(t)
	dying := func(t *testing.T, change func(*packet.Will)) func(*packet.Connect) {
		return func(p *packet.Connect) {
			p.Will = &packet.Will{Topic: own(t), Payload: []byte("gone"), QoS: 1}
			change(p.Will)
		}
	}
	as := func(t *testing.T) func(*packet.Connect) { return dying(t, func(*packet.Will) {}) }
	t.Run("after a lost connection", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			watcher := w.connect(t, v, own(t)+"watcher")
			watcher.subscribe(1, own(t))
			w.cut(t, w.connect(t, v, own(t), as(t)), own(t))
			watcher.receive(own(t), "gone")
		})
	})
	t.Run("after a protocol error", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			watcher := w.connect(t, v, own(t)+"watcher")
			watcher.subscribe(1, own(t))
			c := w.connect(t, v, own(t), as(t))
			c.raw([]byte("\xd0\x00"))
			c.expectEnd(packet.ProtocolError)
			watcher.receive(own(t), "gone")
		})
	})
	t.Run("not after DISCONNECT", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			watcher := w.connect(t, v, own(t)+"watcher")
			watcher.subscribe(1, own(t))
			c := w.connect(t, v, own(t), as(t))
			c.send(&packet.Disconnect{})
			c.expectClosed()
			w.gone(t, own(t))
			watcher.only(w.connect(t, v, own(t)+"pub"), own(t))
		})
	})
	t.Run("after DISCONNECT with will", func(t *testing.T) {
		t.Parallel()
		watcher := w.connect(t, packet.V5, own(t)+"watcher")
		watcher.subscribe(1, own(t))
		c := w.connect(t, packet.V5, own(t), as(t))
		c.send(&packet.Disconnect{Reason: packet.DisconnectWithWill})
		watcher.receive(own(t), "gone")
	})
	t.Run("once", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			watcher := w.connect(t, v, own(t)+"watcher")
			watcher.subscribe(1, own(t))
			w.cut(t, w.connect(t, v, own(t), keep, as(t)), own(t))
			watcher.receive(own(t), "gone")
			w.cut(t, w.connect(t, v, own(t), keep), own(t)) // without a will
			watcher.only(w.connect(t, v, own(t)+"pub"), own(t))
		})
	})
	t.Run("none without its flag", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			watcher := w.connect(t, v, own(t)+"watcher")
			watcher.subscribe(1, own(t)+"/#")
			w.cut(t, w.connect(t, v, own(t)), own(t))
			watcher.only(w.connect(t, v, own(t)+"pub"), own(t))
		})
	})
	for name, kept := range map[string]bool{"not retained": false, "retained": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			both(t, func(t *testing.T, v packet.Version) {
				watcher := w.connect(t, v, own(t)+"watcher")
				w.settled(watcher, own(t), packet.Subscription{QoS: 1})
				w.cut(t, w.connect(t, v, own(t), dying(t, func(m *packet.Will) { m.Retain = kept })), own(t))
				watcher.receive(own(t), "gone")
				late := w.connect(t, v, own(t)+"late")
				late.subscribe(1, own(t))
				if kept {
					if p := late.receive(own(t), "gone"); !p.Retain {
						t.Error("without the retain flag")
					}
				}
				late.only(w.connect(t, v, own(t)+"pub"), own(t))
			})
		})
	}
	t.Run("user properties in order", func(t *testing.T) {
		t.Parallel()
		watcher := w.connect(t, packet.V5, own(t)+"watcher")
		watcher.subscribe(1, own(t))
		pairs := []packet.UserProperty{{Name: "b", Value: "1"}, {Name: "a", Value: "2"}, {Name: "b", Value: "0"}, {Name: "c", Value: ""}}
		w.cut(t, w.connect(t, packet.V5, own(t), dying(t, func(m *packet.Will) { m.Properties.User = pairs })), own(t))
		if p := watcher.receive(own(t), "gone"); !slices.Equal(p.Properties.User, pairs) {
			t.Errorf("%v", p.Properties.User)
		}
	})
}

// TestServerKeepAlive: a limit binds those who can be told of it (§3.2.2.3.14).
func TestServerKeepAlive(t *testing.T) {
	t.Parallel()
	w := start(t, func(s *setup) { s.cfg.KeepaliveBackoff, s.cfg.MaxKeepAlive = 0.1, time.Second })
	told := func(t *testing.T, keepAlive uint16) packet.Opt[uint16] {
		t.Helper()
		c := w.dial(t, "tcp", packet.V5)
		c.send(connectPacket(packet.V5, own(t), func(p *packet.Connect) { p.KeepAlive = keepAlive }))
		k := expect[*packet.Connack](c).Properties.ServerKeepAlive
		c.expectEnd(packet.KeepAliveTimeout)
		return k
	}
	t.Run("5.0 is told", func(t *testing.T) {
		t.Parallel()
		for _, asked := range []uint16{0, 600} {
			if k := told(t, asked); k != packet.Some[uint16](1) {
				t.Errorf("keep-alive %d: server keep-alive %+v", asked, k)
			}
		}
	})
	t.Run("the client's own", func(t *testing.T) {
		t.Parallel()
		if k := told(t, 1); k.Present {
			t.Errorf("server keep-alive %+v", k)
		}
	})
	t.Run("3.1.1 without keep-alive is served", func(t *testing.T) {
		t.Parallel()
		for id, keepAlive := range map[string]uint16{"none": 0, "long": 600} {
			quiet := w.connect(t, packet.V311, own(t)+id, func(p *packet.Connect) { p.KeepAlive = keepAlive })
			limited := w.connect(t, packet.V5, own(t)+id+"five")
			limited.expectEnd(packet.KeepAliveTimeout) // its time is over, and so would be that of the other
			quiet.quiet()
		}
	})
}
