package gatewaymqtt_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/coder/websocket"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
	"github.com/pando-mq/pando/services/broker"
)

// TestPing: §3.12.4.
func TestPing(t *testing.T) {
	t.Parallel()
	w := start(t)
	both(t, func(t *testing.T, v packet.Version) {
		c := w.connect(t, v, own(t))
		for range 3 {
			c.send(&packet.Pingreq{})
			exactly(t, c, "\xd0\x00")
		}
	})
}

// TestDisconnectRules: DISCONNECT both ways (§3.14).
func TestDisconnectRules(t *testing.T) {
	t.Parallel()
	w := start(t)
	t.Run("not before CONNACK", func(t *testing.T) {
		t.Parallel()
		for _, b := range []string{"\xe0\x00", "\x30\x04\x00\x01a\x00", "\xf0\x00", "\x10\x02\x00\x04"} {
			c := w.dial(t, "tcp", packet.V5)
			c.raw([]byte(b))
			c.expectClosed()
		}
		w.refusesConnect(t, "", "\x10\x0e\x00\x04MQTT\x05\x03\x00\x00\x00\x00\x01a", packet.MalformedPacket)
	})
	t.Run("flags", func(t *testing.T) {
		t.Parallel()
		for _, b := range []string{"\xe1\x00", "\xe2\x00", "\xe8\x00"} {
			w.refuses(t, b, b, packet.MalformedPacket)
		}
	})
	t.Run("nothing comes after the server's", func(t *testing.T) {
		t.Parallel()
		c := w.connect(t, packet.V5, own(t))
		c.subscribe(0, own(t))
		c.raw(append(c.encode(&packet.Pingreq{}), append([]byte("\xd0\x00"), c.encode(message(0, 0, own(t), "x"), &packet.Pingreq{})...)...))
		expect[*packet.Pingresp](c)
		c.expectEnd(packet.ProtocolError)
	})
	t.Run("no session expiry from the server", func(t *testing.T) {
		t.Parallel()
		c := w.back(t, packet.V5, own(t), false)
		if err := w.edge.Kick(t.Context(), broker.DefaultTenant, own(t), "maintenance"); err != nil {
			t.Fatal(err)
		}
		if d := expect[*packet.Disconnect](c); d.Properties.SessionExpiry.Present || d.Reason != packet.AdministrativeAction {
			t.Errorf("%+v", d)
		}
		c.expectClosed()
	})
	t.Run("nothing is read after the client's", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			watcher := w.connect(t, v, own(t)+"watcher")
			watcher.subscribe(1, own(t))
			c := w.connect(t, v, own(t))
			c.send(&packet.Disconnect{}, message(1, 1, own(t), "too late"))
			c.expectClosed()
			watcher.only(w.connect(t, v, own(t)+"pub"), own(t))
		})
	})
	t.Run("every end has its code", func(t *testing.T) {
		t.Parallel()
		for b, reason := range map[string]packet.ReasonCode{
			"\x00\x00":                                  packet.MalformedPacket,
			"\x20\x03\x00\x00\x00":                      packet.ProtocolError,
			"\x30\x04\x00\x01#\x00":                     packet.TopicNameInvalid,
			"\x30\x07\x00\x01a\x03\x23\x00\x00":         packet.TopicAliasInvalid,
			"\x30\xff\xff\xff\x7f":                      packet.PacketTooLarge,
			"\x82\x0f\x00\x01\x00\x00\x09$share/ga\x04": packet.ProtocolError,
			"\xe0\x01\x7f":                              packet.ProtocolError,
		} {
			w.refuses(t, "", b, reason)
		}
	})
}

// TestOrder: messages of one topic and QoS stay in the order in which a client sent them (§4.6).
func TestOrder(t *testing.T) {
	t.Parallel()
	w := start(t)
	both(t, func(t *testing.T, v packet.Version) {
		c, pub := w.connect(t, v, own(t)), w.connect(t, v, own(t)+"pub")
		c.subscribe(2, own(t)+"/+")
		const n = 60
		for i := range n {
			pub.send(message(byte(i%3), uint16(i+1)*uint16(min(i%3, 1)), fmt.Sprint(own(t), "/", i%2), fmt.Sprint(i)))
		}
		next := map[string]int{}
		for came := 0; came < n; {
			p, ok := c.read().(*packet.Publish)
			if !ok {
				continue // PUBREL: packets of other messages are not waited for
			}
			came++
			switch p.QoS {
			case 1:
				c.send(&packet.Ack{Type: packet.TypePuback, ID: p.ID})
			case 2:
				c.send(&packet.Ack{Type: packet.TypePubrec, ID: p.ID}, &packet.Ack{Type: packet.TypePubcomp, ID: p.ID})
			}
			var i int
			if _, err := fmt.Sscan(string(p.Payload), &i); err != nil {
				t.Fatal(err)
			}
			kind := fmt.Sprint(string(p.Topic), p.QoS)
			if i < next[kind] {
				t.Errorf("message %d of topic and QoS %s after %d", i, kind, next[kind])
			}
			next[kind] = i
		}
	})
}

