package packet_test

import (
	"slices"

	"pgregory.net/rapid"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
)

// willProperties stands for the will in propertyTable.
const willProperties packet.Type = 0

// propertyTable is MQTT 5.0 table 2-4, written a second time from the
// specification: the packets that may carry each property.
func propertyTable() map[packet.PropertyID][]packet.Type {
	message := []packet.Type{packet.TypePublish, willProperties}
	session := []packet.Type{packet.TypeConnect, packet.TypeConnack}
	auth := append(slices.Clone(session), packet.TypeAuth)
	connect, connack := []packet.Type{packet.TypeConnect}, []packet.Type{packet.TypeConnack}
	answers := []packet.Type{
		packet.TypeConnack, packet.TypePuback, packet.TypePubrec, packet.TypePubrel, packet.TypePubcomp,
		packet.TypeSuback, packet.TypeUnsuback, packet.TypeDisconnect, packet.TypeAuth,
	}
	return map[packet.PropertyID][]packet.Type{
		0x01: message, 0x02: message, 0x03: message, 0x08: message, 0x09: message,
		0x0b: {packet.TypePublish, packet.TypeSubscribe},
		0x11: append(slices.Clone(session), packet.TypeDisconnect),
		0x12: connack, 0x13: connack, 0x15: auth, 0x16: auth,
		0x17: connect, 0x18: {willProperties}, 0x19: connect, 0x1a: connack,
		0x1c: {packet.TypeConnack, packet.TypeDisconnect},
		0x1f: answers, 0x21: session, 0x22: session, 0x23: {packet.TypePublish},
		0x24: connack, 0x25: connack,
		0x26: append(slices.Clone(answers), packet.TypeConnect, packet.TypePublish, willProperties,
			packet.TypeSubscribe, packet.TypeUnsubscribe),
		0x27: session, 0x28: connack, 0x29: connack, 0x2a: connack,
	}
}

// drawProperties draws any legal properties for packets of type typ.
func drawProperties(t *rapid.T, typ packet.Type) packet.Properties {
	var p packet.Properties
	for id := packet.PropertyID(1); id <= packet.PropSharedAvailable; id++ {
		if slices.Contains(propertyTable()[id], typ) && rapid.Bool().Draw(t, "property") {
			setProperty(t, &p, id, typ)
		}
	}
	if p.AuthData.Present && !p.AuthMethod.Present {
		p.AuthMethod = packet.Some("method")
	}
	return p
}

// setProperty gives a property some legal value.
func setProperty(t *rapid.T, p *packet.Properties, id packet.PropertyID, typ packet.Type) {
	bit := func() packet.Opt[byte] { return packet.Some(rapid.ByteRange(0, 1).Draw(t, "byte")) }
	short := func(low uint16) packet.Opt[uint16] { return packet.Some(rapid.Uint16Min(low).Draw(t, "short")) }
	long := func(low uint32) packet.Opt[uint32] { return packet.Some(rapid.Uint32Min(low).Draw(t, "long")) }
	text := func() packet.Opt[string] { return packet.Some(drawText(t, "text")) }
	binary := func() packet.Opt[[]byte] { return packet.Some(drawBytes(t, "binary")) }
	map[packet.PropertyID]func(){
		packet.PropPayloadFormat:         func() { p.PayloadFormat = bit() },
		packet.PropMessageExpiry:         func() { p.MessageExpiry = long(0) },
		packet.PropContentType:           func() { p.ContentType = text() },
		packet.PropResponseTopic:         func() { p.ResponseTopic = packet.Some(drawTopic(t)) },
		packet.PropCorrelationData:       func() { p.CorrelationData = binary() },
		packet.PropSubscriptionID:        func() { p.SubscriptionIDs = drawSubscriptionIDs(t, typ) },
		packet.PropSessionExpiry:         func() { p.SessionExpiry = long(0) },
		packet.PropAssignedClientID:      func() { p.AssignedClientID = text() },
		packet.PropServerKeepAlive:       func() { p.ServerKeepAlive = short(0) },
		packet.PropAuthMethod:            func() { p.AuthMethod = text() },
		packet.PropAuthData:              func() { p.AuthData = binary() },
		packet.PropRequestProblemInfo:    func() { p.RequestProblemInfo = bit() },
		packet.PropWillDelay:             func() { p.WillDelay = long(0) },
		packet.PropRequestResponseInfo:   func() { p.RequestResponseInfo = bit() },
		packet.PropResponseInfo:          func() { p.ResponseInfo = text() },
		packet.PropServerReference:       func() { p.ServerReference = text() },
		packet.PropReasonString:          func() { p.ReasonString = text() },
		packet.PropReceiveMaximum:        func() { p.ReceiveMaximum = short(1) },
		packet.PropTopicAliasMaximum:     func() { p.TopicAliasMaximum = short(0) },
		packet.PropTopicAlias:            func() { p.TopicAlias = short(1) },
		packet.PropMaximumQoS:            func() { p.MaximumQoS = bit() },
		packet.PropRetainAvailable:       func() { p.RetainAvailable = bit() },
		packet.PropUser:                  func() { p.User = drawUser(t) },
		packet.PropMaximumPacketSize:     func() { p.MaximumPacketSize = long(1) },
		packet.PropWildcardAvailable:     func() { p.WildcardAvailable = bit() },
		packet.PropSubscriptionAvailable: func() { p.SubscriptionAvailable = bit() },
		packet.PropSharedAvailable:       func() { p.SharedAvailable = bit() },
	}[id]()
}

func drawSubscriptionIDs(t *rapid.T, typ packet.Type) []uint32 {
	n := 1
	if typ == packet.TypePublish {
		n = 5
	}
	return rapid.SliceOfN(rapid.Uint32Range(1, packet.MaxRemaining), 1, n).Draw(t, "subscription ids")
}

func drawUser(t *rapid.T) []packet.UserProperty {
	u := make([]packet.UserProperty, rapid.IntRange(1, 4).Draw(t, "user properties"))
	for i := range u {
		u[i] = packet.UserProperty{Name: drawText(t, "name"), Value: drawText(t, "value")}
	}
	return u
}
