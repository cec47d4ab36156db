package packet_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
)

// TestRoundTrip encodes packets of every type and decodes them again.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for typ, draw := range drawers() {
		t.Run(typ.String(), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				v := rapid.SampledFrom(all).Draw(t, "version")
				if typ == packet.TypeAuth {
					v = v5
				}
				p := draw(t, typ, v)
				if p.PacketType() != typ {
					t.Fatalf("drew %v", p.PacketType())
				}
				requireStable(t, p, v, nil)
			})
		})
	}
}

// TestEncodersAgree: what AppendTo wrote decodes the same through the
// functions without allocation, over a struct that held another packet.
func TestEncodersAgree(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var pub packet.Publish
		var ack packet.Ack
		for range 3 {
			v := rapid.SampledFrom(all).Draw(t, "version")
			p := drawPublish(t, packet.TypePublish, v)
			h, body := split(t, p, v)
			if err := packet.DecodePublish(h, body, v, nil, &pub); err != nil {
				t.Fatal(err)
			}
			requireEqual(t, p, &pub)
			a := drawAck(t, packet.TypePubrec, v)
			h, body = split(t, a, v)
			if err := packet.DecodeAck(h, body, v, nil, &ack); err != nil {
				t.Fatal(err)
			}
			requireEqual(t, a, &ack)
		}
	})
}

// split encodes p and gives header and body.
func split(t *rapid.T, p packet.Packet, v packet.Version) (packet.Header, []byte) {
	b, err := p.AppendTo(nil, v)
	if err != nil {
		t.Fatal(err)
	}
	h, n, err := packet.ReadHeader(b)
	if err != nil {
		t.Fatal(err)
	}
	return h, b[n:]
}

type drawer func(t *rapid.T, typ packet.Type, v packet.Version) packet.Packet

func drawers() map[packet.Type]drawer {
	return map[packet.Type]drawer{
		packet.TypeConnect: drawConnect, packet.TypeConnack: drawConnack, packet.TypePublish: drawPublish,
		packet.TypePuback: drawAck, packet.TypePubrec: drawAck, packet.TypePubrel: drawAck, packet.TypePubcomp: drawAck,
		packet.TypeSubscribe: drawSubscribe, packet.TypeSuback: drawSuback,
		packet.TypeUnsubscribe: drawUnsubscribe, packet.TypeUnsuback: drawUnsuback,
		packet.TypeDisconnect: drawDisconnect, packet.TypeAuth: drawAuth,
	}
}

func drawText(t *rapid.T, name string) string {
	return strings.ReplaceAll(rapid.StringN(0, 40, -1).Draw(t, name), "\x00", "")
}

// drawTopic draws a topic name.
func drawTopic(t *rapid.T) string {
	return "t/" + strings.NewReplacer("#", "/", "+", "/").Replace(drawText(t, "topic"))
}

func drawBytes(t *rapid.T, name string) []byte {
	return rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, name)
}

func drawOpt[T any](t *rapid.T, name string, g *rapid.Generator[T]) packet.Opt[T] {
	if !rapid.Bool().Draw(t, name+" present") {
		return packet.Opt[T]{}
	}
	return packet.Some(g.Draw(t, name))
}

func drawReason(t *rapid.T, typ packet.Type) packet.ReasonCode {
	var codes []packet.ReasonCode
	for code := range 256 {
		if packet.ReasonCode(code).AllowedIn(typ) {
			codes = append(codes, packet.ReasonCode(code))
		}
	}
	return rapid.SampledFrom(codes).Draw(t, "reason")
}

func drawConnect(t *rapid.T, _ packet.Type, v packet.Version) packet.Packet {
	c := &packet.Connect{
		Version: v, CleanStart: rapid.Bool().Draw(t, "clean"), KeepAlive: rapid.Uint16().Draw(t, "keep alive"),
		ClientID: drawText(t, "client id"),
		Username: drawOpt(t, "username", rapid.Just("üser")),
	}
	c.Bridge = v < v5 && rapid.Bool().Draw(t, "bridge")
	if v == v5 || c.Username.Present {
		c.Password = drawOpt(t, "password", rapid.SliceOfN(rapid.Byte(), 0, 50))
	}
	if rapid.Bool().Draw(t, "will") {
		c.Will = &packet.Will{
			Topic: drawTopic(t), Payload: drawBytes(t, "will payload"),
			QoS: rapid.ByteRange(0, 2).Draw(t, "will qos"), Retain: rapid.Bool().Draw(t, "will retain"),
		}
	}
	if v < v5 {
		return c
	}
	c.Properties = drawProperties(t, packet.TypeConnect)
	if c.Will != nil {
		c.Will.Properties = drawProperties(t, willProperties)
	}
	return c
}

