package e2e

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
)

// nextRaw is the next message with all its properties.
func nextRaw(t *testing.T, c *p5) *paho.Publish {
	t.Helper()
	next(t, c)
	return <-c.raw
}

// The properties of a message arrive as they were, in order, across gateways and sessions. (MQTT 5.0 §3.3.2.3)
func TestPropertiesOfAMessage(t *testing.T) {
	t.Parallel()
	topic, id := unique("e2e/properties"), unique("keep")
	away := paho5(t, connect{ID: id, Keep: true})
	away.Subscribe(t, 2, topic)
	away.Leave(t)
	live, web, pub := paho5(t, connect{Place: 1}), mqttjs(t, 5, "ws", connect{}), paho5(t, connect{})
	live.Subscribe(t, 1, topic)
	web.Subscribe(t, 1, topic)
	user := paho.UserProperties{{Key: "b", Value: "1"}, {Key: "a", Value: "2"}, {Key: "b", Value: "3"}}
	pub.publish(t, &paho.Publish{Topic: topic, QoS: 2, Payload: []byte("{}"), Properties: &paho.PublishProperties{
		ContentType: "application/json", ResponseTopic: "re/ply", CorrelationData: []byte{0, 1, 255}, PayloadFormat: ptr(byte(1)), MessageExpiry: ptr(uint32(1000)), User: user,
	}})
	for _, c := range []*p5{live, paho5(t, connect{ID: id, Keep: true, Place: 1})} {
		p := nextRaw(t, c).Properties
		if p.ContentType != "application/json" || p.ResponseTopic != "re/ply" || !bytes.Equal(p.CorrelationData, []byte{0, 1, 255}) || p.PayloadFormat == nil || *p.PayloadFormat != 1 ||
			p.MessageExpiry == nil || *p.MessageExpiry > 1000 || *p.MessageExpiry < 990 || !slices.Equal(p.User, user) {
			t.Errorf("got %+v", p)
		}
	}
	if m := next(t, web); m.User["a"] != "2" {
		t.Errorf("MQTT.js got the user properties %v", m.User)
	}
}

// A message whose time is over is not delivered; one that waited comes with what is left of its time. (§3.3.2.3.3)
func TestMessageExpiry(t *testing.T) {
	t.Parallel()
	topic, id := unique("e2e/expiry"), unique("keep")
	sub := paho5(t, connect{ID: id, Keep: true})
	sub.Subscribe(t, 1, topic+"/+")
	sub.Leave(t)
	offline(t, id)
	pub := paho5(t, connect{Place: 1})
	send := func(at string, seconds uint32, retain bool) {
		pub.publish(t, &paho.Publish{Topic: topic + at, QoS: 1, Payload: []byte("x"), Retain: retain, Properties: &paho.PublishProperties{MessageExpiry: &seconds}})
	}
	begin := time.Now()
	send("/short", 1, true)
	send("/long", 100, true)
	<-time.After(1500 * time.Millisecond) // there is no other way to let a message grow old
	back := paho5(t, connect{ID: id, Keep: true, Place: 1})
	p := nextRaw(t, back)
	left := *p.Properties.MessageExpiry
	if p.Topic != topic+"/long" || left > 99 || float64(left) < 98-time.Since(begin).Seconds() {
		t.Errorf("got %s with %d s left", p.Topic, left)
	}
	fresh := paho5(t, connect{})
	fresh.Subscribe(t, 1, topic+"/+")
	expect(t, fresh, topic+"/long x q1 retained")
}

// A session ends when its time is over; DISCONNECT may change it. (§3.1.2.11.2, §3.14.2.2.2)
func TestSessionExpiry(t *testing.T) {
	t.Parallel()
	open := func(id string, expiry uint32) *p5 {
		return paho5With(t, 0, &paho.Connect{ClientID: id, KeepAlive: 60, Properties: &paho.ConnectProperties{SessionExpiryInterval: &expiry}})
	}
	short, shortened, long := unique("short"), unique("shortened"), unique("long")
	open(short, 1).Leave(t)
	if err := open(shortened, 100).Disconnect(&paho.Disconnect{Properties: &paho.DisconnectProperties{SessionExpiryInterval: ptr(uint32(1))}}); err != nil {
		t.Fatal(err)
	}
	open(long, 100).Leave(t)
	eventually(t, patience, func() error {
		_, err := suite.Ctl(t.Context(), "", "sessions", "show", short)
		_, err2 := suite.Ctl(t.Context(), "", "sessions", "show", shortened)
		if err == nil || err2 == nil {
			return errStillThere
		}
		return nil
	})
	for id, want := range map[string]bool{short: false, shortened: false, long: true} {
		if c := open(id, 1); c.Present() != want {
			t.Errorf("%s: session present %t", id, c.Present())
		}
	}
}

