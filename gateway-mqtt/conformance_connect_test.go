package gatewaymqtt_test

import (
	"strings"
	"testing"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
	"github.com/pando-mq/pando/services/broker"
)

// TestConnectFirst: CONNECT comes first, and once (§3.1).
func TestConnectFirst(t *testing.T) {
	t.Parallel()
	w := start(t)
	for name, b := range map[string]string{
		"PUBLISH before CONNECT": "\x30\x03\x00\x01a", "PINGREQ before CONNECT": "\xc0\x00", "DISCONNECT before CONNECT": "\xe0\x00",
		"SUBSCRIBE before CONNECT": "\x82\x06\x00\x01\x00\x01a\x00", "AUTH before CONNECT": "\xf0\x00",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := w.dial(t, "tcp", packet.V311)
			c.raw([]byte(b))
			c.expectClosed()
		})
	}
	t.Run("second CONNECT", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c := w.connect(t, v, own(t))
			c.send(connectPacket(v, own(t)))
			c.expectEnd(packet.ProtocolError)
		})
	})
}

// TestConnectHeader: the variable header of CONNECT (§3.1.2).
func TestConnectHeader(t *testing.T) {
	t.Parallel()
	w := start(t)
	unsupported := func(t *testing.T, v packet.Version, b string) {
		t.Helper()
		c := w.dial(t, "tcp", v)
		c.raw([]byte(b))
		if ack := expect[*packet.Connack](c); ack.Reason != packet.UnsupportedVersion || ack.SessionPresent {
			t.Errorf("CONNACK %+v", ack)
		}
		c.expectClosed()
	}
	t.Run("protocol name", func(t *testing.T) {
		t.Parallel()
		w.refusesConnect(t, "\x10\x0d\x00\x04mqtt\x04\x02\x00\x00\x00\x01a", "", 0)
		unsupported(t, packet.V31, "\x10\x0f\x00\x06MQIsdp\x05\x02\x00\x00\x00\x01a")
		c := w.dial(t, "tcp", packet.V5)
		c.raw([]byte("\x10\x0e\x00\x04MQTS\x05\x02\x00\x00\x00\x00\x01a"))
		c.expectClosed()
	})
	t.Run("protocol level", func(t *testing.T) {
		t.Parallel()
		unsupported(t, packet.V311, "\x10\x0d\x00\x04MQTT\x03\x02\x00\x00\x00\x01a")
		unsupported(t, packet.V5, "\x10\x0e\x00\x04MQTT\x06\x02\x00\x00\x00\x00\x01a")
		unsupported(t, packet.V311, "\x10\x0e\x00\x04MQTT\x85\x02\x00\x00\x00\x00\x01a")
	})
	t.Run("bridge bit", func(t *testing.T) {
		t.Parallel()
		for v, b := range map[packet.Version]string{packet.V31: "\x10\x0f\x00\x06MQIsdp\x83\x02\x00\x00\x00\x01b", packet.V311: "\x10\x0d\x00\x04MQTT\x84\x02\x00\x00\x00\x01c"} {
			c := w.dial(t, "tcp", v)
			c.raw([]byte(b))
			if ack := expect[*packet.Connack](c); ack.Reason != packet.Success {
				t.Errorf("%s: CONNACK %s", v, ack.Reason)
			}
			c.quiet()
		}
	})
	t.Run("reserved flag", func(t *testing.T) {
		t.Parallel()
		w.refusesConnect(t, "\x10\x0d\x00\x04MQTT\x04\x03\x00\x00\x00\x01a", "\x10\x0e\x00\x04MQTT\x05\x03\x00\x00\x00\x00\x01a", packet.MalformedPacket)
	})
}

