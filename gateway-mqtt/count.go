package gatewaymqtt

import (
	"github.com/pando-mq/pando/gateway-mqtt/packet"
	"github.com/pando-mq/pando/services/edge"
)

// receivedAs is the seed's figure for a packet of a client; false: only the total counts it.
func receivedAs(t packet.Type) (edge.Counter, bool) {
	switch t {
	case packet.TypeConnect:
		return edge.PacketsConnect, true
	case packet.TypePublish:
		return edge.PacketsPublishReceived, true
	case packet.TypePuback:
		return edge.PacketsPubackReceived, true
	case packet.TypePubrec:
		return edge.PacketsPubrecReceived, true
	case packet.TypePubrel:
		return edge.PacketsPubrelReceived, true
	case packet.TypePubcomp:
		return edge.PacketsPubcompReceived, true
	case packet.TypeSubscribe:
		return edge.PacketsSubscribe, true
	case packet.TypeUnsubscribe:
		return edge.PacketsUnsubscribe, true
	case packet.TypePingreq:
		return edge.PacketsPingreq, true
	case packet.TypeDisconnect:
		return edge.PacketsDisconnect, true
	}
	return 0, false
}

// sentAs is the same for a packet of the server; the seed has no figure for DISCONNECTs of servers.
func sentAs(t packet.Type) (edge.Counter, bool) {
	switch t {
	case packet.TypeConnack:
		return edge.PacketsConnack, true
	case packet.TypePublish:
		return edge.PacketsPublishSent, true
	case packet.TypePuback:
		return edge.PacketsPubackSent, true
	case packet.TypePubrec:
		return edge.PacketsPubrecSent, true
	case packet.TypePubrel:
		return edge.PacketsPubrelSent, true
	case packet.TypePubcomp:
		return edge.PacketsPubcompSent, true
	case packet.TypeSuback:
		return edge.PacketsSuback, true
	case packet.TypeUnsuback:
		return edge.PacketsUnsuback, true
	case packet.TypePingresp:
		return edge.PacketsPingresp, true
	}
	return 0, false
}

// countReceived counts a well-formed packet; its bytes are counted by consumed.
func (c *conn) countReceived(t packet.Type) {
	c.gw.count.Inc(edge.PacketsReceived)
	if which, ok := receivedAs(t); ok {
		c.gw.count.Inc(which)
	}
	if c.link != nil {
		c.link.Stats.RecvPackets.Add(1)
	}
}

// countSent counts a packet of n bytes that was queued.
func (c *conn) countSent(t packet.Type, n int) {
	c.gw.count.Inc(edge.PacketsSent)
	c.gw.count.Add(edge.BytesSent, uint64(n))
	if which, ok := sentAs(t); ok {
		c.gw.count.Inc(which)
	}
	if c.link != nil {
		c.link.Stats.SentPackets.Add(1)
		c.link.Stats.SentBytes.Add(uint64(n))
	}
}
