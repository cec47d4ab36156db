package edge

import (
	"log/slog"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/hook"
	"github.com/pando-mq/pando/services/session"
)

// closeGrace is how long packets that were received before the end may still wait for decisions.
const closeGrace = 5 * time.Second

// Disconnect notes that the client said goodbye. Nothing is delivered any more; the gateway closes the socket and calls Closed.
func (c *Conn) Disconnect(d Disconnect) {
	if c.ended {
		return
	}
	c.ended, c.over, c.reason = true, d, d.Reason
	if d.Reason == "" {
		c.reason = "normal"
	}
}

// SetExpiry changes how long the session outlives the connection. A session that ends with it stays so (MQTT 5.0 §3.14.2.2.2).
func (c *Conn) SetExpiry(d time.Duration, done func(error)) {
	if c.clean || c.phase != phaseOpen {
		done(broker.E(broker.KindInvalid, "session ends with its connection", nil))
		return
	}
	r := c.request(broker.OpSetExpiry)
	r.Expiry = min(max(d, 0), c.e.set.Load().ExpiryInterval)
	c.part.send(r, func(reply *broker.SessionReply) {
		err := reply.Err
		c.post(func() { c.tell(func() { done(err) }) })
	})
}

// Closed ends the connection: the last call, once, after Connect in any state. reason counts if nothing else ended the connection before: "closed", "timeout", ...
// Packets that were received before are still worked off.
func (c *Conn) Closed(reason string) {
	if !c.ended {
		c.ended, c.reason = true, reason
	}
	c.shut = true
	c.e.wheel.forget(&c.timer)
	switch {
	case c.connecting != nil:
		c.connecting.abandoned = true
		c.connecting.gone.Store(true)
		c.leaveExchange()
	case c.phase == phaseRefused:
		c.e.stats.removeConnection(c.e)
	default:
		c.enter(0, c.finish)
		if c.gate.busy {
			c.after(closeGrace, c.finish)
		}
	}
	c.settleKick()
	c.takeOver()
	c.retire()
}

// superseded ends a connection before its CONNACK: its client id was taken over, or the process stops.
func (c *Conn) superseded(code KickCode) {
	if c.connecting == nil {
		return
	}
	kind := broker.KindUnavailable
	if code == KickTakenOver || code == KickAdmin {
		kind = broker.KindConflict
	}
	c.ended, c.reason, c.over.DropWill = true, code.String(), true
	c.detach(c.detachment())
	c.refuse(broker.E(kind, code.String(), nil))
}

// finish ends the session's part of the connection.
func (c *Conn) finish() {
	c.mu.Lock()
	done := c.gone
	c.gone = true
	c.mu.Unlock()
	if done {
		return
	}
	c.endSession()
	c.detach(c.detachment())
	c.settleKick()
	c.retire()
	now := c.e.now()
	c.e.hooks.ClientDisconnected.Run(hook.Disconnected{Client: c.id, Reason: c.reason, At: now}, hook.None{}, ignore)
	if c.clean {
		c.e.stats.sessions.Add(-1)
		c.e.hooks.SessionTerminated.Run(hook.Terminated{Client: c.id, Reason: c.reason}, hook.None{}, ignore)
	}
	c.e.log.Debug("client disconnected", slog.String("client_id", c.id.ClientID), slog.String("reason", c.reason))
	c.e.metrics.closed(c.reason)
	c.e.stats.opened.Add(-1)
	c.e.stats.removeConnection(c.e)
}

// endSession lets go of everything that is queued here. A clean session's subscriptions end; what it leaves of shared ones goes to other members.
func (c *Conn) endSession() {
	c.mu.Lock()
	sess := c.sess
	var left []session.Leftover
	lost, subs := len(c.pushes), 0
	if sess != nil {
		left = sess.Leftover()
		live, _ := sess.Window()
		lost, subs = sess.Queued()+live-len(left), sess.Info().Subscriptions
	} else if !c.clean {
		lost = 0 // the session partition has them, but for QoS 0
		for i := range c.pushes {
			if c.pushes[i].Op == broker.PushPublish && c.pushes[i].PacketID == 0 {
				lost++
			}
		}
	}
	c.sess, c.pushes, c.pushBytes, c.stash = nil, nil, 0, nil
	if c.stopRead != nil {
		c.stopRead()
	}
	c.mu.Unlock()
	c.e.dropped(DropDisconnected, max(0, lost))
	if sess != nil && (subs <= routesAtOnce || !c.e.tasks.spawn(func() { c.removeRoutes(sess) })) {
		c.removeRoutes(sess)
	}
	if !c.e.over() {
		c.e.again.all(left)
	}
}

// routesAtOnce is how many routes of a session end on the executor. A million take it five seconds.
const routesAtOnce = 1000

// removeRoutes ends the routes of a session that has ended. Nobody else uses the session any more.
func (c *Conn) removeRoutes(sess *session.Session) {
	for _, s := range sess.Subscriptions() {
		if c.e.over() { // they end with the edge
			return
		}
		c.removeRoute(gone{full: s.Filter, grant: sess.Granted(s.Filter)})
	}
}

// detachment says how the connection ended.
func (c *Conn) detachment() broker.Detach {
	d := broker.Detach{Reason: c.reason, DropWill: c.over.DropWill || c.will.denied, At: c.e.now()}
	if c.over.HasExpiry && !c.clean {
		d.HasExpiry, d.Expiry = true, min(max(c.over.Expiry, 0), c.e.set.Load().ExpiryInterval)
	}
	return d
}

// detach gives the client id back.
func (c *Conn) detach(d broker.Detach) {
	c.mu.Lock()
	was := c.attached
	c.attached = false
	c.mu.Unlock()
	if c.part == nil {
		return
	}
	if !was || c.e.over() {
		c.part.leave(c)
		return
	}
	r := c.request(broker.OpDetach)
	r.Detach = &d
	c.part.send(r, func(*broker.SessionReply) {
		c.mu.Lock()
		c.detached = true
		c.mu.Unlock()
		c.retire()
	})
}

// retire forgets the connection when its Detach is answered and its publishes are too: until then a kick finds it and waits for them. Any goroutine may call it.
func (c *Conn) retire() {
	c.mu.Lock()
	ok := c.detached && c.closed && c.answers[0].empty() && c.answers[1].empty()
	c.mu.Unlock()
	if ok {
		c.part.leave(c)
	}
}