func drawConnack(t *rapid.T, typ packet.Type, v packet.Version) packet.Packet {
	c := &packet.Connack{Reason: drawReason(t, typ)}
	c.SessionPresent = v > v31 && c.Reason == packet.Success && rapid.Bool().Draw(t, "session present")
	if v < v5 {
		c.Reason = c.Reason.ReturnCode().Reason()
		return c
	}
	c.Properties = drawProperties(t, typ)
	return c
}

func drawPublish(t *rapid.T, typ packet.Type, v packet.Version) packet.Packet {
	p := &packet.Publish{
		QoS: rapid.ByteRange(0, 2).Draw(t, "qos"), Retain: rapid.Bool().Draw(t, "retain"),
		Topic: []byte(drawTopic(t)), Payload: drawBytes(t, "payload"),
	}
	if p.QoS > 0 {
		p.Dup, p.ID = rapid.Bool().Draw(t, "dup"), rapid.Uint16Min(1).Draw(t, "id")
	}
	if v < v5 {
		return p
	}
	p.Properties = drawProperties(t, typ)
	if p.Properties.TopicAlias.Present && rapid.Bool().Draw(t, "no topic") {
		p.Topic = nil
	}
	return p
}

func drawAck(t *rapid.T, typ packet.Type, v packet.Version) packet.Packet {
	a := &packet.Ack{Type: typ, ID: rapid.Uint16Min(1).Draw(t, "id")}
	if v == v5 {
		a.Reason, a.Properties = drawReason(t, typ), drawProperties(t, typ)
	}
	return a
}

func drawSubscribe(t *rapid.T, typ packet.Type, v packet.Version) packet.Packet {
	s := &packet.Subscribe{ID: rapid.Uint16Min(1).Draw(t, "id")}
	for range rapid.IntRange(1, 5).Draw(t, "filters") {
		sub := packet.Subscription{Filter: "f" + drawText(t, "filter"), QoS: rapid.ByteRange(0, 2).Draw(t, "qos")}
		if v == v5 {
			sub.NoLocal = rapid.Bool().Draw(t, "no local")
			sub.RetainAsPublished = rapid.Bool().Draw(t, "retain as published")
			sub.RetainHandling = rapid.ByteRange(0, 2).Draw(t, "retain handling")
		}
		s.Subscriptions = append(s.Subscriptions, sub)
	}
	if v == v5 {
		s.Properties = drawProperties(t, typ)
	}
	return s
}

func drawReasons(t *rapid.T, typ packet.Type) []packet.ReasonCode {
	codes := []packet.ReasonCode{drawReason(t, typ)}
	for range rapid.IntRange(0, 4).Draw(t, "reasons") {
		codes = append(codes, drawReason(t, typ))
	}
	return codes
}

func drawSuback(t *rapid.T, typ packet.Type, v packet.Version) packet.Packet {
	s := &packet.Suback{ID: rapid.Uint16Min(1).Draw(t, "id"), Reasons: drawReasons(t, typ)}
	if v == v5 {
		s.Properties = drawProperties(t, typ)
		return s
	}
	for i, r := range s.Reasons {
		if r.Failed() {
			s.Reasons[i] = packet.UnspecifiedError
		}
	}
	return s
}

func drawUnsubscribe(t *rapid.T, typ packet.Type, v packet.Version) packet.Packet {
	u := &packet.Unsubscribe{ID: rapid.Uint16Min(1).Draw(t, "id")}
	for range rapid.IntRange(1, 5).Draw(t, "filters") {
		u.Filters = append(u.Filters, "f"+drawText(t, "filter"))
	}
	if v == v5 {
		u.Properties = drawProperties(t, typ)
	}
	return u
}

func drawUnsuback(t *rapid.T, typ packet.Type, v packet.Version) packet.Packet {
	u := &packet.Unsuback{ID: rapid.Uint16Min(1).Draw(t, "id")}
	if v == v5 {
		u.Reasons, u.Properties = drawReasons(t, typ), drawProperties(t, typ)
	}
	return u
}

func drawDisconnect(t *rapid.T, typ packet.Type, v packet.Version) packet.Packet {
	if v < v5 {
		return &packet.Disconnect{}
	}
	return &packet.Disconnect{Reason: drawReason(t, typ), Properties: drawProperties(t, typ)}
}

func drawAuth(t *rapid.T, typ packet.Type, _ packet.Version) packet.Packet {
	a := &packet.Auth{Reason: drawReason(t, typ), Properties: drawProperties(t, typ)}
	a.Properties.AuthMethod = packet.Some("method")
	return a
}
