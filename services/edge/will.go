package edge

import (
	"cmp"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/topic"
)

// willState is what the gateway knows of a connection's will, and of its attachment.
//
// The will goes with the Attach to the session partition, which publishes it. Whether the client may publish it is decided when it connects: a denied will is
// left out, and the gateway told so. When rules change while the client is connected the decision is taken again, and the connection's Detach drops a
// will that has become denied; only the death of the whole gateway publishes a will on the decision of the connect.
type willState struct {
	topic  string // without the mount point; "" without a will
	denied bool   // by a later decision
	attach *broker.Attach
}

// prepareWill checks a will and goes on with attach.
func (c *Conn) prepareWill(w *broker.Will) {
	name := w.Msg.Topic
	if err := cmp.Or(c.e.checkName(name, len(c.mount)+len(name)), c.shallow(name)); err != nil || w.Msg.QoS > 2 {
		c.refuse(asError(err, broker.KindInvalid, "will"))
		return
	}
	if c.id.Superuser {
		c.attachWithWill(w)
		return
	}
	_, inner := topic.SplitDelayed(name)
	c.ask(broker.ActionPublish, []string{inner}, func(ds []broker.Decision, err error) {
		switch {
		case c.abandon():
		case err != nil:
			c.refuse(err)
		case !ds[0].Allow:
			c.connecting.result.WillDenied = true
			c.e.metrics.deniedAction(broker.ActionPublish)
			c.attach(nil)
		default:
			c.attachWithWill(w)
		}
	})
}

// attachWithWill goes on with a will that is allowed.
func (c *Conn) attachWithWill(w *broker.Will) {
	m := *w.Msg
	c.will.topic = m.Topic
	prefix, inner := topic.SplitDelayed(m.Topic)
	m.Topic = prefix + c.mount + inner
	m.Tenant, m.From, m.Username, m.Node = c.id.Tenant, c.id.ClientID, c.id.Username, c.e.deps.NodeName
	c.attach(&broker.Will{Msg: &m, Delay: w.Delay, Expiry: w.Expiry})
}
