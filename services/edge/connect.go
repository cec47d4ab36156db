package edge

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/hook"
	"github.com/pando-mq/pando/services/session"
)

// assignedPrefix begins the client ids that are made here.
const assignedPrefix = "pando_"

// holdTime is how long publishes wait for the gateway of an older connection.
const holdTime = time.Second

// attachTimeout is how long a CONNECT waits for its session partition.
const attachTimeout = 20 * time.Second

// connecting is what a connection needs until CONNACK:
//
//	Connect ─ admit ─ Authenticate (or Exchange, in steps) ─ mount point ─ will's ACL ─ Attach ─ client.connected ─ open
//	             └─────────┴─────────────────────────────────────┴────────────┴──────────┴──────────┴──► refuse
type connecting struct {
	req       *ConnectRequest
	done      func(ConnectResult)
	result    ConnectResult
	abandoned bool        // Closed was called before the end
	gone      atomic.Bool // the same, for who asks authsvc
	timer     *time.Timer
}

// Connect begins to connect a device. It returns at once; done is called later, on the executor, unless Closed was called before. Kinds of the
// result's error: KindUnauthenticated, KindDenied, KindInvalid (client id, mount point, will), KindQuota (max_connections), KindBusy, KindUnavailable,
// KindConflict and KindStale (a newer connection of the client id came in between), KindNotFound (the method of an enhanced authentication is not known).
func (e *Edge) Connect(dev Device, req *ConnectRequest, done func(ConnectResult)) *Conn {
	id := identityOf(&req.Credentials)
	c := &Conn{e: e, dev: dev, number: e.next.Add(1), id: id, resend: req.Resend, connecting: &connecting{req: req, done: done}}
	c.timer.c, c.runner = c, c.run
	e.stats.addConnection()
	if id.ClientID == "" {
		id.ClientID = assignedPrefix + strings.ToLower(rand.Text())
		c.connecting.result.Assigned = true
	}
	if err := e.admit(id); err != nil {
		c.post(func() { c.refuse(err) })
		return c
	}
	cred := req.Credentials
	cred.ClientID = id.ClientID
	if c.exchange = newExchange(req, &cred); c.exchange != nil {
		c.step(req.AuthData)
		return c
	}
	ok := c.inquire(func(ctx context.Context, err error) {
		var id *broker.Identity
		if err == nil {
			id, err = e.deps.Auth.Authenticate(ctx, &cred)
		}
		c.post(func() { c.authenticated(id, err) })
	})
	if !ok {
		c.post(func() { c.refuse(errCrowd) })
	}
	return c
}

var errCrowd = broker.E(broker.KindBusy, "too many clients connect at once", nil)

// inquire runs fn among the questions of CONNECTs, each of which has auth.timeout from now on, waiting included. err says that nothing is to be asked any more: the
// device is gone, or has waited too long. So who is turned away by a flood costs nothing, and what a flood leaves behind is over after auth.timeout. false:
// too many wait.
func (c *Conn) inquire(fn func(ctx context.Context, err error)) bool {
	ctx, cancel := context.WithTimeout(c.e.ctx, c.e.cfg.Auth.Timeout)
	k := c.connecting
	ok := c.e.connect.submit(func() {
		defer cancel()
		if k != nil && k.gone.Load() || errors.Is(ctx.Err(), context.DeadlineExceeded) {
			fn(ctx, errCrowd)
			return
		}
		fn(ctx, nil)
	})
	if !ok {
		cancel()
	}
	return ok
}

// identityOf is what is known before authentication.
func identityOf(cred *broker.Credentials) *broker.Identity {
	return &broker.Identity{
		Tenant: cred.Tenant, ClientID: cred.ClientID, Username: cred.Username, Peer: cred.Peer, Protocol: cred.Protocol, Version: cred.Version,
		Listener: cred.Listener, CertCN: cred.CertCN, CertDN: cred.CertDN,
	}
}

// admit checks what needs nobody else.
func (e *Edge) admit(id *broker.Identity) error {
	switch {
	case !e.running():
		return errStopped
	case e.cfg.MaxConnections > 0 && e.stats.connections.Load() > int64(e.cfg.MaxConnections):
		return broker.E(broker.KindQuota, "too many connections", nil)
	case len(id.ClientID) > e.cfg.MaxClientIDLen:
		return broker.E(broker.KindInvalid, "client id too long", nil)
	}
	return nil
}