// What the server grants and gives in CONNACK. (§3.2.2.3)
func TestConnack(t *testing.T) {
	t.Parallel()
	c := paho5With(t, 0, &paho.Connect{CleanStart: true, KeepAlive: 60})
	p := c.connack.Properties
	if p.AssignedClientID == "" || !p.RetainAvailable || !p.WildcardSubAvailable || !p.SubIDAvailable || !p.SharedSubAvailable ||
		p.MaximumPacketSize == nil || *p.MaximumPacketSize < 2_000_000 || p.ReceiveMaximum == nil || *p.ReceiveMaximum == 0 || p.TopicAliasMaximum == nil || *p.TopicAliasMaximum == 0 {
		t.Errorf("got %+v", p)
	}
	other := paho5With(t, 1, &paho.Connect{CleanStart: true, KeepAlive: 60})
	if other.connack.Properties.AssignedClientID == p.AssignedClientID {
		t.Errorf("both are %s", p.AssignedClientID)
	}
}

// Subscription identifiers come with what they brought; no-local keeps one's own messages away. (§3.8.2.1.2, §3.8.3.1)
func TestSubscriptionOptions(t *testing.T) {
	t.Parallel()
	base := unique("e2e/options")
	c, other := paho5(t, connect{}), paho5(t, connect{Place: 1})
	c.subscribe(t, ptr(7), paho.SubscribeOptions{Topic: base + "/a", QoS: 1})
	c.subscribe(t, ptr(268_435_455), paho.SubscribeOptions{Topic: base + "/b", QoS: 1})
	c.subscribe(t, nil, paho.SubscribeOptions{Topic: base + "/own", QoS: 1, NoLocal: true})
	for topic, want := range map[string][]int{base + "/a": {7}, base + "/b": {268_435_455}} {
		other.Publish(t, message{Topic: topic, Payload: "x", QoS: 1})
		if m := next(t, c); m.Topic != topic || !slices.Equal(m.ID, want) {
			t.Errorf("got %v with %v, want %v", m, m.ID, want)
		}
	}
	c.Publish(t, message{Topic: base + "/own", Payload: "mine", QoS: 1})
	fence(t, c, other, base+"/own")
}

// Subscriptions that overlap bring every identifier. (§3.3.4)
func TestOverlappingSubscriptions(t *testing.T) {
	t.Parallel()
	base := unique("e2e/overlap")
	r := rawConnect(t, 0, rawOptions())
	for id, filter := range []string{base + "/a", base + "/+", base + "/#"} {
		s := subscribePacket(filter)
		s.Properties.SubscriptionIdentifier = ptr(id + 1)
		r.send(t, s)
		if code := r.refusal(t); code != 1 {
			t.Fatalf("%s is answered with %#x", filter, code)
		}
	}
	pub := paho5(t, connect{Place: 1})
	for _, payload := range []string{"x", "end"} {
		pub.Publish(t, message{Topic: base + "/a", Payload: payload})
	}
	var ids []int
	for {
		p := r.read(t).Content.(*packets.Publish)
		if string(p.Payload) == "end" {
			break
		}
		ids = append(ids, *p.Properties.SubscriptionIdentifier) // the last one where a packet has several
	}
	if len(ids) == 0 {
		t.Error("nothing came")
	}
}

