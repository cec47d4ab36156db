package gatewaymqtt

import (
	"errors"
	"net/netip"
	"time"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
	"github.com/pando-mq/pando/services/edge"
	"github.com/pando-mq/pando/services/transport"
)

// state is how far a connection came; see the package comment.
type state uint8

const (
	fresh      state = iota // waits for CONNECT
	connecting              // waits for the edge
	open                    // CONNACK was sent
	closing                 // nothing is read nor written any more
)

// The reasons to stop reading.
const (
	holdConnect uint8 = 1 << iota // until CONNACK
	holdEdge                      // Device.Hold
	holdRate                      // rate_limit, message_rate
	holdOutput                    // the client does not read what it is sent
)

// holdTouch is how often a client that is not read from is taken for alive: what it sends cannot be seen.
const holdTouch = 500 * time.Millisecond

// connectHead is how much of a CONNECT says its version: "MQIsdp" with its length, and the level.
const connectHead = 9

// conn is one client: the handler of a transport connection and the device of an edge connection. Everything runs on the connection's executor.
type conn struct {
	gw   *Gateway
	ln   *listener
	tc   transport.Conn
	link *edge.Conn // nil until CONNECT was read
	peer netip.AddrPort

	state   state
	version packet.Version
	bridge  bool
	holds   uint8
	buf     [8]byte // encoding space for acknowledgements
	maxOut  uint32  // largest packet the client takes; 0: no limit
	five    *five   // MQTT 5.0 only

	lastTopic string // of the last PUBLISH: publishers repeat themselves
	published func(edge.PublishResult)
	releasing func(id uint16, known bool, err error) // released; nil before the first PUBREL
	pace      pace
	toucher   *time.Timer // while a hold is on, see keepTouching
	patience  *time.Timer // while connecting, or authenticating again
}

// five is what only MQTT 5.0 needs.
type five struct {
	aliasIn  map[uint16]string   // set by the client
	aliasOut map[string]uint16   // set here
	outMax   int                 // aliases that the client and the configuration allow
	unacked  int                 // PUBLISHes of QoS 1 and 2 received and not acknowledged (receive maximum)
	held     map[uint16]struct{} // QoS 2 packet ids among them
	auth     *enhanced           // nil without an authentication method
	expiry   uint32              // session expiry interval of CONNECT, seconds
	wantInfo bool                // CONNECT asked for response information
}

// Data implements transport.Handler: it handles all complete packets in b until one makes the rest wait.
func (c *conn) Data(b []byte) (n int, err error) {
	if c.link != nil {
		c.link.Batch()
		defer c.link.End()
	}
	for c.state != closing && c.holds == 0 {
		used, complete := c.next(b[n:])
		if !complete {
			break
		}
		n += used
		if !c.tc.Writable() {
			c.slow()
			c.hold(holdOutput)
		}
	}
	c.consumed(n)
	return n, nil
}

// consumed accounts for n bytes taken from the socket.
func (c *conn) consumed(n int) {
	if n == 0 {
		return
	}
	c.gw.count.Add(edge.BytesReceived, uint64(n))
	if c.link != nil {
		c.link.Stats.RecvBytes.Add(uint64(n))
		c.link.Touch()
	}
	c.pace.bytes(c, n)
}

// next handles the packet at the beginning of b and says how long it was; complete is false while more bytes are needed, and when the connection ended.
func (c *conn) next(b []byte) (used int, complete bool) {
	h, n, err := packet.ReadHeader(b)
	if err != nil {
		c.malformed(err, b, 0)
		return 0, false
	}
	if n == 0 {
		return 0, false
	}
	limits := &c.ln.limits
	if c.state < open {
		limits = &c.ln.fresh
	}
	if h.Type == packet.TypeConnect && len(b)-n < min(h.Remaining, connectHead) {
		return 0, false // a refusal needs to know the version
	}
	if err := h.Check(c.version, limits); err != nil {
		c.malformed(err, b[n:], h.Type)
		return 0, false
	}
	if len(b)-n < h.Remaining {
		return 0, false
	}
	if err := c.handle(h, b[n:n+h.Remaining], limits); err != nil {
		c.malformed(err, b[n:n+h.Remaining], h.Type)
	} else {
		c.countReceived(h.Type)
		c.pace.packet(c, h.Type)
	}
	return n + h.Remaining, true
}

// handle decodes one packet and acts on it. An error is a fault of the client; it ends the connection.
func (c *conn) handle(h packet.Header, body []byte, limits *packet.Limits) error {
	if err := c.allowedNow(h.Type); err != nil {
		return err
	}
	switch h.Type {
	case packet.TypePublish:
		return c.publish(h, body, limits)
	case packet.TypePuback, packet.TypePubrec, packet.TypePubrel, packet.TypePubcomp:
		return c.ack(h, body, limits)
	}
	p, err := packet.Decode(h, body, c.version, limits)
	if err != nil {
		return err
	}
	switch p := p.(type) {
	case *packet.Connect:
		return c.connect(p)
	case *packet.Subscribe:
		return c.subscribe(p)
	case *packet.Unsubscribe:
		return c.unsubscribe(p)
	case *packet.Pingreq:
		c.send(&packet.Pingresp{})
		return nil
	case *packet.Disconnect:
		return c.disconnect(p)
	case *packet.Auth:
		return c.auth(p)
	}
	return &packet.Error{Reason: packet.ProtocolError, Kind: "packet that only a server sends"}
}

