package packet_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
)

// disconnectWith is a DISCONNECT of 5.0 with n user properties.
func disconnectWith(n int) []byte {
	d := packet.Disconnect{Properties: packet.Properties{User: make([]packet.UserProperty, n)}}
	b, err := d.AppendTo(nil, v5)
	if err != nil {
		panic(err)
	}
	return b
}

func subscribeWith(n int) []byte {
	s := packet.Subscribe{ID: 1, Subscriptions: make([]packet.Subscription, n)}
	for i := range s.Subscriptions {
		s.Subscriptions[i].Filter = "f"
	}
	b, err := s.AppendTo(nil, v311)
	if err != nil {
		panic(err)
	}
	return b
}

func unsubscribeWith(n int) []byte {
	u := packet.Unsubscribe{ID: 1, Filters: strings.Split(strings.Repeat("f", n), "")}
	b, err := u.AppendTo(nil, v311)
	if err != nil {
		panic(err)
	}
	return b
}

func publishWithIDs(n int) []byte {
	p := packet.Publish{Topic: []byte("t")}
	for i := range n {
		p.Properties.SubscriptionIDs = append(p.Properties.SubscriptionIDs, uint32(i+1))
	}
	b, err := p.AppendTo(nil, v5)
	if err != nil {
		panic(err)
	}
	return b
}

func TestLimits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		input  []byte
		v      packet.Version
		limits *packet.Limits
		reason packet.ReasonCode
	}{
		{"256 user properties", disconnectWith(256), v5, nil, packet.Success},
		{"257 user properties", disconnectWith(257), v5, nil, packet.PacketTooLarge},
		{"65535 user properties", disconnectWith(65535), v5, nil, packet.PacketTooLarge},
		{"65535 user properties allowed", disconnectWith(65535), v5, &packet.Limits{MaxUserProperties: 65535}, packet.Success},
		{"one user property, zero limits", disconnectWith(1), v5, &packet.Limits{}, packet.Success},
		{"two user properties of one", disconnectWith(2), v5, &packet.Limits{MaxUserProperties: 1}, packet.PacketTooLarge},
		{"1024 subscription identifiers", publishWithIDs(1024), v5, nil, packet.Success},
		{"1025 subscription identifiers", publishWithIDs(1025), v5, nil, packet.PacketTooLarge},
		{"3 subscription identifiers of 2", publishWithIDs(3), v5, &packet.Limits{MaxSubscriptionIDs: 2}, packet.PacketTooLarge},
		{"8192 filters", subscribeWith(8192), v311, nil, packet.Success},
		{"8193 filters", subscribeWith(8193), v311, nil, packet.QuotaExceeded},
		{"8193 filters to unsubscribe", unsubscribeWith(8193), v311, nil, packet.QuotaExceeded},
		{"3 filters of 2", unsubscribeWith(3), v311, &packet.Limits{MaxFilters: 2}, packet.QuotaExceeded},
		{"size at the limit", subscribeWith(1), v311, &packet.Limits{MaxPacketSize: 8}, packet.Success},
		{"size above the limit", subscribeWith(1), v311, &packet.Limits{MaxPacketSize: 7}, packet.PacketTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, _, err := decode(c.input, c.v, c.limits)
			if got := packet.ReasonOf(err); got != c.reason {
				t.Fatalf("%v, want %v", err, c.reason)
			}
		})
	}
}

// TestCheckNeedsNoBody refuses a packet by its header alone.
func TestCheckNeedsNoBody(t *testing.T) {
	t.Parallel()
	h, n, err := packet.ReadHeader([]byte{0x10, 0xff, 0xff, 0xff, 0x7f})
	if err != nil || n != 5 || h.Remaining != packet.MaxRemaining || h.Size() != packet.MaxRemaining+5 {
		t.Fatalf("header %+v, %d bytes, %v", h, n, err)
	}
	if err := h.Check(0, nil); err != nil {
		t.Fatalf("without a limit: %v", err)
	}
	err = h.Check(0, &packet.Limits{MaxPacketSize: 1 << 16})
	if packet.ReasonOf(err) != packet.PacketTooLarge {
		t.Fatalf("with a limit: %v", err)
	}
	if _, err := packet.Decode(h, nil, 0, nil); packet.ReasonOf(err) != packet.MalformedPacket {
		t.Fatalf("without a body: %v", err)
	}
}

