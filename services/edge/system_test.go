package edge_test

import (
	"testing"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/edge"
	"github.com/pando-mq/pando/services/edge/edgetest"
	"github.com/pando-mq/pando/services/hook"
)

// TestPublishSystem: no hook and no rule sees it, subscribers get it as it was published, and nobody counts it.
func TestPublishSystem(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	hooks := &hook.Chains{}
	e := b.Edge(t, func(_ *edge.Config, d *edge.Deps) { d.Hooks = hooks })
	seen := 0
	if err := hooks.MessagePublish.Add(hook.Hook[*broker.Identity, *broker.Message]{Name: "spy", Run: func(_ *broker.Identity, m *broker.Message) (*broker.Message, hook.Verdict) {
		seen++
		return m, hook.OK
	}}); err != nil {
		t.Fatal(err)
	}
	b.Auth.Deny(broker.ActionPublish, "$SYS/x")
	d, local := b.Connect(t, e, edgetest.Clean("c")), b.Connect(t, e, edgetest.Clean("local"))
	granted(t, d.Subscribe(2, "$SYS/#", "#"))
	granted(t, local.Subscribe(2, "$local/$SYS/#"))
	for qos := range broker.QoS(3) {
		if err := e.PublishSystem(&broker.Message{Topic: "$SYS/x", Payload: []byte{'0' + byte(qos)}, QoS: qos}); err != nil {
			t.Fatal(err)
		}
	}
	d.AutoAck()
	local.AutoAck()
	wantGot(t, d, "$SYS/x=0", "$SYS/x=1", "$SYS/x=2")
	wantGot(t, local, "$SYS/x=0", "$SYS/x=1", "$SYS/x=2")
	for _, which := range []edge.Counter{edge.MessagesReceived, edge.MessagesSent, edge.MessagesQoS0Sent, edge.MessagesQoS1Sent} {
		if n := e.Counters().Get(which); n != 0 {
			t.Errorf("%s is %d", which, n)
		}
	}
	if seen != 0 {
		t.Errorf("message.publish saw %d messages", seen)
	}
	if err := e.PublishSystem(&broker.Message{Topic: "$SYS/#"}); kindOf(t, err) != broker.KindInvalid {
		t.Errorf("an invalid topic: %v", err)
	}
	e.Fence()
	if err := e.PublishSystem(&broker.Message{Topic: "$SYS/x"}); kindOf(t, err) != broker.KindUnavailable {
		t.Errorf("after the end: %v", err)
	}
}
