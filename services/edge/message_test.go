package edge_test

import (
	"strings"
	"testing"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/edge"
	"github.com/pando-mq/pando/services/edge/edgetest"
	"github.com/pando-mq/pando/services/hook"
)

// Only what nobody is going to keep shares its memory with other messages.
func TestNewMessage(t *testing.T) {
	t.Parallel()
	hooks := &hook.Chains{}
	e := edgetest.New(t).Edge(t, func(_ *edge.Config, d *edge.Deps) { d.Hooks = hooks })
	long := strings.Repeat("x", broker.SlabPayload+1)
	for _, c := range []struct {
		topic, payload string
		qos            broker.QoS
		retain, shared bool
	}{
		{"a", "x", 0, false, true},
		{"a", "", 0, false, true},
		{"a", "x", 1, false, false},
		{"a", "x", 0, true, false},
		{"a", long, 0, false, false},
		{"$delayed/5/a", "x", 0, false, false},
	} {
		input := []byte(c.payload)
		m := e.NewMessage(c.topic, input, c.qos, c.retain)
		clear(input)
		if m.Topic != c.topic || string(m.Payload) != c.payload || m.QoS != c.qos || m.Retain != c.retain || m.Slab != c.shared {
			t.Errorf("%+v becomes %+v", c, m)
		}
	}
	if err := hooks.MessagePublish.Add(hook.Hook[*broker.Identity, *broker.Message]{
		Name: "keeps", Run: func(_ *broker.Identity, m *broker.Message) (*broker.Message, hook.Verdict) { return m, hook.OK },
	}); err != nil {
		t.Fatal(err)
	}
	if e.NewMessage("a", []byte("x"), 0, false).Slab {
		t.Error("a hook may keep what it sees")
	}
}
