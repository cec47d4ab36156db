package gatewaymqtt

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
	"github.com/pando-mq/pando/services/edge"
	"github.com/pando-mq/pando/services/transport"
)

// sink is a transport connection that forgets what it is given, so that only the gateway's own work is measured.
type sink struct {
	buf  []byte
	info transport.Info
}

func (s *sink) Append(b []byte)                           { s.buf = append(s.buf[:0], b...) }
func (s *sink) AppendFrom(encode func(dst []byte) []byte) { s.buf = encode(s.buf[:0]) }
func (s *sink) Flush()                                    {}
func (s *sink) Pending() int                              { return 0 }
func (s *sink) Writable() bool                            { return true }
func (s *sink) Post(fn func()) bool                       { fn(); return true }
func (s *sink) PauseRead()                                {}
func (s *sink) ResumeRead()                               {}
func (s *sink) SetReadLimit(int)                          {}
func (s *sink) SetDeadline(time.Time)                     {}
func (s *sink) Close(error)                               {}
func (s *sink) Abort(error)                               {}
func (s *sink) ForgetInfo()                               {}
func (s *sink) Info() *transport.Info                     { return &s.info }

// delivering makes an open connection without an edge.
func delivering(tb testing.TB, v packet.Version) *conn {
	tb.Helper()
	g := &Gateway{cfg: DefaultConfig(), count: new(edge.Counters)}
	g.encoders.New = func() any { return newEncoder() }
	var err error
	if g.metrics, err = newMetrics(g, prometheus.NewRegistry()); err != nil {
		tb.Fatal(err)
	}
	c := &conn{gw: g, ln: &listener{gw: g}, tc: new(sink), state: open, version: v}
	if v == packet.V5 {
		c.five = &five{outMax: 16}
	}
	return c
}

// TestLargeConnectIsAnsweredInItsVersion: however a CONNECT that is too large is cut into pieces, the refusal waits until its version is known, and
// for nothing more (MQTT 5.0 §3.2.2.2).
func TestLargeConnectIsAnsweredInItsVersion(t *testing.T) {
	t.Parallel()
	input := []byte("\x10\x80\x80\x04\x00\x04MQTT\x05\x02\x00\x00")
	c := delivering(t, 0)
	c.state, c.ln.fresh.MaxPacketSize = fresh, preConnect
	const head = 4 + connectHead
	for n := range head {
		if used, err := c.Data(input[:n]); used != 0 || err != nil || c.state != fresh {
			t.Fatalf("after %d bytes: used %d, %v, state %d", n, used, err, c.state)
		}
	}
	if _, err := c.Data(input[:head]); err != nil || c.state != closing {
		t.Fatalf("after %d bytes: %v, state %d", head, err, c.state)
	}
	out := c.tc.(*sink).buf
	h, n, err := packet.ReadHeader(out)
	if err != nil {
		t.Fatal(err)
	}
	p, err := packet.Decode(h, out[n:], packet.V5, nil)
	if err != nil {
		t.Fatal(err)
	}
	if ack, ok := p.(*packet.Connack); !ok || ack.Reason != packet.PacketTooLarge {
		t.Errorf("%+v", p)
	}
}
