package edge

import (
	"context"

	"github.com/pando-mq/pando/services/broker"
)

// maxAuthSteps is how many messages of the client one enhanced authentication has: SCRAM needs two, and one more if the client lets the server begin.
const maxAuthSteps = 4

// exchange is the enhanced authentication of a connection (MQTT 5.0 §4.12): the one before CONNACK, and later ones. It belongs to the executor.
//
//	Connect ── Exchange ──► challenge ──► device ── AuthContinue ──► Exchange ──► identity: as after Authenticate
//	Reauthenticate ── Exchange ──► challenge ── AuthContinue ── Exchange ──► done
type exchange struct {
	method    string
	cred      broker.Credentials // of CONNECT
	challenge func(data []byte)
	done      func(data []byte, err error) // of a later one; nil before CONNACK
	state     []byte                       // for the next step
	steps     int
	asked     bool // authsvc has a step
	waiting   bool // for the device
}

// newExchange is the exchange that a CONNECT asks for; nil: none.
func newExchange(req *ConnectRequest, cred *broker.Credentials) *exchange {
	if req.AuthMethod == "" {
		return nil
	}
	return &exchange{method: req.AuthMethod, cred: *cred, challenge: req.Challenge}
}

// AuthContinue goes on with the device's answer to a challenge. Call it only after ConnectRequest.Challenge was called, once.
func (c *Conn) AuthContinue(data []byte) {
	if x := c.exchange; x != nil && x.waiting {
		x.waiting = false
		c.step(data)
	}
}

// Reauthenticate begins to authenticate a connection again, by the method of its CONNECT, while everything else goes on. done is called once, on the
// executor, unless Closed was called before; with an error the connection must end. KindUnauthenticated, KindDenied (somebody else, or other rights),
// KindBusy, KindUnavailable. KindInvalid: the connection has no method, or is authenticating already.
func (c *Conn) Reauthenticate(data []byte, done func(data []byte, err error)) {
	x := c.exchange
	if c.phase != phaseOpen || x == nil || x.asked || x.waiting {
		done(nil, broker.E(broker.KindInvalid, "authenticate again", nil))
		return
	}
	x.done, x.state, x.steps = done, nil, 0
	c.step(data)
}

// step has authsvc take one step.
func (c *Conn) step(data []byte) {
	x := c.exchange
	x.asked = true
	x.steps++
	if x.steps > maxAuthSteps {
		c.post(func() {
			c.stepped(nil, broker.E(broker.KindUnauthenticated, "authentication takes too many steps", nil))
		})
		return
	}
	s := &broker.AuthStep{Credentials: &x.cred, Method: x.method, Data: data, State: x.state}
	ok := c.inquire(func(ctx context.Context, err error) {
		var answer *broker.AuthAnswer
		if err == nil {
			answer, err = c.e.deps.Auth.Exchange(ctx, s)
		}
		c.post(func() { c.stepped(answer, err) })
	})
	if !ok {
		c.post(func() { c.stepped(nil, errCrowd) })
	}
}

// stepped goes on with authsvc's answer.
func (c *Conn) stepped(answer *broker.AuthAnswer, err error) {
	x := c.exchange
	x.asked = false
	if err == nil && answer == nil {
		err = broker.E(broker.KindInternal, "a step was answered with nothing", nil)
	}
	switch {
	case x.done == nil && c.abandon(): // the device is gone
	case c.ended:
		x.waiting = x.done == nil // for Closed
	case err == nil && answer.Identity == nil:
		x.state, x.waiting = answer.State, true
		x.challenge(answer.Data)
	case x.done != nil:
		c.proven(answer, err)
	case err != nil:
		c.authenticated(nil, err)
	default:
		c.connecting.result.AuthData = answer.Data
		c.authenticated(answer.Identity, nil)
	}
}

// proven ends a later authentication. A connection stays with the identity it has: subscriptions, session and decisions are that one's.
func (c *Conn) proven(answer *broker.AuthAnswer, err error) {
	x := c.exchange
	done := x.done
	x.done, x.state = nil, nil
	if err != nil {
		err = asError(err, broker.KindUnavailable, "authenticate again")
		c.e.metrics.refusedConnect(broker.KindOf(err))
		done(nil, err)
		return
	}
	if id := answer.Identity; id.Username != c.id.Username || id.Superuser != c.id.Superuser || id.Tenant != c.id.Tenant {
		c.e.metrics.refusedConnect(broker.KindDenied)
		done(nil, broker.E(broker.KindDenied, "authenticate again: as somebody else", nil))
		return
	}
	done(answer.Data, nil)
}

// leaveExchange ends an attempt to connect that waits for nobody but the device, which is gone.
func (c *Conn) leaveExchange() {
	if x := c.exchange; x != nil && x.waiting {
		x.waiting = false
		c.abandon()
	}
}
