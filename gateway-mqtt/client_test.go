package gatewaymqtt_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
)

// patience bounds every wait for something that must happen.
const patience = 15 * time.Second

// client speaks packets over a socket, and nothing by itself.
type client struct {
	t  *testing.T
	nc net.Conn
	v  packet.Version

	published int // messages that expectAck and quietBut came across
}

// dial connects a client to a listener.
func (w *world) dial(t *testing.T, listener string, v packet.Version) *client {
	t.Helper()
	nc, err := w.open(t, listener)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	return &client{t: t, nc: nc, v: v}
}

// open makes the connection that the listener's kind wants.
func (w *world) open(t *testing.T, listener string) (net.Conn, error) {
	addr := w.gw.Addr(listener).String()
	switch listener {
	case "ssl":
		return tls.Dial("tcp", addr, w.trust(t))
	case "ws", "wss":
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		ws, _, err := websocket.Dial(ctx, listener+"://"+addr+"/mqtt", &websocket.DialOptions{
			Subprotocols: []string{"mqtt"}, HTTPClient: w.httpClient(t), HTTPHeader: w.header,
		})
		if err != nil {
			return nil, err
		}
		ws.SetReadLimit(1 << 20)
		return websocket.NetConn(t.Context(), ws, websocket.MessageBinary), nil
	}
	return net.Dial("tcp", addr)
}

// connect makes a client that is connected by the CONNECT that change leaves.
func (w *world) connect(t *testing.T, v packet.Version, id string, change ...func(*packet.Connect)) *client {
	t.Helper()
	c := w.dial(t, "tcp", v)
	c.send(connectPacket(v, id, change...))
	if ack := expect[*packet.Connack](c); ack.Reason != packet.Success {
		t.Fatalf("CONNACK %s", ack.Reason)
	}
	return c
}

func connectPacket(v packet.Version, id string, change ...func(*packet.Connect)) *packet.Connect {
	p := &packet.Connect{Version: v, ClientID: id, CleanStart: true}
	for _, fn := range change {
		fn(p)
	}
	return p
}

// send writes packets in one piece.
func (c *client) send(ps ...packet.Packet) {
	c.t.Helper()
	c.raw(c.encode(ps...))
}

func (c *client) encode(ps ...packet.Packet) []byte {
	c.t.Helper()
	var b []byte
	for _, p := range ps {
		var err error
		if b, err = p.AppendTo(b, c.v); err != nil {
			c.t.Fatal(err)
		}
	}
	return b
}

func (c *client) raw(b []byte) {
	c.t.Helper()
	if _, err := c.nc.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

// drip writes byte by byte, until the server has enough of it.
func (c *client) drip(b []byte) {
	for i := range b {
		if _, err := c.nc.Write(b[i : i+1]); err != nil {
			return
		}
	}
}

// read returns the next packet, nil at the end of the connection.
func (c *client) read() packet.Packet {
	c.t.Helper()
	b := c.frame()
	if b == nil {
		return nil
	}
	h, n, err := packet.ReadHeader(b)
	if err != nil {
		c.t.Fatal(err)
	}
	p, err := packet.Decode(h, b[n:], c.v, nil)
	if err != nil {
		c.t.Fatalf("%s %x: %v", h.Type, b[n:], err)
	}
	return p
}

// frame returns the bytes of the next packet, nil at the end of the connection.
func (c *client) frame() []byte {
	c.t.Helper()
	_ = c.nc.SetReadDeadline(time.Now().Add(patience))
	var head []byte
	for {
		one := make([]byte, 1)
		if _, err := io.ReadFull(c.nc, one); err != nil {
			if ended(err) {
				return nil
			}
			c.t.Fatalf("nothing came: %v", err)
		}
		head = append(head, one[0])
		h, n, err := packet.ReadHeader(head)
		if err != nil {
			c.t.Fatal(err)
		}
		if n == 0 {
			continue
		}
		b := append(head, make([]byte, h.Remaining)...)
		if _, err := io.ReadFull(c.nc, b[n:]); err != nil {
			c.t.Fatal(err)
		}
		return b
	}
}

// ended tells the end of a connection from silence.
func ended(err error) bool {
	var closed websocket.CloseError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.As(err, &closed) ||
		!errors.Is(err, os.ErrDeadlineExceeded) && errors.Is(err, net.ErrClosed)
}

// expect reads a packet of one type.
func expect[T packet.Packet](c *client) T {
	c.t.Helper()
	p := c.read()
	if got, ok := p.(T); ok {
		return got
	}
	var want T
	if p == nil {
		c.t.Fatalf("the connection ended, want a %s", want.PacketType())
	}
	c.t.Fatalf("%s %+v, want a %T", p.PacketType(), p, want)
	return want
}

// expectEnd wants a DISCONNECT with a reason (5.0 only), and the end.
func (c *client) expectEnd(reason packet.ReasonCode) {
	c.t.Helper()
	if c.v >= packet.V5 {
		if d := expect[*packet.Disconnect](c); d.Reason != reason {
			c.t.Errorf("DISCONNECT %s, want %s", d.Reason, reason)
		}
	}
	c.expectClosed()
}

func (c *client) expectClosed() {
	c.t.Helper()
	if p := c.read(); p != nil {
		c.t.Errorf("%s %+v, want the end", p.PacketType(), p)
	}
}

// quiet shows that nothing came: the answer to a PINGREQ is next.
func (c *client) quiet() {
	c.t.Helper()
	c.send(&packet.Pingreq{})
	expect[*packet.Pingresp](c)
}

// subscribe makes subscriptions and wants them granted.
func (c *client) subscribe(qos byte, filters ...string) {
	c.t.Helper()
	p := &packet.Subscribe{ID: 65000}
	for _, f := range filters {
		p.Subscriptions = append(p.Subscriptions, packet.Subscription{Filter: f, QoS: qos})
	}
	c.send(p)
	for _, r := range expect[*packet.Suback](c).Reasons {
		if r != packet.ReasonCode(qos) {
			c.t.Fatalf("SUBACK %s, want QoS %d", r, qos)
		}
	}
}

// expectMessage wants a PUBLISH of a topic and payload.
func (c *client) expectMessage(topic, payload string) *packet.Publish {
	c.t.Helper()
	p := expect[*packet.Publish](c)
	if string(p.Topic) != topic || !bytes.Equal(p.Payload, []byte(payload)) {
		c.t.Fatalf("message %q on %q, want %q on %q", p.Payload, p.Topic, payload, topic)
	}
	return p
}

func message(qos byte, id uint16, topic, payload string) *packet.Publish {
	return &packet.Publish{QoS: qos, ID: id, Topic: []byte(topic), Payload: []byte(payload)}
}

// versions are the three, for tests of each.
func versions(t *testing.T, fn func(t *testing.T, v packet.Version)) {
	t.Helper()
	for _, v := range []packet.Version{packet.V31, packet.V311, packet.V5} {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			fn(t, v)
		})
	}
}
