package sessionstore

import (
	"slices"
	"time"

	"github.com/pando-mq/pando/services/broker"
)

// softClient is a client id without durable record: its attachment is announced again to a new owner by its gateway.
type softClient struct {
	att  *attachment
	olds []*attachment // superseded, kicked, not answered
}

// hold is a connection whose publishes are held until the connections before it are over, or for a second.
type hold struct {
	att *attachment
	at  *timer
}

// softAttach sets the attachment of a client id that has no durable record.
func (p *partition) softAttach(k clientKey, att *attachment) {
	s := p.soft[k]
	if s == nil {
		s = &softClient{}
		p.soft[k] = s
	}
	if s.att != nil {
		p.softSupersede(k, s, att.epoch)
	}
	s.att = att
}

// softSupersede kicks the connection of a client id without durable record.
func (p *partition) softSupersede(k clientKey, s *softClient, by broker.ConnEpoch) {
	o := s.att
	s.att = nil
	s.olds = append(s.olds, o)
	p.after(func() { p.kick(kick{key: k, att: o, epoch: by, why: "conflict"}) })
}

// softTidy lets go of an empty record.
func (p *partition) softTidy(k clientKey, s *softClient) {
	if s.att == nil && len(s.olds) == 0 {
		delete(p.soft, k)
	}
}

// kick asks the gateway of a connection to end it. Without a stream the next one begins with it. The push carries the epoch of the connection that took
// over: the gateway may be the same, and ignores lower ones than it has seen.
func (p *partition) kick(k kick) {
	reason := k.why
	if reason != "conflict" && reason != "resync" {
		reason = "management"
	}
	p.s.metrics.kicks.WithLabelValues(reason).Inc()
	if g := p.gateways[k.att.gw.Incarnation]; g != nil && g.stream != nil {
		g.stream.push(broker.Push{
			Op: broker.PushKick, Tenant: k.key.tenant, ClientID: k.key.id, Conn: k.att.conn, Epoch: k.epoch, Reason: k.why,
		})
	}
}

// kickOld repeats the kick of a superseded connection.
func (p *partition) kickOld(k clientKey, o *attachment) {
	epoch := o.epoch
	if c := p.st.clients[k]; c != nil && c.att != nil {
		epoch = c.att.epoch
	} else if s := p.soft[k]; s != nil && s.att != nil {
		epoch = s.att.epoch
	}
	p.kick(kick{key: k, att: o, epoch: epoch, why: "conflict"})
}

// superseded counts the connections of a client id that were kicked and have not answered.
func (p *partition) superseded(k clientKey) (n int) {
	if c := p.st.clients[k]; c != nil {
		n += len(c.olds)
	}
	if s := p.soft[k]; s != nil {
		n += len(s.olds)
	}
	return n
}

// holdFor has the publishes of a new connection held while older ones are being ended.
func (p *partition) holdFor(k clientKey, att *attachment) {
	p.unhold(k)
	if p.superseded(k) == 0 {
		return
	}
	h := &hold{att: att, at: &timer{at: p.now().Add(holdLimit).UnixMilli(), kind: timerHold, key: k, number: att.conn}}
	p.holds[k] = h
	p.timers.add(h.at)
}

func (p *partition) unhold(k clientKey) {
	if h := p.holds[k]; h != nil {
		p.timers.remove(h.at)
		delete(p.holds, k)
	}
}

// settled lets held publishes go on when no older connection is left.
func (p *partition) settled(k clientKey) {
	if h := p.holds[k]; h != nil && p.superseded(k) == 0 {
		p.settle(k, h.att.conn)
	}
}

// settle lets held publishes go on.
func (p *partition) settle(k clientKey, n uint64) {
	h := p.holds[k]
	if h == nil || h.att.conn != n {
		return
	}
	p.unhold(k)
	p.after(func() {
		if g := p.gateways[h.att.gw.Incarnation]; g != nil && g.stream != nil {
			g.stream.push(broker.Push{Op: broker.PushSettled, Tenant: k.tenant, ClientID: k.id, Conn: h.att.conn, Epoch: h.att.epoch})
		}
	})
}

// flapping says how long a CONNACK must wait because the client id goes to and fro between connections.
func (p *partition) flapping(k clientKey, now time.Time) time.Duration {
	taken := false
	if c := p.st.clients[k]; c != nil {
		taken = c.att != nil
	}
	if s := p.soft[k]; s != nil {
		taken = taken || s.att != nil
	}
	if !taken {
		return 0
	}
	p.s.metrics.takeovers.Inc()
	last, ok := p.flaps[k]
	p.flaps[k] = now
	if len(p.flaps) > flapsKept {
		p.forgetFlaps(now)
	}
	if ok && now.Sub(last) < p.s.cfg.FlappingTime {
		return p.s.cfg.FlappingDelay
	}
	return 0
}

// flapsKept bounds how many client ids' last take-overs are remembered.
const flapsKept = 4096

func (p *partition) forgetFlaps(now time.Time) {
	for k, at := range p.flaps {
		if now.Sub(at) >= p.s.cfg.FlappingTime {
			delete(p.flaps, k)
		}
	}
	if len(p.flaps) > flapsKept {
		clear(p.flaps)
	}
}

// dropOld takes a superseded connection out of a record without log.
func (s *softClient) dropOld(inc, n uint64) bool {
	i := slices.IndexFunc(s.olds, func(o *attachment) bool { return o.at(inc, n) })
	if i < 0 {
		return false
	}
	s.olds = slices.Delete(s.olds, i, i+1)
	return true
}
