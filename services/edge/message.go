package edge

import (
	"strings"
	"sync"

	"github.com/pando-mq/pando/services/broker"
)

// slabs are not in use: *broker.Slab.
var slabs = sync.Pool{New: func() any { return new(broker.Slab) }}

// NewMessage makes a message for [Publish] from what a gateway has in its input buffer: payload is copied, topic is kept. What nobody is going to keep for
// long shares its memory with others. Any goroutine may call it.
func (e *Edge) NewMessage(topic string, payload []byte, qos broker.QoS, retain bool) *broker.Message {
	var m *broker.Message
	if qos == 0 && !retain && len(payload) <= broker.SlabPayload && !strings.HasPrefix(topic, "$") && e.passing() {
		s := slabs.Get().(*broker.Slab)
		m = s.New(payload)
		slabs.Put(s)
	} else {
		m = broker.NewMessage(payload)
	}
	m.Topic, m.QoS, m.Retain = topic, qos, retain
	return m
}

// passing says that no hook sees messages: nobody knows what a hook keeps.
func (e *Edge) passing() bool {
	return e.hooks.MessagePublish.Empty() && e.hooks.MessageDelivered.Empty()
}