// TestConnectFlags: flags that contradict each other, or the payload (§3.1.2.4 to §3.1.2.9).
func TestConnectFlags(t *testing.T) {
	t.Parallel()
	w := start(t)
	const old, five = "\x00\x04MQTT\x04", "\x00\x04MQTT\x05"
	refused := func(name string, flags byte, payload, wills string) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			head := string([]byte{flags})
			sized := func(s string) string { return "\x10" + string([]byte{byte(len(s))}) + s }
			w.refusesConnect(t, sized(old+head+"\x00\x00\x00\x01a"+payload), sized(five+head+"\x00\x00\x00\x00\x01a"+wills+payload), packet.MalformedPacket)
		})
	}
	refused("will QoS without will", 0x0a, "", "")
	refused("will QoS 3", 0x1e, "\x00\x01w\x00\x01x", "\x00")
	refused("will retain without will", 0x22, "", "")
	refused("will missing", 0x06, "", "")
	refused("will message missing", 0x06, "\x00\x01w", "\x00")
	refused("will without its flag", 0x02, "\x00\x01w\x00\x01x", "")
	refused("user name without its flag", 0x02, "\x00\x01u", "")
	refused("user name missing", 0x82, "", "")
	refused("password without its flag", 0x82, "\x00\x01u\x00\x01p", "")
	refused("password missing", 0xc2, "\x00\x01u", "")
	t.Run("password without user name", func(t *testing.T) {
		t.Parallel()
		w.refusesConnect(t, "\x10\x10\x00\x04MQTT\x04\x42\x00\x00\x00\x01a\x00\x01p", "", 0)
		c := w.connect(t, packet.V5, own(t), func(p *packet.Connect) { p.Password = packet.Some([]byte("p")) })
		c.quiet()
		if cr := w.auth.seen(own(t)); cr.HasUser || string(cr.Password) != "p" {
			t.Errorf("%+v", cr)
		}
	})
	t.Run("will QoS 0, 1 and 2", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			watcher := w.connect(t, v, own(t)+"watcher")
			watcher.subscribe(2, own(t))
			for qos := range byte(3) {
				c := w.connect(t, v, own(t), func(p *packet.Connect) { p.Will = &packet.Will{Topic: own(t), Payload: []byte("x"), QoS: qos} })
				w.cut(t, c, own(t))
				if p := watcher.receive(own(t), "x"); p.QoS != qos {
					t.Errorf("the will came with QoS %d, want %d", p.QoS, qos)
				}
			}
		})
	})
}

