package sessionstore

import (
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/session"
)

// watermarks reports the queue of a client that passed a watermark since the last look, or is gone. Called with the lock held: the receiver is told without
// it, in order.
func (p *partition) watermarks(c *client) {
	if c.alarm != c.sess {
		p.calm(c)
	}
	if c.sess == nil || p.s.deps.QueueAlarm == nil {
		return
	}
	switch mark := c.sess.Mark(); {
	case mark == session.MarkHigh && c.alarm == nil:
		c.alarm = c.sess
		p.tellAlarm(c, true, c.sess.Queued())
	case mark == session.MarkLow:
		p.calm(c)
	}
}

// calm ends the alarm of a client's queue, if there is one.
func (p *partition) calm(c *client) {
	if c.alarm != nil {
		queued := c.alarm.Queued()
		c.alarm = nil
		p.tellAlarm(c, false, queued)
	}
}

// calmAll ends the alarms of a partition that ends here; its next owner raises those that still hold.
func (p *partition) calmAll() {
	for _, c := range p.st.clients {
		p.calm(c)
	}
}

func (p *partition) tellAlarm(c *client, high bool, queued int) {
	id, hear := &broker.Identity{Tenant: c.key.tenant, ClientID: c.key.id, Username: c.user}, p.s.deps.QueueAlarm
	p.call(func() { hear(id, high, queued) })
}
