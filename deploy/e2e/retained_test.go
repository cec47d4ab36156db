package e2e

import (
	"strings"
	"testing"

	"github.com/eclipse/paho.golang/paho"
)

// late gives the retained messages that a new subscriber gets, behind which a fence comes.
func late(t *testing.T, k kind, qos byte, filter string, want ...string) {
	t.Helper()
	c := k.connect(t, connect{Place: 1})
	c.Subscribe(t, qos, filter)
	if len(want) > 0 {
		expectAll(t, c, want...)
	}
	fence(t, c, paho3(t, 4, connect{}), strings.ReplaceAll(strings.ReplaceAll(filter, "#", "fence"), "+", "fence"))
}

// The last retained message of a topic is kept, replaced, cleared by an empty one, and found by every filter that matches.
func TestRetained(t *testing.T) {
	t.Parallel()
	for _, k := range kinds() {
		t.Run(strings.ReplaceAll(k.name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			base := unique("e2e/retained")
			live, pub := paho5(t, connect{}), k.connect(t, connect{})
			live.subscribe(t, nil, paho.SubscribeOptions{Topic: base + "/#", QoS: 2, RetainHandling: 2}) // none that is stored: only what is published now
			for i, topic := range []string{"/a", "/b", "/b/c"} {
				pub.Publish(t, message{Topic: base + topic, Payload: "first", QoS: byte(i%2 + 1), Retain: true})
			}
			expectAll(t, live, base+"/a first q1", base+"/b first q2", base+"/b/c first q1")
			late(t, k, 2, base+"/+", base+"/a first q1 retained", base+"/b first q2 retained")
			pub.Publish(t, message{Topic: base + "/a", Payload: "second", QoS: 2, Retain: true})
			pub.Publish(t, message{Topic: base + "/a", Payload: "passing", QoS: 2})
			late(t, k, 1, base+"/#", base+"/a second q1 retained", base+"/b first q1 retained", base+"/b/c first q1 retained")
			clear := paho3(t, 4, connect{Place: 1})
			clear.Publish(t, message{Topic: base + "/b", QoS: 1, Retain: true})
			late(t, k, 0, base+"/#", base+"/a second q0 retained", base+"/b/c first q0 retained")
			late(t, k, 1, base+"/b")
		})
	}
}

// MQTT 5.0 §3.8.3.1: retain handling says when retained messages are sent, retain as published whether the flag is kept.
func TestRetainHandling(t *testing.T) {
	t.Parallel()
	base := unique("e2e/handling")
	pub := paho3(t, 4, connect{})
	pub.Publish(t, message{Topic: base, Payload: "kept", QoS: 1, Retain: true})
	for handling, want := range [][2]bool{{true, true}, {true, false}, {false, false}} {
		c := paho5(t, connect{Place: handling})
		for n, comes := range want {
			c.subscribe(t, nil, paho.SubscribeOptions{Topic: base, QoS: 1, RetainHandling: byte(handling)})
			if comes {
				expect(t, c, base+" kept q1 retained")
			}
			mark := unique("mark")
			pub.Publish(t, message{Topic: base, Payload: mark, QoS: 1})
			if m := next(t, c); m.Payload != mark {
				t.Errorf("handling %d, subscription %d: got %v", handling, n+1, m)
			}
		}
	}
	c := paho5(t, connect{Place: 1})
	c.subscribe(t, nil, paho.SubscribeOptions{Topic: base, QoS: 1, RetainHandling: 2, RetainAsPublished: true})
	pub.Publish(t, message{Topic: base, Payload: "new", QoS: 1, Retain: true})
	expect(t, c, base+" new q1 retained")
}