// TestConnectPayload: the payload of CONNECT (§3.1.3).
func TestConnectPayload(t *testing.T) {
	t.Parallel()
	w := start(t)
	t.Run("order of the fields", func(t *testing.T) {
		t.Parallel()
		watcher := w.connect(t, packet.V5, own(t)+"watcher")
		watcher.subscribe(0, "order/#")
		for v, b := range map[packet.Version]string{
			packet.V311: "\x10\x2d\x00\x04MQTT\x04\xc6\x00\x00\x00\x07ordered\x00\x07order/w\x00\x03bye\x00\x04user\x00\x04pass",
			packet.V5:   "\x10\x34\x00\x04MQTT\x05\xc6\x00\x00\x00\x00\x07ordered\x05\x02\x00\x00\x00\x09\x00\x07order/w\x00\x03bye\x00\x04user\x00\x04pass",
		} {
			c := w.dial(t, "tcp", v)
			c.raw([]byte(b))
			expect[*packet.Connack](c)
			if cr := w.auth.seen("ordered"); cr.Username != "user" || string(cr.Password) != "pass" {
				t.Errorf("%s: %+v", v, cr)
			}
			w.cut(t, c, "ordered")
			watcher.expectMessage("order/w", "bye")
		}
	})
	t.Run("client id missing", func(t *testing.T) {
		t.Parallel()
		w.refusesConnect(t, "\x10\x0a\x00\x04MQTT\x04\x02\x00\x00", "\x10\x0b\x00\x04MQTT\x05\x02\x00\x00\x00", packet.MalformedPacket)
	})
	t.Run("client id ill-formed", func(t *testing.T) {
		t.Parallel()
		w.refusesConnect(t, "\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01\xff", "\x10\x0e\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x01\xff", packet.MalformedPacket)
	})
	t.Run("user name ill-formed", func(t *testing.T) {
		t.Parallel()
		w.refusesConnect(t, "\x10\x10\x00\x04MQTT\x04\x82\x00\x00\x00\x01a\x00\x01\xff", "\x10\x11\x00\x04MQTT\x05\x82\x00\x00\x00\x00\x01a\x00\x01\xff", packet.MalformedPacket)
	})
	t.Run("will topic ill-formed", func(t *testing.T) {
		t.Parallel()
		w.refusesConnect(t, "\x10\x13\x00\x04MQTT\x04\x06\x00\x00\x00\x01a\x00\x01\xff\x00\x01x", "\x10\x15\x00\x04MQTT\x05\x06\x00\x00\x00\x00\x01a\x00\x00\x01\xff\x00\x01x", packet.MalformedPacket)
	})
	t.Run("client ids of 1 to 23 bytes", func(t *testing.T) {
		t.Parallel()
		const allowed = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		both(t, func(t *testing.T, v packet.Version) {
			for n := 1; n <= 23; n++ {
				id := allowed[(7*n+31*int(v))%len(allowed):] + allowed
				w.connect(t, v, id[:n]).quiet()
			}
		})
	})
	t.Run("client id with blanks", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			id := " my " + own(t) + "  "
			w.connect(t, v, id).quiet()
			if cr := w.auth.seen(id); cr.ClientID != id {
				t.Errorf("client id %q, want %q", cr.ClientID, id)
			}
		})
	})
	t.Run("client id names the session", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c := w.back(t, v, own(t), false)
			c.subscribe(1, own(t))
			w.cut(t, c, own(t))
			w.back(t, v, own(t)+"x", false)
			w.back(t, v, strings.ToLower(own(t)), false)
			w.back(t, v, own(t), true)
		})
	})
	t.Run("no client id", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			ids := map[string]bool{"": true}
			for range 3 {
				c := w.dial(t, "tcp", v)
				c.send(connectPacket(v, ""))
				ack := expect[*packet.Connack](c)
				if ack.Reason != packet.Success {
					t.Fatalf("CONNACK %s", ack.Reason)
				}
				if id := ack.Properties.AssignedClientID.Value; v == packet.V5 && ids[id] {
					t.Errorf("assigned client id %q", id)
				} else {
					ids[id] = true
				}
				c.subscribe(0, own(t))
				c.send(message(0, 0, own(t), "x"))
				c.expectMessage(own(t), "x")
			}
		})
	})
	t.Run("assigned client id is as good as another", func(t *testing.T) {
		t.Parallel()
		c := w.dial(t, "tcp", packet.V5)
		c.send(connectPacket(packet.V5, "", func(p *packet.Connect) { p.Properties.SessionExpiry = packet.Some[uint32](100) }))
		id := expect[*packet.Connack](c).Properties.AssignedClientID.Value
		c.subscribe(1, own(t))
		w.cut(t, c, id)
		w.back(t, packet.V5, id, true)
	})
	t.Run("no client id, not clean", func(t *testing.T) {
		t.Parallel()
		c := w.dial(t, "tcp", packet.V311)
		c.send(connectPacket(packet.V311, "", clean(false)))
		if ack := expect[*packet.Connack](c); ack.Reason != packet.ClientIDNotValid {
			t.Errorf("CONNACK %s", ack.Reason)
		}
		c.expectClosed()
	})
	t.Run("client id refused", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c := w.dial(t, "tcp", v)
			c.send(connectPacket(v, strings.Repeat("x", 1025)))
			if ack := expect[*packet.Connack](c); ack.Reason != packet.ClientIDNotValid {
				t.Errorf("CONNACK %s", ack.Reason)
			}
			c.expectClosed()
		})
	})
}

