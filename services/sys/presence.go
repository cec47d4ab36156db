package sys

import (
	"bytes"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/hook"
)

// hookName names our hooks, hookPriority lets them run last: what they tell has passed all others.
const (
	hookName     = "sys.presence"
	hookPriority = 1 << 20
)

// presence tells of clients that come and go.
type presence struct {
	s *Service

	mu     sync.Mutex
	online map[client]connections
}

type client struct{ tenant, id string }

// connections of one client id on this node.
type connections struct {
	live int32
	told int32 // of them, those whose end was told already
}

// connectedJSON is what EMQ 2.3 tells, and what older versions did: session.
type connectedJSON struct {
	ClientID  string `json:"clientid"`
	Username  string `json:"username"`
	IPAddress string `json:"ipaddress"`
	CleanSess bool   `json:"clean_sess"`
	Protocol  uint8  `json:"protocol"`
	Connack   uint8  `json:"connack"`
	TS        int64  `json:"ts"`
	Session   bool   `json:"session"`
}

type disconnectedJSON struct {
	ClientID string `json:"clientid"`
	Username string `json:"username"`
	Reason   string `json:"reason"`
	TS       int64  `json:"ts"`
}

// listen begins to hear of clients.
func (p *presence) listen() error {
	p.online = map[client]connections{}
	h := p.s.deps.Hooks
	return errors.Join(
		h.ClientConnected.Add(tells(func(c hook.Connected) { p.connected(&c) })),
		h.ClientDisconnected.Add(tells(func(d hook.Disconnected) { p.disconnected(&d) })),
		h.SessionTerminated.Add(tells(func(e hook.Terminated) { p.s.alarms.ended(e.Client) })),
	)
}

// tells is a hook that changes nothing.
func tells[A any](fn func(A)) hook.Hook[A, hook.None] {
	return hook.Hook[A, hook.None]{Name: hookName, Priority: hookPriority, Run: func(a A, _ hook.None) (hook.None, hook.Verdict) {
		fn(a)
		return hook.None{}, hook.OK
	}}
}

// leave takes the hooks back; there may be none.
func (p *presence) leave() {
	h := p.s.deps.Hooks
	_ = h.ClientConnected.Remove(hookName)
	_ = h.ClientDisconnected.Remove(hookName)
	_ = h.SessionTerminated.Remove(hookName)
}

func (p *presence) connected(c *hook.Connected) {
	if c.Err != nil {
		p.s.alarms.refused(c.Err)
		if p.s.cfg.Presence.Refused {
			p.tellConnected(c)
		}
		return
	}
	if !p.s.cfg.Presence.Enable {
		return
	}
	if p.came(client{c.Client.Tenant, c.Client.ClientID}) {
		p.tellDisconnected(c.Client, "conflict", c.At)
	}
	p.tellConnected(c)
}

// came counts a connection, and reports whether the end of an older one must be told first.
func (p *presence) came(k client) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.online[k]
	first := n.live > n.told
	if first {
		n.told++
	}
	n.live++
	p.online[k] = n
	return first
}

func (p *presence) disconnected(d *hook.Disconnected) {
	if p.s.cfg.Presence.Enable && p.went(client{d.Client.Tenant, d.Client.ClientID}) {
		p.tellDisconnected(d.Client, d.Reason, d.At)
	}
}

// went counts a connection that ended, and reports whether it must be told.
func (p *presence) went(k client) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, known := p.online[k]
	if !known { // it came before we listened
		return true
	}
	n.live--
	told := n.told > 0
	if told {
		n.told--
	}
	if n.live <= 0 {
		delete(p.online, k)
	} else {
		p.online[k] = n
	}
	return !told
}

func (p *presence) tellConnected(c *hook.Connected) {
	p.tell(c.Client, "connected", connectedJSON{
		ClientID: c.Client.ClientID, Username: username(c.Client), IPAddress: c.Client.Peer.Addr().Unmap().String(), CleanSess: c.CleanStart,
		Protocol: c.Client.Version, Connack: connack(c.Err), TS: c.At.Unix(), Session: !c.CleanStart,
	})
}

func (p *presence) tellDisconnected(id *broker.Identity, reason string, at time.Time) {
	p.tell(id, "disconnected", disconnectedJSON{ClientID: id.ClientID, Username: username(id), Reason: reason, TS: at.Unix()})
}

func (p *presence) tell(id *broker.Identity, what string, v any) {
	p.s.send(&broker.Message{
		Tenant: id.Tenant, Topic: p.s.prefix + "clients/" + level(id.ClientID) + "/" + what, Payload: encode(v), QoS: broker.QoS(p.s.cfg.Presence.QoS),
	})
}

// encode makes JSON as EMQ 2 does, without escapes for HTML. Strings and numbers always encode.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'})
}

func username(id *broker.Identity) string {
	if id.Username == "" {
		return "undefined"
	}
	return id.Username
}

// connack is the return code of MQTT 3.1.1 (§3.2.2.3) for a refusal.
func connack(err error) uint8 {
	if err == nil {
		return 0
	}
	switch broker.KindOf(err) {
	case broker.KindInvalid:
		return 2
	case broker.KindUnauthenticated, broker.KindNotFound:
		return 4
	case broker.KindDenied:
		return 5
	}
	return 3
}
