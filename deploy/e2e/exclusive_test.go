package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
)

// One client at most is subscribed to $exclusive/<topic>, wherever it is connected and whether its session stays or not; the next one gets its turn when that
// subscription ends.
func TestExclusive(t *testing.T) {
	t.Parallel()
	for name, keep := range map[string]bool{"clean": false, "persistent": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := unique("e2e/exclusive")
			filter := "$exclusive/" + base
			first, second := paho5(t, connect{Keep: keep}), paho5(t, connect{Place: 1, Keep: keep})
			plain, pub := paho3(t, 4, connect{Place: 1}), paho3(t, 4, connect{})
			if codes := first.suback(t, 1, filter); codes[0] != 1 {
				t.Fatalf("answered %v", codes)
			}
			plain.Subscribe(t, 1, base)
			if codes := second.suback(t, 1, filter); codes[0] != 0x97 {
				t.Fatalf("answered %v while another client has the topic", codes)
			}
			pub.Publish(t, message{Topic: base, Payload: "1", QoS: 1})
			expect(t, first, base+" 1 q1")
			expect(t, plain, base+" 1 q1")
			first.drop(t, filter)
			within := time.Now().Add(patience)
			for second.suback(t, 1, filter)[0] != 1 {
				if time.Now().After(within) {
					t.Fatal("the topic is never free")
				}
			}
			pub.Publish(t, message{Topic: base, Payload: "2", QoS: 1})
			expect(t, second, base+" 2 q1")
		})
	}
}

// suback subscribes and gives the reason codes of SUBACK.
func (c *p5) suback(t *testing.T, qos byte, filters ...string) []byte {
	t.Helper()
	s := &paho.Subscribe{}
	for _, f := range filters {
		s.Subscriptions = append(s.Subscriptions, paho.SubscribeOptions{Topic: f, QoS: qos})
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	a, err := c.Client.Subscribe(ctx, s)
	if a == nil {
		t.Fatal(err)
	}
	return a.Reasons
}

func (c *p5) drop(t *testing.T, filters ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := c.Unsubscribe(ctx, &paho.Unsubscribe{Topics: filters}); err != nil {
		t.Fatal(err)
	}
}
