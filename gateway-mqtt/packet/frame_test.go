package packet_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
)

// published is the packet that a Delivery of a message stands for.
func published(v packet.Version, topic string, props packet.Properties, payload []byte, d packet.Delivery) *packet.Publish {
	p := &packet.Publish{Dup: d.Dup, Retain: d.Retain, QoS: d.QoS, Topic: []byte(topic), Payload: payload}
	if d.QoS > 0 {
		p.ID = d.ID
	}
	if v < v5 {
		return p
	}
	p.Properties = props
	p.Properties.MessageExpiry = d.MessageExpiry
	p.Properties.TopicAlias = d.TopicAlias
	p.Properties.SubscriptionIDs = d.SubscriptionIDs
	if d.OmitTopic {
		p.Topic = nil
	}
	return p
}

// TestFrame compares frames with the packet that they stand for, several
// receivers of one frame and several messages in one Frame.
func TestFrame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var f packet.Frame
		for range 3 {
			v := rapid.SampledFrom(all).Draw(t, "version")
			topic, payload := drawTopic(t), rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "payload")
			props := drawProperties(t, packet.TypePublish)
			props.MessageExpiry, props.TopicAlias = packet.Opt[uint32]{}, packet.Opt[uint16]{}
			props.SubscriptionIDs = nil
			if err := f.Reset(v, topic, &props, payload); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				d := drawDelivery(t)
				b, err := f.AppendTo(nil, &d)
				if err != nil {
					t.Fatal(err)
				}
				if f.Size(&d) != len(b) {
					t.Fatalf("Size = %d, encoded %d bytes", f.Size(&d), len(b))
				}
				got, n, err := decode(b, v, nil)
				if err != nil || n != len(b) {
					t.Fatalf("decoded %d of %d bytes: %v", n, len(b), err)
				}
				requireEqual(t, published(v, topic, props, payload, d), got)
				head, err := f.AppendHeader(nil, &d)
				if err != nil || string(head)+string(payload) != string(b) {
					t.Fatalf("AppendHeader: %x, %v", head, err)
				}
			}
		}
	})
}

func drawDelivery(t *rapid.T) packet.Delivery {
	d := packet.Delivery{
		QoS:           rapid.ByteRange(0, 2).Draw(t, "qos"),
		ID:            rapid.Uint16Min(1).Draw(t, "id"),
		Retain:        rapid.Bool().Draw(t, "retain"),
		MessageExpiry: drawOpt(t, "expiry", rapid.Uint32()),
		TopicAlias:    drawOpt(t, "alias", rapid.Uint16Min(1)),
		SubscriptionIDs: rapid.SliceOfN(rapid.Uint32Range(1, packet.MaxRemaining), 0, 5).
			Draw(t, "subscription ids"),
	}
	d.Dup = d.QoS > 0 && rapid.Bool().Draw(t, "dup")
	d.OmitTopic = d.TopicAlias.Present && rapid.Bool().Draw(t, "omit topic")
	return d
}

func TestFrameRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		v      packet.Version
		d      packet.Delivery
		reason packet.ReasonCode
	}{
		{"QoS 3", v311, packet.Delivery{QoS: 3, ID: 1}, malformed},
		{"id 0", v311, packet.Delivery{QoS: 1}, protocol},
		{"DUP with QoS 0", v5, packet.Delivery{Dup: true}, malformed},
		{"alias 0", v5, packet.Delivery{TopicAlias: packet.Some(uint16(0))}, packet.TopicAliasInvalid},
		{"no topic, no alias", v5, packet.Delivery{OmitTopic: true}, protocol},
		{"subscription id 0", v5, packet.Delivery{SubscriptionIDs: []uint32{0}}, protocol},
		{"ignored below 5.0", v311, packet.Delivery{OmitTopic: true, SubscriptionIDs: []uint32{0}}, packet.Success},
	} {
		var f packet.Frame
		if err := f.Reset(c.v, "t", nil, nil); err != nil {
			t.Fatal(err)
		}
		got, err := f.AppendTo([]byte("before"), &c.d)
		if packet.ReasonOf(err) != c.reason {
			t.Errorf("%s: %v, want %v", c.name, err, c.reason)
		}
		if err != nil && string(got) != "before" {
			t.Errorf("%s: slice changed: %q", c.name, got)
		}
	}
}

func TestFrameResetRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		topic  string
		props  packet.Properties
		reason packet.ReasonCode
	}{
		{"empty topic", "", packet.Properties{}, packet.TopicNameInvalid},
		{"long topic", string(make([]byte, 65536)), packet.Properties{}, malformed},
		{"property of a receiver", "t", packet.Properties{TopicAlias: packet.Some(uint16(1))}, malformed},
		{"property of CONNECT", "t", packet.Properties{ReceiveMaximum: packet.Some(uint16(1))}, malformed},
	} {
		var f packet.Frame
		if err := f.Reset(v5, "before", nil, nil); err != nil {
			t.Fatal(err)
		}
		if err := f.Reset(v5, c.topic, &c.props, nil); packet.ReasonOf(err) != c.reason {
			t.Errorf("%s: %v, want %v", c.name, err, c.reason)
		}
		if _, err := f.AppendTo(nil, &packet.Delivery{}); err == nil {
			t.Errorf("%s: the frame is not empty", c.name)
		}
	}
	var f packet.Frame
	if err := f.Reset(v5, "t", nil, []byte("p")); err != nil {
		t.Fatal(err)
	}
	f.Release()
	if _, err := f.AppendTo(nil, &packet.Delivery{}); err == nil {
		t.Error("a released frame is not empty")
	}
}