// authenticated goes on with the answer of Authenticate.
func (c *Conn) authenticated(id *broker.Identity, err error) {
	if c.abandon() {
		return
	}
	if err != nil {
		c.refuse(asError(err, broker.KindUnavailable, "authenticate"))
		return
	}
	known := *id
	if known.ClientID == "" {
		known.ClientID = c.id.ClientID
	}
	c.id = &known
	if err := c.e.admit(&known); err != nil {
		c.refuse(err)
		return
	}
	req := c.connecting.req
	c.levels = req.MaxLevels
	if c.mount, err = mountpoint(req.Mountpoint, &known); err != nil {
		c.refuse(err)
		return
	}
	if req.Will == nil {
		c.attach(nil)
		return
	}
	c.prepareWill(req.Will)
}

// attach asks the session partition for the client id.
func (c *Conn) attach(will *broker.Will) {
	e, req := c.e, c.connecting.req
	expiry := min(max(req.Expiry, 0), e.set.Load().ExpiryInterval)
	keepAlive := req.KeepAlive
	if limit := e.cfg.MaxKeepAlive; limit > 0 && !req.KeepAliveFixed && (keepAlive == 0 || keepAlive > limit) {
		keepAlive = limit
	}
	c.clean = expiry == 0
	c.connecting.result.Expiry, c.connecting.result.KeepAlive = expiry, keepAlive
	now := e.now()
	c.Stats.connected, c.Stats.keepAlive, c.Stats.expiry, c.Stats.cleanStart = now, keepAlive, expiry, req.CleanStart
	c.part = e.parts[cluster.Partition(c.id.Tenant, c.id.ClientID, len(e.parts))]
	r := c.request(broker.OpAttach)
	r.Attach = &broker.Attach{
		Identity: *c.id, CleanStart: req.CleanStart, Expiry: expiry, Window: e.set.Load().Window(req.ReceiveMax),
		KeepAlive: keepAlive, MaxPacket: req.MaxPacket, Will: will, At: now,
	}
	c.will.attach = r.Attach
	c.part.join(c)
	c.connecting.timer = time.AfterFunc(attachTimeout, func() { c.post(c.attachLate) })
	c.part.send(r, func(reply *broker.SessionReply) {
		if reply.Err == nil && reply.Attach != nil {
			c.mu.Lock()
			c.epoch, c.attached = reply.Attach.Epoch, true
			if reply.Attach.Present { // an existing session goes on at its partition, also when it ends with this connection (expiry 0)
				c.clean = false
			}
			c.mu.Unlock()
			c.part.attached(c, c.key(), reply.Attach.Epoch)
		}
		answer, err := reply.Attach, reply.Err
		c.post(func() { c.attachAnswered(answer, err) })
	})
}

// attachLate ends an attempt whose session partition does not answer. An answer that comes later is answered with a Detach.
func (c *Conn) attachLate() {
	if c.connecting == nil || c.connecting.timer == nil {
		return
	}
	c.over.DropWill = true
	c.refuse(broker.E(broker.KindUnavailable, "session partition does not answer", nil))
}

// attachAnswered goes on with the answer of the session partition.
func (c *Conn) attachAnswered(a *broker.AttachReply, err error) {
	if k := c.connecting; k != nil && k.timer != nil {
		k.timer.Stop()
		k.timer = nil
	}
	if err == nil && a == nil {
		err = broker.E(broker.KindInternal, "attach answered with nothing", nil)
	}
	if err != nil {
		c.part.leave(c)
		c.refuse(asError(err, broker.KindUnavailable, "attach"))
		return
	}
	if c.connecting == nil { // ended meanwhile
		c.over.DropWill = true
		c.detach(c.detachment())
		return
	}
	if c.abandon() {
		return
	}
	if a.Delay > 0 {
		next := *a
		next.Delay = 0
		c.after(min(a.Delay, 10*time.Second), func() { c.attachAnswered(&next, nil) })
		return
	}
	c.connecting.result.SessionPresent = a.Present
	c.begin(a)
	info := hook.Connected{
		Client: c.id, CleanStart: c.connecting.req.CleanStart, SessionPresent: a.Present, KeepAlive: c.connecting.result.KeepAlive, At: c.Stats.connected,
	}
	_, r, ready := c.e.hooks.ClientConnected.Run(info, hook.None{}, func(_ hook.None, r hook.Result) { c.post(func() { c.decided(r) }) })
	if ready {
		c.decided(r)
	}
}