// TestConnectActions: what follows a CONNECT that is understood (§3.1.4).
func TestConnectActions(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.auth.refuse("wrong", broker.KindUnauthenticated)
	w.auth.refuse("banned", broker.KindDenied)
	t.Run("does not conform", func(t *testing.T) {
		t.Parallel()
		w.refusesConnect(t, "\x10\x00", "", 0)
		w.refusesConnect(t, "\x10\x0f\x00\x04MQTT\x04\x02\x00\x00\x00\x01a\x00\x00", "\x10\x10\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x01a\x00\x00", packet.MalformedPacket)
		w.refusesConnect(t, "\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x09a", "\x10\x0e\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x09a", packet.MalformedPacket)
	})
	t.Run("checks fail", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			for name, reason := range map[string]packet.ReasonCode{"wrong": packet.BadUserNameOrPassword, "banned": packet.NotAuthorized} {
				c := w.dial(t, "tcp", v)
				c.send(connectPacket(v, own(t)+name, user(name, "x")))
				if ack := expect[*packet.Connack](c); ack.Reason != reason || ack.SessionPresent {
					t.Errorf("CONNACK %+v, want %s", ack, reason)
				}
				c.expectClosed()
			}
		})
	})
	t.Run("taken over", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			first := w.connect(t, v, own(t))
			second := w.connect(t, v, own(t))
			first.expectEnd(packet.SessionTakenOver)
			second.quiet()
		})
	})
	t.Run("what follows a refusal is not read", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			watcher := w.connect(t, v, own(t)+"watcher")
			watcher.subscribe(1, own(t))
			c := w.dial(t, "tcp", v)
			c.send(connectPacket(v, own(t), user("wrong", "x")), message(1, 1, own(t), "not from here"))
			if ack := expect[*packet.Connack](c); ack.Reason != packet.BadUserNameOrPassword {
				t.Errorf("CONNACK %s", ack.Reason)
			}
			c.expectClosed()
			watcher.only(w.connect(t, v, own(t)+"pub"), own(t))
		})
	})
}

// TestConnackRules: CONNACK (§3.2).
func TestConnackRules(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.auth.refuse("wrong", broker.KindUnauthenticated)
	w.auth.refuse("away", broker.KindUnavailable)
	t.Run("comes first", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c := w.back(t, v, own(t), false)
			c.subscribe(1, own(t))
			w.cut(t, c, own(t))
			w.connect(t, v, own(t)+"pub").flow(message(1, 1, own(t), "waits"))
			c = w.dial(t, "tcp", v)
			c.send(connectPacket(v, own(t), keep), &packet.Pingreq{})
			expect[*packet.Connack](c) // the message that waits and PINGRESP come after it
			for range 2 {
				if p := c.read(); p == nil || p.PacketType() == packet.TypeConnack {
					t.Errorf("%+v", p)
				}
			}
		})
	})
	t.Run("accepts", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c := w.dial(t, "tcp", v)
			c.send(connectPacket(v, own(t)))
			b := c.frame()
			if b == nil || b[0] != 0x20 || b[2] != 0 || b[3] != 0 || v == packet.V311 && len(b) != 4 {
				t.Errorf("% x", b)
			}
		})
	})
	t.Run("session present in a refusal", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c := w.back(t, v, own(t), false)
			w.cut(t, c, own(t))
			c = w.dial(t, "tcp", v)
			c.send(connectPacket(v, own(t), keep, user("wrong", "x")))
			if b := c.frame(); b == nil || b[2] != 0 || b[3] == 0 {
				t.Errorf("% x", b)
			}
			c.expectClosed()
		})
	})
	t.Run("a refusal ends the connection", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c := w.dial(t, "tcp", v)
			c.send(connectPacket(v, own(t), user("away", "x")))
			if ack := expect[*packet.Connack](c); !ack.Reason.Failed() {
				t.Errorf("CONNACK %s", ack.Reason)
			}
			c.expectClosed()
		})
	})
	t.Run("no code applies", func(t *testing.T) {
		t.Parallel()
		w.refusesConnect(t, "\x10\x80\x80\x04\x00\x04MQTT\x04\x02\x00\x00", "", 0)
		w.refusesConnect(t, "\x10\x0d\x00\x04MQTT\x04\x1a\x00\x00\x00\x01a", "", 0)
	})
}
