package sessionstore

import (
	"context"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
)

// gateway is what a partition knows of one gateway incarnation.
type gateway struct {
	ref    broker.NodeRef
	node   string
	stream *gatewayStream // nil: between two streams
}

// gatewayStream is the stream of one gateway incarnation. Its fields belong to the partition's lock, but for done.
type gatewayStream struct {
	p         *partition
	g         *gateway
	h         broker.SessionHandler
	done      chan struct{}
	err       error // why it ended
	out       []parcel
	scheduled bool
}

// parcel is replies or pushes, in the order in which the partition made them.
type parcel struct {
	replies []broker.SessionReply
	pushes  []broker.Push
}

// OpenSession implements broker.Sessions.
func (s *Store) OpenSession(ctx context.Context, o broker.SessionOpen, h broker.SessionHandler) (broker.SessionStream, error) {
	p, err := s.partition(o.Partition, "open session stream")
	if err != nil {
		return nil, err
	}
	if err := s.sees(ctx, o.Gateway.Incarnation); err != nil {
		return nil, err
	}
	return p.openSession(o, h)
}

// syncLimit bounds the wait for a view that shows a new gateway.
const syncLimit = 2 * time.Second

// sees reports an error unless a gateway incarnation is alive in the view (rule R6). One that is newer than the view is waited for, for a short time.
func (s *Store) sees(ctx context.Context, inc uint64) error {
	v := s.deps.Cluster.View()
	if v.Revision < inc {
		ctx, cancel := context.WithTimeout(ctx, syncLimit)
		defer cancel()
		if newer, err := s.deps.Cluster.Sync(ctx, inc); err == nil {
			v = newer
		}
	}
	if !alive(v, inc) {
		return broker.Errorf(broker.KindStale, "gateway incarnation %d is not in view", inc)
	}
	return nil
}

// alive reports whether a view shows a gateway incarnation.
func alive(v *cluster.View, inc uint64) bool {
	n, ok := v.ByIncarnation(inc)
	return ok && n.Role == cluster.Gateway
}

// gone reports whether a gateway incarnation existed once and does not any more. Incarnations are compared, not the presence of a key (rule R6).
func gone(v *cluster.View, inc uint64) bool { return inc <= v.Revision && !alive(v, inc) }

func (p *partition) openSession(o broker.SessionOpen, h broker.SessionHandler) (broker.SessionStream, error) {
	p.enter()
	defer p.leave()
	if !p.serving {
		return nil, broker.E(broker.KindNotOwner, "open session stream", nil)
	}
	g := p.gateways[o.Gateway.Incarnation]
	if g == nil {
		g = &gateway{}
		p.gateways[o.Gateway.Incarnation] = g
	}
	if g.stream != nil {
		g.stream.end(broker.Errorf(broker.KindStale, "a newer stream of the same gateway replaced it"))
	}
	g.ref, g.node = o.Gateway, o.NodeName
	g.stream = &gatewayStream{p: p, g: g, h: h, done: make(chan struct{})}
	stream := g.stream
	p.notice(o.Gateway.Incarnation)
	p.after(func() {
		if g.stream == stream {
			p.repeatKicks(g)
		}
	})
	return stream, nil
}

// repeatKicks kicks every superseded connection of a gateway that has not answered yet.
func (p *partition) repeatKicks(g *gateway) {
	for k, c := range p.st.clients {
		for _, o := range c.olds {
			if o.gw.Incarnation == g.ref.Incarnation {
				p.kickOld(k, o)
			}
		}
	}
	for k, c := range p.soft {
		for _, o := range c.olds {
			if o.gw.Incarnation == g.ref.Incarnation {
				p.kickOld(k, o)
			}
		}
	}
}

// Epoch implements broker.SessionStream.
func (g *gatewayStream) Epoch() uint64 { return g.p.epoch }

// Done implements broker.SessionStream.
func (g *gatewayStream) Done() <-chan struct{} { return g.done }

// Err implements broker.SessionStream.
func (g *gatewayStream) Err() error {
	g.p.mu.Lock()
	defer g.p.mu.Unlock()
	return g.err
}

// Close implements broker.SessionStream.
func (g *gatewayStream) Close() {
	g.p.enter()
	defer g.p.leave()
	g.end(broker.E(broker.KindUnavailable, "session stream closed", nil))
}

// Send implements broker.SessionStream.
func (g *gatewayStream) Send(batch []broker.SessionRequest) error {
	p := g.p
	p.enter()
	defer p.leave()
	if g.err != nil {
		return g.err
	}
	taken := p.take(requestsSize(batch), func() {
		for i := range batch {
			if g.err != nil {
				return
			}
			g.handle(&batch[i])
		}
	})
	if !taken {
		g.end(broker.E(broker.KindBusy, "too many requests wait for the log", nil))
		return g.err
	}
	return nil
}

// requestsSize is about what a batch holds in memory.
func requestsSize(batch []broker.SessionRequest) (n int) {
	for i := range batch {
		r := &batch[i]
		n += 256 + len(r.ClientID) + 128*len(r.Subs)
		if r.Publish2 != nil && r.Publish2.Msg != nil {
			n += r.Publish2.Msg.Size()
		}
		if r.Attach != nil && r.Attach.Will != nil && r.Attach.Will.Msg != nil {
			n += r.Attach.Will.Msg.Size()
		}
	}
	return n
}

// end ends the stream. What it was told and what was pushed on it may be lost with it: its clients wait to be announced again.
func (g *gatewayStream) end(err error) {
	if g.err != nil {
		return
	}
	g.err, g.out = err, nil
	if g.g.stream == g {
		g.g.stream = nil
		for _, c := range g.p.st.clients {
			if c.att != nil && c.att.gw.Incarnation == g.g.ref.Incarnation {
				c.ready = false
			}
		}
	}
	g.p.call(func() { close(g.done) })
}

func (g *gatewayStream) reply(r broker.SessionReply) {
	if g.err != nil {
		return
	}
	if n := len(g.out); n > 0 && g.out[n-1].pushes == nil {
		g.out[n-1].replies = append(g.out[n-1].replies, r)
	} else {
		g.out = append(g.out, parcel{replies: []broker.SessionReply{r}})
	}
	g.schedule()
}

func (g *gatewayStream) push(x broker.Push) {
	if g.err != nil {
		return
	}
	if n := len(g.out); n > 0 && g.out[n-1].replies == nil {
		g.out[n-1].pushes = append(g.out[n-1].pushes, x)
	} else {
		g.out = append(g.out, parcel{pushes: []broker.Push{x}})
	}
	g.schedule()
}

func (g *gatewayStream) schedule() {
	if !g.scheduled {
		g.scheduled = true
		g.p.call(g.deliver)
	}
}

// deliver hands over everything that gathered. It runs without the lock, one call at a time.
func (g *gatewayStream) deliver() {
	g.p.mu.Lock()
	out := g.out
	g.out, g.scheduled = nil, false
	g.p.mu.Unlock()
	for _, x := range out {
		if x.replies != nil {
			g.h.Replies(x.replies)
		} else {
			g.h.Pushes(x.pushes)
		}
	}
}