// Acknowledgements say what happened. (§2.4)
func TestReasonCodes(t *testing.T) {
	t.Parallel()
	base := unique("e2e/reason")
	c := paho5(t, connect{})
	if code := c.publish(t, &paho.Publish{Topic: "$" + base, QoS: 1}); code != 0x10 {
		t.Errorf("a publish without subscribers is answered with %#x, want no matching subscribers", code)
	}
	c.Subscribe(t, 1, base+"/me")
	if code := c.publish(t, &paho.Publish{Topic: base + "/me", QoS: 1}); code != 0 {
		t.Errorf("answered with %#x", code)
	}
	answer, err := c.Unsubscribe(t.Context(), &paho.Unsubscribe{Topics: []string{base + "/me", base + "/none"}})
	if err != nil || !slices.Equal(answer.Reasons, []byte{0, 0x11}) {
		t.Errorf("unsubscribed with %v %v, want success and no subscription existed", answer, err)
	}
	for name, p := range map[string]struct {
		packet writer
		want   byte
	}{
		"a wildcard in a topic":    {&packets.Publish{Topic: base + "/#", Properties: &packets.Properties{}}, 0x90},
		"an unknown topic alias":   {&packets.Publish{Properties: &packets.Properties{TopicAlias: ptr(uint16(3))}}, 0x82},
		"an alias that is too big": {&packets.Publish{Topic: base, Properties: &packets.Properties{TopicAlias: ptr(uint16(60_000))}}, 0x94},
		"no-local on a shared one": {noLocal("$share/g/" + base), 0x82},
	} {
		r := rawConnect(t, 1, rawOptions())
		r.send(t, p.packet)
		if code := r.refusal(t); code != p.want {
			t.Errorf("%s is answered with %#x, want %#x", name, code, p.want)
		}
	}
}

func noLocal(filter string) *packets.Subscribe {
	s := subscribePacket(filter)
	s.Subscriptions[0].NoLocal = true
	return s
}

// Topic aliases stand for topics, on the way in and on the way out. (§3.3.2.3.4)
func TestTopicAlias(t *testing.T) {
	t.Parallel()
	topic := unique("e2e/alias")
	sub := rawConnect(t, 1, &paho.Connect{ClientID: unique("raw"), CleanStart: true, KeepAlive: 60, Properties: &paho.ConnectProperties{TopicAliasMaximum: ptr(uint16(5))}})
	sub.send(t, subscribePacket(topic))
	sub.refusal(t)
	pub := rawConnect(t, 0, rawOptions())
	pub.send(t, &packets.Publish{Topic: topic, Payload: []byte("1"), Properties: &packets.Properties{TopicAlias: ptr(uint16(1))}})
	for range 3 {
		pub.send(t, &packets.Publish{Payload: []byte("2"), Properties: &packets.Properties{TopicAlias: ptr(uint16(1))}})
	}
	names := map[uint16]string{}
	for range 4 {
		p := sub.read(t).Content.(*packets.Publish)
		if alias := p.Properties.TopicAlias; alias != nil {
			if p.Topic != "" {
				names[*alias] = p.Topic
			}
			p.Topic = names[*alias]
		}
		if p.Topic != topic {
			t.Errorf("got %q", p.Topic)
		}
	}
}

// A client gets no more unacknowledged messages than it says it can take, and nothing larger. (§3.1.2.11.3, §3.1.2.11.4)
func TestLimitsOfTheReceiver(t *testing.T) {
	t.Parallel()
	topic := unique("e2e/limits")
	o := rawOptions()
	o.Properties = &paho.ConnectProperties{ReceiveMaximum: ptr(uint16(2)), MaximumPacketSize: ptr(uint32(200))}
	r := rawConnect(t, 0, o)
	r.send(t, subscribePacket(topic))
	r.refusal(t)
	pub := paho5(t, connect{Place: 1})
	pub.Publish(t, message{Topic: topic, Payload: string(make([]byte, 300)), QoS: 1})
	for range 5 {
		pub.Publish(t, message{Topic: topic, Payload: "small", QoS: 1})
	}
	var open []uint16
	for range 5 {
		p := r.read(t).Content.(*packets.Publish)
		if string(p.Payload) != "small" {
			t.Fatalf("%d bytes came", len(p.Payload))
		}
		if open = append(open, p.PacketID); len(open) == 2 {
			// A third one must not come: the answer to PINGREQ is the next packet.
			r.send(t, &packets.Pingreq{})
			if _, ok := r.read(t).Content.(*packets.Pingresp); !ok {
				t.Fatal("a third message came before the first was acknowledged")
			}
			for _, id := range open {
				r.send(t, &packets.Puback{PacketID: id, Properties: &packets.Properties{}})
			}
			open = nil
		}
	}
}
