package sessionstore

import (
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/session"
)

// plan is what becomes of one delivery.
type plan struct {
	refs   []ref       // sessions whose copy is logged
	zero   []zeroGrant // sessions that get it with QoS 0
	copies []copyTo    // copies of shared groups for members elsewhere
	result broker.Result
}

type zeroGrant struct {
	c     *client
	grant session.Grant
}

func (x *plan) add(c *client, g session.Grant) {
	if g.QoS == 0 {
		x.zero = append(x.zero, zeroGrant{c: c, grant: g})
	} else {
		x.refs = append(x.refs, ref{client: c.number, grant: g})
	}
}

// plan decides who gets a delivery. NoSub is said only when no filter matches: a match that nobody wants (No Local, $local/) must not cost the route.
func (p *partition) plan(d *deliverStream, x *broker.Delivery) plan {
	var out plan
	found := false
	if x.Plain {
		for hits := p.match(x.Msg); len(hits) > 0; {
			var c *client
			c, p.filters, hits = first(hits, p.filters[:0])
			found = true
			if g, ok := c.sess.MatchBy(x.Msg, c.node(), p.filters...); ok {
				out.add(c, g)
			}
		}
	}
	for _, s := range x.Shares {
		if d.forward {
			if c, g, ok := p.member(s.Share, x.Msg); ok {
				out.add(c, g)
				found = true
			}
			continue
		}
		found = p.planShare(&out, x.Msg, s) || found
	}
	switch {
	case found:
		out.result = broker.OK
	case x.Plain:
		out.result = broker.NoSub
	default:
		out.result = broker.NoReceiver
	}
	return out
}

// planShare decides where the copy of a group goes whose home is here. It reports false if nobody can take it.
func (p *partition) planShare(out *plan, m *broker.Message, s broker.ShareCopy) bool {
	to := p.choose(m, s.Share, s.Candidates, nil)
	switch to.kind {
	case toNobody:
		return false
	case toMember:
		c := p.st.numbers[to.ref.client]
		out.add(c, to.ref.grant)
	case toLane:
		if m.QoS == 0 && p.st.laneBytes > int(p.s.cfg.MaxOutbox) {
			p.s.metrics.dropped.WithLabelValues("shared_full").Inc()
			break
		}
		out.copies = append(out.copies, copyTo{to: to, share: s.Share})
	}
	return true
}

// remembered keeps, for the copies that went into lanes, who else could take them.
func (p *partition) remembered(e *delivered, x *broker.Delivery) {
	for i := range e.copies {
		c := &e.copies[i]
		if c.to.kind != toLane {
			continue
		}
		for _, s := range x.Shares {
			if s.Share == c.share {
				p.lane(c.to.lane).tries[c.seq] = trial{candidates: s.Candidates, tried: []laneKey{c.to.lane}}
			}
		}
	}
}

// hit is an ordinary subscription that matches: inner filter and session.
type hit struct {
	c      *client
	filter string
}

// first takes the hits of the first session off and appends their filters.
func first(hits []hit, filters []string) (*client, []string, []hit) {
	c := hits[0].c
	for len(hits) > 0 && hits[0].c == c {
		filters, hits = append(filters, hits[0].filter), hits[1:]
	}
	return c, filters, hits
}
