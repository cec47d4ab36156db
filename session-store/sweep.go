package sessionstore

import (
	"log/slog"
	"slices"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
)

// remember notes that something is kept about a gateway incarnation, so that it is forgotten some day.
func (p *partition) remember(inc uint64) {
	if p.gateways[inc] == nil {
		p.gateways[inc] = &gateway{ref: broker.NodeRef{Incarnation: inc}}
	}
	p.notice(inc)
}

// notice has the view looked at for an incarnation that the last sweep did not see. Views pass over others, so a gateway may come and go between two sweeps
// that see the same gateways.
func (p *partition) notice(inc uint64) {
	if _, ok := p.seen[inc]; !ok {
		p.unseen = true
		p.sweep(p.s.deps.Cluster.View())
	}
}

// sweep detaches every attachment whose gateway incarnation is not in the view any more and settles its parked wills (rule R6). It is called with each view,
// and looks closely only when the gateways changed. With very many attachments it goes on a little later, when the log has room.
func (p *partition) sweep(v *cluster.View) {
	if p.dead || !p.serving {
		return
	}
	seen := map[uint64]struct{}{}
	for _, n := range v.Nodes(cluster.Gateway) {
		seen[n.Incarnation] = struct{}{}
	}
	if p.swept && !p.unseen && equalSets(seen, p.seen) {
		return
	}
	p.seen, p.swept, p.unseen = seen, true, false
	for inc := range p.incarnations() {
		if inc > v.Revision {
			p.unseen = true
			continue
		}
		if gone(v, inc) && !p.gatewayGone(inc) {
			p.sweepAgain()
			return
		}
	}
}

func equalSets(a, b map[uint64]struct{}) bool {
	if len(a) != len(b) {
		return false
	}
	for k := range a {
		if _, ok := b[k]; !ok {
			return false
		}
	}
	return true
}

// sweepAgain goes on with a sweep when the log has room.
func (p *partition) sweepAgain() {
	p.swept = false
	p.timers.add(&timer{at: p.now().Add(flushPause).UnixMilli(), kind: timerSweep})
}

// incarnations lists every gateway incarnation that something is kept about.
func (p *partition) incarnations() map[uint64]struct{} {
	all := map[uint64]struct{}{}
	note := func(a *attachment) {
		if a != nil {
			all[a.gw.Incarnation] = struct{}{}
		}
	}
	for _, c := range p.st.clients {
		note(c.att)
		for _, o := range c.olds {
			note(o)
		}
	}
	for _, s := range p.soft {
		note(s.att)
		for _, o := range s.olds {
			note(o)
		}
	}
	for inc := range p.gateways {
		all[inc] = struct{}{}
	}
	for inc := range p.st.attaches {
		all[inc] = struct{}{}
	}
	for s := range p.st.cursors {
		if s.Kind == broker.FromGateway {
			all[s.Incarnation] = struct{}{}
		}
	}
	for k := range p.st.lanes {
		if k.session < 0 {
			all[k.incarnation] = struct{}{}
		}
	}
	return all
}

// gatewayGone ends everything of a gateway that is gone. It reports false if the log has no room for the rest now.
func (p *partition) gatewayGone(inc uint64) bool {
	if g := p.gateways[inc]; g != nil {
		if g.stream != nil {
			g.stream.end(broker.Errorf(broker.KindStale, "gateway incarnation %d is over", inc))
		}
		delete(p.gateways, inc)
	}
	for k, s := range p.soft {
		if s.att != nil && s.att.gw.Incarnation == inc {
			s.att = nil
			p.unhold(k)
		}
		s.olds = slices.DeleteFunc(s.olds, func(o *attachment) bool { return o.gw.Incarnation == inc })
		p.softTidy(k, s)
		p.settled(k)
	}
	if !p.detachGone(inc) {
		return false
	}
	p.closeLane(laneKey{session: -1, incarnation: inc})
	if _, ok := p.goneGateways[inc]; !ok && !p.dead {
		p.goneGateways[inc] = struct{}{}
		p.timers.add(&timer{at: p.now().Add(forgetTime).UnixMilli(), kind: timerForget, number: inc})
		p.slog.Debug("a gateway is gone, its connections are detached", slog.Uint64("incarnation", inc))
	}
	return true
}

// detachGone detaches the durable attachments of a gateway that is gone.
func (p *partition) detachGone(inc uint64) bool {
	type one struct {
		key  clientKey
		conn conn
	}
	var all []one
	for k, c := range p.st.clients {
		if c.att != nil && c.att.gw.Incarnation == inc {
			all = append(all, one{k, conn{inc, c.att.conn}})
		}
		for _, o := range c.olds {
			if o.gw.Incarnation == inc {
				all = append(all, one{k, conn{inc, o.conn}})
			}
		}
	}
	for _, x := range all {
		if p.dead || !p.room() {
			return false
		}
		now := p.now()
		if c := p.st.clients[x.key]; c != nil && c.att.at(inc, x.conn.n) {
			p.unhold(x.key)
		}
		if !p.commit(&detached{key: x.key, conn: x.conn, at: now.UnixMilli(), id: p.s.ids.Next(now), gone: true, reason: endGone}) {
			return false
		}
		p.settled(x.key)
	}
	return true
}

// forget lets go of what is kept about a gateway that is long gone; from now on it is refused (rule N9).
func (p *partition) forget(inc uint64) {
	for s := range p.cursors {
		if s.Kind == broker.FromGateway && s.Incarnation == inc {
			delete(p.cursors, s)
		}
	}
	delete(p.softIDs, inc)
	delete(p.goneGateways, inc)
	delete(p.lanes, laneKey{session: -1, incarnation: inc})
	if p.st.knows(inc) {
		p.commit(&forgotten{inc: inc})
	}
}