// TestManyUserPropertiesOneCopy shows that the strings of a block share one
// copy: allocations do not grow with their number, slice growth apart.
func TestManyUserPropertiesOneCopy(t *testing.T) {
	d := packet.Disconnect{}
	for range 10_000 {
		d.Properties.User = append(d.Properties.User, packet.UserProperty{Name: "name", Value: "value"})
	}
	b, err := d.AppendTo(nil, v5)
	if err != nil {
		t.Fatal(err)
	}
	lim := &packet.Limits{MaxUserProperties: 10_000}
	allocs := testing.AllocsPerRun(5, func() {
		if _, _, err := decode(b, v5, lim); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 60 {
		t.Fatalf("%v allocations for 10,000 user properties", allocs)
	}
}

// TestAliasing pins down what the package promises: strings are copies, bytes
// are not, and appending to them does not reach the next field.
func TestAliasing(t *testing.T) {
	t.Parallel()
	p := &packet.Publish{
		QoS: 1, ID: 1, Topic: []byte("topic"), Payload: []byte("payload"),
		Properties: packet.Properties{ContentType: packet.Some("type"), CorrelationData: packet.Some([]byte("data"))},
	}
	b, err := p.AppendTo(nil, v5)
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := decode(b, v5, nil)
	if err != nil {
		t.Fatal(err)
	}
	q := got.(*packet.Publish)
	for i := range b {
		b[i] ^= 0xff
	}
	if q.Properties.ContentType.Value != "type" {
		t.Error("the string aliases the input")
	}
	for _, s := range [][]byte{q.Topic, q.Payload, q.Properties.CorrelationData.Value} {
		if !bytes.Contains(b, s) || cap(s) != len(s) {
			t.Errorf("slice %q: not an alias, or with spare capacity", s)
		}
	}
}

func TestConnectVersion(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, hex string
		want      packet.Version
	}{
		{"3.1", "0006'MQIsdp' 03", v31},
		{"3.1 with level 4", "0006'MQIsdp' 04", v31},
		{"3.1.1", "0004'MQTT' 04", v311},
		{"bridge", "0004'MQTT' 84", v311},
		{"level 3", "0004'MQTT' 03", v311},
		{"5.0", "0004'MQTT' 05", v5},
		{"level 6", "0004'MQTT' 06", v5},
		{"unknown name", "0004'HTTP' 04", 0},
		{"level missing", "0004'MQTT'", 0},
		{"nothing", "", 0},
	} {
		if got := packet.ConnectVersion(unhex(t, c.hex)); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestDecodeIntoWrongType(t *testing.T) {
	t.Parallel()
	var p packet.Publish
	var a packet.Ack
	ack := packet.Header{Type: packet.TypePuback, Remaining: 2}
	if err := packet.DecodePublish(ack, []byte{0, 1}, v311, nil, &p); packet.ReasonOf(err) != malformed {
		t.Errorf("PUBACK as PUBLISH: %v", err)
	}
	pub := packet.Header{Type: packet.TypePublish, Remaining: 3}
	if err := packet.DecodeAck(pub, []byte{0, 1, 'a'}, v311, nil, &a); packet.ReasonOf(err) != malformed {
		t.Errorf("PUBLISH as PUBACK: %v", err)
	}
	if _, err := packet.Decode(packet.Header{Type: packet.TypePublish, Remaining: -1}, nil, v311, nil); err == nil {
		t.Error("negative remaining length accepted")
	}
}

func TestRemainingLengthBounds(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 127, 128, 16383, 16384, 2097151, 2097152, packet.MaxRemaining} {
		want := packet.Header{Type: packet.TypePublish, Remaining: n}
		b := binary.AppendUvarint([]byte{0x30}, uint64(n))
		got, k, err := packet.ReadHeader(b)
		if err != nil || got != want || k != len(b) {
			t.Errorf("%d: %+v, %d bytes, %v", n, got, k, err)
		}
		if got.Size() != n+len(b) {
			t.Errorf("%d: Size = %d", n, got.Size())
		}
	}
}
