package e2e

import (
	"net"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
)

// raw is a connection on which a test writes single packets of MQTT 5.
type raw struct{ conn net.Conn }

// rawConnect sends CONNECT and wants to be accepted.
func rawConnect(t *testing.T, place int, cp *paho.Connect) raw {
	t.Helper()
	conn, err := net.DialTimeout("tcp", at(suite.MQTT(), place), patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	r := raw{conn}
	p := cp.Packet()
	p.ProtocolName, p.ProtocolVersion = "MQTT", 5
	r.send(t, p)
	ack, ok := r.read(t).Content.(*packets.Connack)
	if !ok || ack.ReasonCode != 0 {
		t.Fatalf("CONNECT is answered with %v", ack)
	}
	return r
}

// writer is a packet.
type writer interface {
	Buffers() net.Buffers
}

func (r raw) send(t *testing.T, p writer) {
	t.Helper()
	var control *packets.ControlPacket
	switch p := p.(type) {
	case *packets.Connect:
		control = &packets.ControlPacket{Content: p, FixedHeader: packets.FixedHeader{Type: packets.CONNECT}}
	case *packets.Subscribe:
		control = &packets.ControlPacket{Content: p, FixedHeader: packets.FixedHeader{Type: packets.SUBSCRIBE, Flags: 2}}
	case *packets.Publish:
		control = p.ToControlPacket()
	case *packets.Puback:
		control = &packets.ControlPacket{Content: p, FixedHeader: packets.FixedHeader{Type: packets.PUBACK}}
	case *packets.Pingreq:
		control = &packets.ControlPacket{Content: p, FixedHeader: packets.FixedHeader{Type: packets.PINGREQ}}
	}
	if _, err := control.WriteTo(r.conn); err != nil {
		t.Fatal(err)
	}
}

func (r raw) read(t *testing.T) *packets.ControlPacket {
	t.Helper()
	if err := r.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	p, err := packets.ReadPacket(r.conn)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// disconnected reads until the server's DISCONNECT and gives its reason code.
func (r raw) disconnected(t *testing.T) byte {
	t.Helper()
	for {
		if d, ok := r.read(t).Content.(*packets.Disconnect); ok {
			return d.ReasonCode
		}
	}
}

// rawOptions is an ordinary CONNECT.
func rawOptions() *paho.Connect {
	return &paho.Connect{ClientID: unique("raw"), CleanStart: true, KeepAlive: 60}
}

func subscribePacket(filter string) *packets.Subscribe {
	return &packets.Subscribe{PacketID: 1, Properties: &packets.Properties{}, Subscriptions: []packets.SubOptions{{Topic: filter, QoS: 1}}}
}

// refusal reads the answer to a packet: the reason code of SUBACK, of an acknowledgement or of DISCONNECT.
func (r raw) refusal(t *testing.T) byte {
	t.Helper()
	switch p := r.read(t).Content.(type) {
	case *packets.Suback:
		return p.Reasons[0]
	case *packets.Puback:
		return p.ReasonCode
	case *packets.Disconnect:
		return p.ReasonCode
	default:
		t.Fatalf("answered with %T", p)
	}
	return 0
}
