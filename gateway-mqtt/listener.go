package gatewaymqtt

import (
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/log"
	"github.com/pando-mq/pando/services/transport"
)

// listener is one entry of mqtt.listeners at work.
type listener struct {
	*transport.Listener
	gw      *Gateway
	name    string
	cfg     ListenerConfig
	rules   []accessRule
	trusted []netip.Prefix
	fresh   packet.Limits // before CONNECT
	limits  packet.Limits // after it
	halted  atomic.Bool   // an operator stopped it
}

// Reasons of this gateway; transport counts connections by them.
const (
	reasonAccess    transport.Reason = "access_denied"
	reasonMalformed transport.Reason = "malformed_packet"
	reasonRefused   transport.Reason = "connect_refused"
	reasonPublish   transport.Reason = "publish_failed"
	reasonFilter    transport.Reason = "filter_invalid"
	reasonRelease   transport.Reason = "release_failed"
	reasonAuth      transport.Reason = "authentication_failed"
	reasonOutput    transport.Reason = "answer_too_large"
)

// refusalTime is for the CONNECT of a client that is above a limit of connections: it holds one of few places (transport.MaxRefusals).
const refusalTime = 2 * time.Second

func newListener(g *Gateway, name string, cfg ListenerConfig, cert Certificate) (*listener, error) {
	l := &listener{gw: g, name: name, cfg: cfg}
	var err error
	if l.rules, err = parseRules(cfg.Access); err != nil {
		return nil, err
	}
	if l.trusted, err = parsePrefixes(cfg.TrustedProxies); err != nil {
		return nil, err
	}
	l.limits = packet.Limits{MaxPacketSize: int(g.cfg.MaxPacketSize), MaxUserProperties: g.cfg.MaxUserProperties, MaxFilters: g.cfg.MaxSubscribeFilters}
	if own := cfg.Limits.MaxPacketSize; own > 0 {
		l.limits.MaxPacketSize = int(own)
	}
	l.fresh = l.limits
	l.fresh.MaxPacketSize = min(l.fresh.MaxPacketSize, preConnect)
	deps := transport.Deps{
		Log: g.log, Accept: l.accept, Admit: l.admit, Explain: true, Budget: g.budget, Loops: g.loops,
		Trusted: func(a netip.Addr) bool { return within(l.trusted, a) },
	}
	if g.status != nil && cfg.web() {
		deps.HTTP = map[string]transport.HTTPFunc{"/status": g.answerStatus, "/mqtt/status": g.answerStatus}
	}
	l.Listener, err = transport.New(cfg.transport(name, &g.cfg, cert), deps)
	return l, err
}

// answerStatus is for load balancers.
func (g *Gateway) answerStatus(*http.Request) (status int, contentType string, body []byte) {
	text, ok := g.status()
	if !ok {
		return http.StatusServiceUnavailable, "text/plain", []byte(text)
	}
	return http.StatusOK, "text/plain", []byte(text)
}

// admit applies the access rules before the handshakes. Whom a trusted proxy names in HTTP headers is not known yet; accept does it then.
func (l *listener) admit(client netip.Addr) error {
	if l.forwards(client) || admitted(l.rules, client) {
		return nil
	}
	return reasonAccess
}

// accept makes the state machine of a connection whose handshakes are done.
func (l *listener) accept(tc transport.Conn) transport.Handler {
	info := tc.Info()
	peer := l.forwarded(info.Remote, info.Header)
	if !admitted(l.rules, peer.Addr()) {
		tc.Abort(reasonAccess)
		return nil
	}
	c := &conn{gw: l.gw, ln: l, tc: tc, peer: peer}
	if !l.gw.add(c) {
		tc.Close(transport.ErrShutdown)
		return nil
	}
	now := time.Now()
	c.pace.size, c.pace.messages = bucketOf(l.cfg.RateLimit, now), bucketOf(l.cfg.MessageRate, now)
	wait := l.gw.cfg.IdleTimeout
	if info.Refused != "" {
		wait = min(wait, refusalTime)
	}
	tc.SetDeadline(now.Add(wait))
	return c
}

// protocol is the listener's name in listings: "mqtt:tcp".
func (l *listener) protocol() string { return "mqtt:" + l.cfg.Kind }

// info describes the listener.
func (l *listener) info() broker.ListenerInfo {
	bind := l.cfg.Bind
	if a := l.Addr(); a.IsValid() {
		bind = a.String()
	}
	shutdowns := map[string]uint64{}
	for reason, n := range l.Shutdowns() {
		shutdowns[string(reason)] = n
	}
	return broker.ListenerInfo{
		Name: l.name, Protocol: l.protocol(), Bind: bind, Acceptors: l.cfg.Acceptors, MaxClients: l.cfg.MaxClients,
		CurrentClients: l.Count(), Running: l.Running(), Shutdowns: shutdowns,
	}
}

// explain says at the start which keys cannot take effect.
func (l *listener) explain() {
	say := func(key, why string) {
		l.gw.log.Warn("a key of a listener has no effect", log.KeyListener, l.name, log.KeyConfigKey, "mqtt.listeners."+l.name+"."+key, log.KeyReason, why)
	}
	if l.cfg.ProxyProtocol && len(l.trusted) == 0 {
		say("proxy_protocol", "no proxy is trusted, see trusted_proxies: nobody gets in")
	}
	if l.cfg.PeerCertUsername != "" && !l.cfg.verifies() && !l.cfg.ProxyProtocol {
		say("peer_cert_as_username", "clients of this listener show no certificate; use kind ssl or wss with tls.verify: verify_peer")
	}
	if l.cfg.ProxyAddressHeader != "" && len(l.trusted) == 0 {
		say("proxy_address_header", "no proxy is trusted, see trusted_proxies")
	}
	if (l.cfg.ProxyAddressHeader != "" || l.cfg.ProxyPortHeader != "") && !l.cfg.web() {
		say("proxy_address_header", "only kinds ws and wss have headers")
	}
}
