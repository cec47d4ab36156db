package edge

import (
	"strings"

	"github.com/pando-mq/pando/services/broker"
)

// systemPrefix begins the topics by which nodes tell about themselves.
const systemPrefix = "$SYS/"

// PublishSystem routes a message of the node itself: no hook, no ACL and no quota sees it, and it is not counted as traffic. m needs Topic, Payload, QoS and
// Retain; it belongs to the edge from the call on. It never blocks: KindBusy says that the queue towards the routers is full. Any goroutine may call it.
func (e *Edge) PublishSystem(m *broker.Message) error {
	if !e.running() {
		return errStopped
	}
	if err := e.checkName(m.Topic, len(m.Topic)); err != nil {
		return err
	}
	now := e.now()
	m.ID, m.Published, m.Node = e.ids.Next(now), now, e.deps.NodeName
	var answered func(broker.PublishAck)
	if m.QoS > 0 {
		answered = func(broker.PublishAck) {}
	}
	if err := e.pub.Publish(m, nil, answered); err != nil {
		return err
	}
	e.dispatchLocal(m)
	return nil
}

// isSystem says that a message is one of a node about itself; nobody counts it as traffic.
func isSystem(topic string) bool { return strings.HasPrefix(topic, systemPrefix) }
