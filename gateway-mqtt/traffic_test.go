package gatewaymqtt_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
	"github.com/pando-mq/pando/services/broker"
)

// TestCounters: the seed's figures after a known exchange.
func TestCounters(t *testing.T) {
	t.Parallel()
	w := start(t)
	before := w.edge.Counters().Map()
	c := w.dial(t, "tcp", packet.V311)
	var sent, received int
	say := func(p packet.Packet) {
		b := c.encode(p)
		sent += len(b)
		c.raw(b)
	}
	hear := func() packet.Packet {
		p := c.read()
		received += p.Size(c.v)
		return p
	}
	say(connectPacket(c.v, "counted"))
	hear()
	say(&packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: "n", QoS: 2}}})
	hear()
	for qos := range byte(3) {
		say(message(qos, uint16(qos), "n", "x"))
		for left := []int{1, 2, 4}[qos]; left > 0; left-- { // the message and what answers it, the answer to ours, and the rest of QoS 2
			switch p := hear().(type) {
			case *packet.Publish:
				switch p.QoS {
				case 1:
					say(&packet.Ack{Type: packet.TypePuback, ID: p.ID})
				case 2:
					say(&packet.Ack{Type: packet.TypePubrec, ID: p.ID})
				}
			case *packet.Ack:
				switch p.Type {
				case packet.TypePubrec:
					say(&packet.Ack{Type: packet.TypePubrel, ID: p.ID})
				case packet.TypePubrel:
					say(&packet.Ack{Type: packet.TypePubcomp, ID: p.ID})
				}
			}
		}
	}
	say(&packet.Unsubscribe{ID: 2, Filters: []string{"n"}})
	hear()
	say(&packet.Pingreq{})
	hear()
	say(&packet.Disconnect{})
	c.expectClosed()
	_ = c.nc.Close()
	w.eventually(t, "closed", func() bool { return w.gw.Listeners()[0].CurrentClients == 0 })
	got := map[string]int64{}
	for name, n := range w.edge.Counters().Map() {
		if n -= before[name]; n != 0 {
			got[name] = n
		}
	}
	want := map[string]int64{
		"bytes/received": int64(sent), "bytes/sent": int64(received), "packets/received": 12, "packets/sent": 11,
		"packets/connect": 1, "packets/connack": 1, "packets/subscribe": 1, "packets/suback": 1, "packets/unsubscribe": 1, "packets/unsuback": 1,
		"packets/pingreq": 1, "packets/pingresp": 1, "packets/disconnect": 1,
		"packets/publish/received": 3, "packets/publish/sent": 3, "packets/puback/received": 1, "packets/puback/sent": 1,
		"packets/pubrec/sent": 1, "packets/pubrel/received": 1, "packets/pubcomp/sent": 1,
		"packets/pubrec/received": 1, "packets/pubrel/sent": 1, "packets/pubcomp/received": 1,
		"messages/received": 3, "messages/sent": 3, "messages/qos0/received": 1, "messages/qos0/sent": 1,
		"messages/qos1/received": 1, "messages/qos1/sent": 1, "messages/qos2/received": 1, "messages/qos2/sent": 1,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("counters (-want +got):\n%s", d)
	}
	if w.metric(t, "pando_mqtt_connacks_total") != 1 || w.metric(t, "pando_mqtt_listener_accepted_total") != 1 {
		t.Error("prometheus counts something else")
	}
}

func TestListingOfAConnection(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect(t, packet.V311, "listed", func(p *packet.Connect) { p.KeepAlive = 30 })
	c.flow(message(1, 1, "a", "x"))
	infos, err := w.edge.Clients(t.Context(), broker.ClientQuery{})
	if err != nil || len(infos) != 1 {
		t.Fatalf("%+v, %v", infos, err)
	}
	i := infos[0]
	if i.ClientID != "listed" || i.Protocol != "mqtt" || i.Version != 4 || i.RecvPackets != 2 || i.SentPackets != 2 || i.RecvMsgs != 1 ||
		i.RecvBytes != 14+8+6 || i.SentBytes != 4+4 || i.Peer != c.nc.LocalAddr().String() {
		t.Errorf("%+v", i)
	}
}

// TestOfflineMessages: a persistent session gets what came while it was away, and unacknowledged messages again (MQTT-4.4.0-1).
func TestOfflineMessages(t *testing.T) {
	t.Parallel()
	w := start(t)
	keep := func(p *packet.Connect) {
		p.CleanStart = false
		if p.Version == packet.V5 {
			p.Properties.SessionExpiry = packet.Some[uint32](100)
		}
	}
	pub := w.connect(t, packet.V5, "pub")
	versions(t, func(t *testing.T, v packet.Version) {
		topic := "away/" + v.String()
		c := w.connect(t, v, topic, keep)
		c.subscribe(2, topic)
		first := message(1, 1, topic, "seen")
		(&client{t: t, nc: pub.nc, v: pub.v}).send(first)
		if p := c.expectMessage(topic, "seen"); p.Dup {
			t.Error("the first delivery has DUP")
		}
		_ = c.nc.Close()
		w.eventually(t, "detached", func() bool {
			infos, err := w.edge.Clients(t.Context(), broker.ClientQuery{ClientID: topic})
			return err == nil && len(infos) == 0
		})
		other := w.connect(t, v, "pub"+topic)
		other.flow(message(2, 2, topic, "missed"))
		c = w.dial(t, "tcp", v)
		c.send(connectPacket(v, topic, keep))
		if ack := expect[*packet.Connack](c); v != packet.V31 && !ack.SessionPresent {
			t.Error("no session")
		}
		if p := c.receive(topic, "seen"); !p.Dup {
			t.Error("a repeat without DUP")
		}
		c.receive(topic, "missed")
	})
}