// begin makes the session's part of the connection ready.
func (c *Conn) begin(a *broker.AttachReply) {
	req := c.connecting.req
	c.mu.Lock()
	if c.clean {
		c.sess = session.New(c.e.set.Load().Settings, c.id.ClientID, c.e.now())
		c.sess.Attach(c.e.set.Load().Window(req.ReceiveMax), c.e.now())
	}
	for _, s := range a.Subs {
		c.setSub(s)
	}
	c.mu.Unlock()
	c.recheck = len(a.Subs) > 0 && !c.id.Superuser
	c.checked = c.e.rules.Load()
	if a.HoldPublishes {
		c.holding = true
		c.after(holdTime, func() { c.settled(true) })
	}
	if p := &c.e.set.Load().publish; p.MaxRate > 0 || p.MaxByteRate > 0 {
		c.rate = &rate{maxMessages: p.MaxRate, maxByteSum: float64(p.MaxByteRate)}
	}
}

// decided ends connecting, after client.connected.
func (c *Conn) decided(r hook.Result) {
	switch {
	case c.abandon():
		return
	case r == hook.Refused:
		c.detach(broker.Detach{Reason: "refused", DropWill: true, At: c.e.now()})
		c.refuse(broker.E(broker.KindUnavailable, "a hook refused", nil))
		return
	}
	k := c.connecting
	c.connecting, c.phase = nil, phaseOpen
	c.e.stats.opened.Add(1)
	if c.clean {
		c.e.stats.sessions.Add(1)
	}
	c.startClock(k)
	k.result.Identity = c.id
	k.done(k.result)
	if !k.result.SessionPresent {
		c.e.hooks.SessionCreated.Run(c.id, hook.None{}, ignore)
	}
	c.e.log.Debug("client connected", slog.String("client_id", c.id.ClientID), slog.String("peer", c.id.Peer.String()))
	c.review()
	c.wake()
}

// ignore is for points whose outcome changes nothing.
func ignore(hook.None, hook.Result) {}

// startClock begins to watch keep-alive, the credentials' end and repeats.
func (c *Conn) startClock(k *connecting) {
	if k.result.KeepAlive > 0 {
		c.period.Store(int64(float64(k.result.KeepAlive.Milliseconds()) * c.e.cfg.KeepaliveBackoff * 2))
	}
	if !c.id.Expires.IsZero() {
		c.expires = max(1, c.id.Expires.UnixMilli())
	}
	if retry := c.e.set.Load().RetryInterval; c.resend && retry > 0 {
		c.retry.Store(c.e.now().Add(retry).UnixMilli())
	}
	c.Touch()
	c.e.wheel.watch(&c.timer)
}

// refuse ends connecting with an error.
func (c *Conn) refuse(err error) {
	k := c.connecting
	if k == nil {
		return
	}
	c.connecting, c.phase = nil, phaseRefused
	info := hook.Connected{Client: c.id, Err: err, CleanStart: k.req.CleanStart, KeepAlive: k.req.KeepAlive, At: c.e.now()}
	c.e.hooks.ClientConnected.Run(info, hook.None{}, ignore)
	c.e.metrics.refusedConnect(broker.KindOf(err))
	if k.abandoned {
		c.e.stats.removeConnection(c.e)
		return
	}
	k.result.Err, k.result.Identity = err, c.id
	k.done(k.result)
}

// abandon reports whether the device is gone already, and ends the attempt then: CONNACK was never sent, so a will is not published.
func (c *Conn) abandon() bool {
	if c.connecting == nil || !c.connecting.abandoned {
		return c.connecting == nil
	}
	c.connecting, c.phase = nil, phaseRefused
	c.detach(broker.Detach{Reason: "closed", DropWill: true, At: c.e.now()})
	c.e.stats.removeConnection(c.e)
	return true
}

// asError gives an error of another service a kind that clients may be told; what has one keeps it.
func asError(err error, kind broker.Kind, op string) error {
	switch k := broker.KindOf(err); k {
	case broker.KindInternal, broker.KindCanceled:
		return broker.E(kind, op, err)
	default:
		return broker.E(k, op, err)
	}
}
