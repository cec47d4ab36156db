package sessionstore

import (
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/route"
	"github.com/pando-mq/pando/services/session"
	"github.com/pando-mq/pando/services/topic"
)

// subscribe adds subscriptions: appended first, then announced; answered when every router has them, also if they were there before (rule N8).
func (g *gatewayStream) subscribe(c *client, r *broker.SessionRequest) {
	p := g.p
	e := &subscribed{key: c.key, max: p.s.set.MaxSubscriptions, subs: r.Subs}
	if !p.commit(e) {
		return
	}
	sess, id := c.sess, r.ID
	if only := p.exclusives(c, e); len(only) > 0 {
		p.acquireAll(only, e.results, func() { g.routed(c, sess, e, id) })
		return
	}
	p.after(func() { g.routed(c, sess, e, id) })
}

// routed answers a SUBSCRIBE that is durable, when every router has its routes, and has retained messages sent.
func (g *gatewayStream) routed(c *client, sess *session.Session, e *subscribed, id uint64) {
	p := g.p
	w := &routeWait{p: p, left: 1}
	w.done = func() {
		g.reply(broker.SessionReply{ID: id, Subs: e.results})
		for i, sub := range e.subs {
			if e.results[i].Err == nil {
				p.sendRetained(c, sess, sub, e.results[i].Existed)
			}
		}
	}
	for i, sub := range e.subs {
		if parsed, err := topic.Parse(sub.Filter); err == nil && e.results[i].Err == nil {
			w.add(shareKey(c.key.tenant, parsed))
		}
	}
	p.call(func() { w.answered(nil) })
}

// routeWait counts the routes that a SUBSCRIBE waits for.
type routeWait struct {
	p    *partition
	left int
	done func() // with the lock held
}

// add waits for one more route. Called with the lock held; the announcer may answer from inside Wait.
func (w *routeWait) add(k route.Key) {
	w.left++
	routes := w.p.own.routes
	w.p.call(func() { routes.Wait(k, w.answered) })
}

// answered counts one answer. After an error, which only the end of the ownership brings, nothing is answered.
func (w *routeWait) answered(err error) {
	if err != nil {
		return
	}
	w.p.enter()
	defer w.p.leave()
	if w.left--; w.left == 0 && !w.p.dead {
		w.done()
	}
}

// unsubscribe takes subscriptions away: here at once, at the routers some time soon.
func (g *gatewayStream) unsubscribe(c *client, r *broker.SessionRequest) {
	e := &unsubscribed{key: c.key, filters: make([]string, len(r.Subs))}
	for i, sub := range r.Subs {
		e.filters[i] = sub.Filter
	}
	if !g.p.commit(e) {
		return
	}
	id := r.ID
	g.p.after(func() { g.reply(broker.SessionReply{ID: id, Subs: e.results}) })
}