// TestSharedRules: shared subscriptions (§4.8.2).
func TestSharedRules(t *testing.T) {
	t.Parallel()
	w := start(t)
	t.Run("granted QoS", func(t *testing.T) {
		t.Parallel()
		c, pub := w.connect(t, packet.V5, own(t)), w.connect(t, packet.V5, own(t)+"pub")
		for granted := range byte(3) {
			filter := fmt.Sprint("$share/g/", own(t), "/", granted)
			c.subscribed(packet.Subscription{Filter: filter, QoS: granted})
			topic := fmt.Sprint(own(t), "/", granted)
			pub.flow(message(2, 1, topic, "x"))
			if p := c.receive(topic, "x"); p.QoS != granted {
				t.Errorf("QoS %d, granted %d", p.QoS, granted)
			}
		}
	})
	t.Run("a refused one is discarded", func(t *testing.T) {
		t.Parallel()
		a, b, pub := w.connect(t, packet.V5, own(t)+"a"), w.connect(t, packet.V5, own(t)+"b"), w.connect(t, packet.V5, own(t)+"pub")
		for _, c := range []*client{a, b} {
			c.subscribed(packet.Subscription{Filter: "$share/g/" + own(t), QoS: 2})
			c.subscribe(1, own(t)+"/end")
		}
		const n = 6
		for i := range uint16(n) {
			pub.flow(message(byte(1+i%2), i+1, own(t), "x"))
		}
		pub.flow(message(1, 99, own(t)+"/end", "end"))
		total := 0
		for _, c := range []*client{a, b} {
			for ended := false; !ended; {
				p := expect[*packet.Publish](c)
				if ended = string(p.Topic) != own(t); ended {
					continue
				}
				total++
				refusal := &packet.Ack{Type: packet.TypePuback, ID: p.ID, Reason: packet.UnspecifiedError}
				if p.QoS == 2 {
					refusal.Type = packet.TypePubrec
				}
				c.send(refusal)
			}
		}
		if total != n {
			t.Errorf("%d deliveries of %d messages", total, n)
		}
		for _, c := range []*client{a, b} {
			c.quiet() // nothing was sent to the other
		}
	})
}

// TestWebSocketFrames: §6.
func TestWebSocketFrames(t *testing.T) {
	t.Parallel()
	w := start(t, func(s *setup) { s.open("ws") })
	dial := func(t *testing.T) *websocket.Conn {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		ws, _, err := websocket.Dial(ctx, "ws://"+w.gw.Addr("ws").String()+"/mqtt", &websocket.DialOptions{Subprotocols: []string{"other", "mqtt"}, HTTPClient: w.httpClient(t)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = ws.CloseNow() })
		return ws
	}
	t.Run("text frame", func(t *testing.T) {
		t.Parallel()
		ws := dial(t)
		c := &client{t: t, nc: websocket.NetConn(t.Context(), ws, websocket.MessageBinary), v: packet.V311}
		c.send(connectPacket(packet.V311, own(t)))
		expect[*packet.Connack](c)
		if err := ws.Write(t.Context(), websocket.MessageText, []byte("\xc0\x00")); err != nil {
			t.Fatal(err)
		}
		c.expectClosed()
	})
	t.Run("binary frames of the server", func(t *testing.T) {
		t.Parallel()
		ws := dial(t)
		for _, p := range []packet.Packet{connectPacket(packet.V311, own(t)), &packet.Pingreq{}} {
			b, err := p.AppendTo(nil, packet.V311)
			if err != nil {
				t.Fatal(err)
			}
			if err := ws.Write(t.Context(), websocket.MessageBinary, b); err != nil {
				t.Fatal(err)
			}
			if kind, _, err := ws.Read(t.Context()); err != nil || kind != websocket.MessageBinary {
				t.Errorf("frame %v, %v", kind, err)
			}
		}
	})
	t.Run("packets in any pieces", func(t *testing.T) {
		t.Parallel()
		ws := dial(t)
		c := &client{t: t, nc: websocket.NetConn(t.Context(), ws, websocket.MessageBinary), v: packet.V5}
		b := c.encode(connectPacket(packet.V5, own(t)), &packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: own(t)}}}, &packet.Pingreq{})
		for len(b) > 0 { // one byte, two, three ...
			n := min(len(b), 1+len(b)%4)
			c.raw(b[:n])
			b = b[n:]
		}
		expect[*packet.Connack](c)
		for range 2 {
			if p := c.read(); p == nil {
				t.Fatal("the connection ended")
			}
		}
		c.raw(c.encode(message(0, 0, own(t), "1"), message(0, 0, own(t), "2"), &packet.Pingreq{})) // many in one frame
		for range 3 {
			if p := c.read(); p == nil {
				t.Fatal("the connection ended")
			}
		}
	})
	t.Run("sub-protocol", func(t *testing.T) {
		t.Parallel()
		if p := dial(t).Subprotocol(); p != "mqtt" {
			t.Errorf("%q", p)
		}
	})
}
