package gatewaymqtt

import (
	"bytes"
	"crypto/x509/pkix"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/edge"
	"github.com/pando-mq/pando/services/transport"
)

// connect handles CONNECT (MQTT 5.0 §3.1).
func (c *conn) connect(p *packet.Connect) error {
	if c.state != fresh {
		return &packet.Error{Reason: packet.ProtocolError, Kind: "second CONNECT"} // MQTT-3.1.0-2
	}
	c.state, c.version, c.bridge = connecting, p.Version, p.Bridge
	if p.Version >= packet.V5 {
		c.five = &five{
			outMax:   min(int(p.Properties.TopicAliasMaximum.Or(0)), c.gw.cfg.TopicAliasOut),
			expiry:   p.Properties.SessionExpiry.Or(0),
			wantInfo: p.Properties.RequestResponseInfo.Or(0) == 1,
		}
		c.maxOut = p.Properties.MaximumPacketSize.Or(0)
	}
	c.tc.SetDeadline(time.Time{})
	if above := c.tc.Info().Refused; above != "" {
		code := c.gw.elsewhere(packet.QuotaExceeded)
		c.end(code, code, "", above)
		return nil
	}
	if code := c.refusal(p); code != packet.Success {
		c.end(code, code, "", reasonRefused)
		return nil
	}
	c.hold(holdConnect)
	c.patience = time.AfterFunc(c.gw.cfg.IdleTimeout, func() { c.tc.Post(c.impatient) })
	keepAlive := time.Duration(p.KeepAlive) * time.Second
	c.link = c.gw.edge.Connect(c, c.request(p), func(r edge.ConnectResult) { c.connected(r, keepAlive) })
	return nil
}

// refusal is the code for a CONNECT that is well-formed and yet not acceptable; Success if there is nothing to refuse.
func (c *conn) refusal(p *packet.Connect) packet.ReasonCode {
	if p.ClientID == "" && (p.Version == packet.V31 || p.Version == packet.V311 && !p.CleanStart) {
		return packet.ClientIDNotValid // MQTT 3.1 §3.1; MQTT-3.1.3-8 of 3.1.1
	}
	if m := p.Properties.AuthMethod; m.Present && m.Value == "" {
		return packet.BadAuthMethod // MQTT-4.12.0-1; authsvc knows the others
	}
	return c.ln.cfg.Limits.refuseConnect(p)
}

// impatient gives up on a CONNECT that the suite does not answer, or whose client does not finish its authentication.
func (c *conn) impatient() {
	switch {
	case c.state != connecting:
	case c.five != nil && c.five.auth != nil && c.five.auth.challenged:
		c.end(packet.NotAuthorized, packet.NotAuthorized, authLate, reasonAuth)
	default:
		c.end(packet.ServerBusy, packet.ServerUnavailable, "", reasonRefused)
	}
}

// request is the CONNECT as the edge knows it.
func (c *conn) request(p *packet.Connect) *edge.ConnectRequest {
	r := &edge.ConnectRequest{
		Credentials: c.credentials(p),
		CleanStart:  p.CleanStart,
		KeepAlive:   time.Duration(p.KeepAlive) * time.Second,
		MaxPacket:   c.maxOut,
		Mountpoint:  c.ln.cfg.Mountpoint,
		MaxLevels:   c.ln.cfg.Limits.MaxTopicLevels,
		Resend:      p.Version == packet.V31,

		KeepAliveFixed: p.Version < packet.V5,
	}
	switch {
	case c.five != nil:
		r.Expiry = interval(c.five.expiry)
		r.ReceiveMax = p.Properties.ReceiveMaximum.Or(0)
	case !p.CleanStart:
		r.Expiry = broker.Forever
	}
	if p.Will != nil {
		r.Will = willOf(p.Will)
	}
	c.enhance(p, r)
	return r
}

// credentials are what the client and its connection offer. What only they need is given back to the collector.
func (c *conn) credentials(p *packet.Connect) broker.Credentials {
	info := c.tc.Info()
	cr := broker.Credentials{
		Tenant: broker.DefaultTenant, ClientID: p.ClientID,
		Username: p.Username.Value, HasUser: p.Username.Present,
		Password: bytes.Clone(p.Password.Value), HasPass: p.Password.Present,
		Peer: c.peer, Protocol: "mqtt", Version: uint8(p.Version),
		Listener: c.ln.protocol() + ":" + c.ln.Addr().String(), Loopback: c.ln.cfg.local() && c.peer.Addr().IsLoopback(),
		Headers: flatten(info.Header),
	}
	if info.TLS != nil && len(info.TLS.PeerCertificates) > 0 {
		c.certify(&cr, &info.TLS.PeerCertificates[0].Subject)
	} else if info.Proxy != nil && info.Proxy.CommonName != "" {
		c.certify(&cr, &pkix.Name{CommonName: info.Proxy.CommonName}) // it is all that a proxy tells
	}
	c.tc.ForgetInfo()
	return cr
}

// certify adds what the client's certificate says.
func (c *conn) certify(cr *broker.Credentials, subject *pkix.Name) {
	cr.CertCN, cr.CertDN = subject.CommonName, subject.String()
	switch c.ln.cfg.PeerCertUsername {
	case "cn":
		cr.Username, cr.HasUser = cr.CertCN, true
	case "dn":
		cr.Username, cr.HasUser = cr.CertDN, true
	}
}