// malformed ends the connection after a packet that breaks the protocol (MQTT 5.0 §4.13). Before CONNACK only a peer that began like an MQTT client gets
// an answer; body is what is known of the packet.
func (c *conn) malformed(err error, body []byte, t packet.Type) {
	if c.state == closing {
		return
	}
	code, kind := packet.ReasonOf(err), ""
	if e, ok := errors.AsType[*packet.Error](err); ok {
		kind = e.Kind
	}
	c.gw.metrics.broken(code)
	if c.state == fresh {
		if t == packet.TypeConnect {
			c.version = packet.ConnectVersion(body)
		}
		answer := c.version == packet.V5 || c.version.Valid() && (code == packet.UnsupportedVersion || code == packet.ClientIDNotValid)
		if !answer {
			c.close(reasonMalformed)
			return
		}
		kind = "" // how large an answer may be is not known (MQTT-3.2.2-19)
	}
	c.end(disconnectFor(code), code, kind, reasonMalformed)
}

// end tells the client why, if its version and state allow it, and closes. In an open connection code is the DISCONNECT's reason, before that refusal is
// the CONNACK's.
func (c *conn) end(code, refusal packet.ReasonCode, text string, why transport.Reason) {
	switch {
	case c.state == closing:
		return
	case c.state != open:
		answer := connackFor(refusal)
		c.connack(&packet.Connack{Reason: answer, Properties: c.explain(answer, text)})
	default:
		c.gw.metrics.disconnected(code)
		if c.version >= packet.V5 {
			c.send(&packet.Disconnect{Reason: code, Properties: c.explain(code, text)})
		}
	}
	c.close(why)
}

// explain are the properties of a refusal or of DISCONNECT; text is one of ours, or the operator's, or nothing.
func (c *conn) explain(code packet.ReasonCode, text string) (p packet.Properties) {
	if text != "" {
		p.ReasonString = packet.Some(text)
	}
	if code == packet.UseAnotherServer {
		p.ServerReference = packet.Some(c.gw.cfg.ServerReference)
	}
	return p
}

// close ends the connection after what was written has left. A nil reason is the ordinary end.
func (c *conn) close(reason error) {
	if c.state == closing {
		return
	}
	c.state = closing
	c.tc.Close(reason)
}

// Closed implements transport.Handler: the last call.
func (c *conn) Closed(reason error) {
	c.state = closing
	for _, t := range []*time.Timer{c.pace.timer, c.toucher, c.patience} {
		if t != nil {
			t.Stop()
		}
	}
	c.gw.remove(c)
	if c.link != nil {
		c.link.Closed(string(transport.ReasonOf(reason)))
	}
}

// Drained implements transport.Drainer.
func (c *conn) Drained() {
	c.resume(holdOutput)
	if c.link != nil && c.state == open {
		c.link.Drained()
	}
}

// slow tells that the client does not keep up with its output.
func (c *conn) slow() {
	if c.gw.busy != nil && c.link != nil && c.state == open {
		c.gw.busy(c.link.Identity().ClientID, c.tc.Pending())
	}
}

// hold stops reading for one reason more.
func (c *conn) hold(why uint8) {
	if c.holds == 0 {
		c.tc.PauseRead()
	}
	c.holds |= why
	if why != holdConnect && c.toucher == nil {
		c.keepTouching()
	}
}

// resume takes one reason back.
func (c *conn) resume(why uint8) {
	if c.holds&why == 0 {
		return
	}
	if c.holds &^= why; c.holds == 0 {
		c.tc.ResumeRead()
	}
}

// keepTouching keeps the keep-alive from ending a client that is not read from.
func (c *conn) keepTouching() {
	c.toucher = time.AfterFunc(holdTouch, func() {
		c.tc.Post(func() {
			if c.toucher = nil; c.holds == 0 || c.state != open {
				return
			}
			c.link.Touch()
			c.keepTouching()
		})
	})
}

// send queues a packet that is not a PUBLISH and counts it. An answer that the client has no room for ends the connection: it may not be sent
// (MQTT-3.1.2-24), and without it the client waits for ever.
func (c *conn) send(p packet.Packet) {
	if !packet.TrimTo(p, c.version, c.maxOut) {
		c.close(reasonOutput)
		return
	}
	b, err := p.AppendTo(nil, c.version)
	if err != nil {
		c.gw.defect("a packet cannot be encoded", err)
		c.close(reasonOutput)
		return
	}
	c.write(b, p.PacketType())
}

// write queues an encoded packet and counts it.
func (c *conn) write(b []byte, t packet.Type) {
	if c.state == closing {
		return
	}
	c.tc.Append(b)
	c.countSent(t, len(b))
}