// flatten makes one value of each header.
func flatten(h http.Header) map[string]string {
	if h == nil {
		return nil
	}
	out := make(map[string]string, len(h))
	for name, values := range h {
		out[name] = strings.Join(values, ", ")
	}
	return out
}

// willOf copies a will out of the input buffer (§3.1.2.5).
func willOf(w *packet.Will) *broker.Will {
	will := &broker.Will{
		Msg: &broker.Message{
			Topic: w.Topic, Payload: bytes.Clone(w.Payload), QoS: broker.QoS(w.QoS), Retain: w.Retain, Props: propsOf(&w.Properties),
		},
		Delay: time.Duration(w.Properties.WillDelay.Or(0)) * time.Second,
	}
	if e := w.Properties.MessageExpiry; e.Present {
		will.Expiry = max(time.Duration(e.Value)*time.Second, 1) // 0 means never
	}
	return will
}

// interval is a session expiry interval (§3.1.2.11.2).
func interval(seconds uint32) time.Duration {
	if seconds == math.MaxUint32 {
		return broker.Forever
	}
	return time.Duration(seconds) * time.Second
}

// seconds is interval the other way round; what is not whole is rounded up.
func seconds(d time.Duration) uint32 {
	if d == broker.Forever {
		return math.MaxUint32
	}
	return uint32(min((d+time.Second-1)/time.Second, math.MaxUint32-1))
}

// connected is the edge's answer.
func (c *conn) connected(r edge.ConnectResult, asked time.Duration) {
	if c.state != connecting {
		return
	}
	c.patience.Stop()
	c.patience = nil
	if r.Err != nil {
		code, text := c.authCode(broker.KindOf(r.Err))
		if code == packet.QuotaExceeded {
			code = c.gw.elsewhere(code)
		}
		c.end(code, code, text, reasonRefused)
		return
	}
	c.published = c.publishDone
	c.tc.SetReadLimit(max(c.ln.limits.MaxPacketSize, preConnect))
	answer := &packet.Connack{SessionPresent: r.SessionPresent, Reason: packet.Success}
	if c.five != nil {
		answer.Properties = c.capabilities(&r, asked)
	}
	c.connack(answer)
	if c.state == connecting {
		c.state = open
		c.resume(holdConnect)
	}
}

// capabilities tell an MQTT 5.0 client what differs from the defaults and from what it asked for (§3.2.2.3).
func (c *conn) capabilities(r *edge.ConnectResult, asked time.Duration) packet.Properties {
	cfg := &c.gw.cfg
	p := packet.Properties{
		ReceiveMaximum:    packet.Some(uint16(cfg.ReceiveMaximum)),
		MaximumPacketSize: packet.Some(uint32(c.ln.limits.MaxPacketSize)),
	}
	c.ln.cfg.Limits.announce(&p)
	if cfg.TopicAliasMaximum > 0 {
		p.TopicAliasMaximum = packet.Some(uint16(cfg.TopicAliasMaximum))
	}
	if a := c.five.auth; a != nil {
		p.AuthMethod = packet.Some(a.method) // MQTT-4.12.0-5
		if len(r.AuthData) > 0 {
			p.AuthData = packet.Some(r.AuthData)
		}
	}
	if r.Assigned {
		p.AssignedClientID = packet.Some(r.Identity.ClientID)
	}
	if granted := seconds(r.Expiry); granted != c.five.expiry {
		p.SessionExpiry = packet.Some(granted)
	}
	if r.KeepAlive != asked {
		p.ServerKeepAlive = packet.Some(uint16(min(seconds(r.KeepAlive), math.MaxUint16)))
	}
	if c.five.wantInfo && cfg.ResponseInformation != "" { // MQTT-3.1.2-28
		p.ResponseInfo = packet.Some(strings.NewReplacer("%c", r.Identity.ClientID, "%u", r.Identity.Username).Replace(cfg.ResponseInformation))
	}
	return p
}

// connack sends CONNACK. A refusal without the room for its explanation leaves it out, see send.
func (c *conn) connack(p *packet.Connack) {
	c.gw.metrics.connack(p.Reason)
	c.send(p)
}

// disconnect handles DISCONNECT (§3.14).
func (c *conn) disconnect(p *packet.Disconnect) error {
	d := edge.Disconnect{DropWill: p.Reason == packet.NormalDisconnection}
	if !d.DropWill {
		d.Reason = strings.ReplaceAll(p.Reason.String(), " ", "_")
	}
	if expiry := p.Properties.SessionExpiry; expiry.Present && c.five != nil {
		if c.five.expiry == 0 && expiry.Value != 0 {
			return &packet.Error{Reason: packet.ProtocolError, Kind: "session expiry in DISCONNECT after none in CONNECT"} // MQTT-3.1.2-23
		}
		d.HasExpiry, d.Expiry = true, interval(expiry.Value)
	}
	c.link.Disconnect(d)
	c.close(nil)
	return nil
}

// shutdown ends the connection because the process stops.
func (c *conn) shutdown() {
	if c.state == fresh {
		c.close(transport.ErrShutdown)
		return
	}
	code := c.gw.elsewhere(packet.ServerShuttingDown)
	c.end(code, code, "", transport.ErrShutdown)
}
