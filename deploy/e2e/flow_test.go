package e2e

import (
	"fmt"
	"testing"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// One message reaches a hundred clients, spread over all gateways.
func TestFanOut(t *testing.T) {
	t.Parallel()
	const clients, count = 100, 30
	topic := unique("e2e/fanout")
	var subs []client
	for i := range clients {
		var c client
		if i%2 == 0 {
			c = paho3(t, 4, connect{Place: i / 2})
		} else {
			c = paho5(t, connect{Place: i / 2})
		}
		c.Subscribe(t, byte(i%3), topic)
		subs = append(subs, c)
	}
	pub := paho3(t, 4, connect{})
	for i := range count {
		pub.Publish(t, message{Topic: topic, Payload: fmt.Sprint(i), QoS: 1})
	}
	for i, c := range subs {
		for n := range count {
			if m := next(t, c); m.Payload != fmt.Sprint(n) || m.QoS != byte(min(i%3, 1)) {
				t.Fatalf("client %d: message %d is %v", i, n, m)
			}
		}
	}
}

// What one publisher sends on one topic with one QoS arrives in that order, at clean and persistent sessions, on this gateway and on others.
func TestOrder(t *testing.T) {
	t.Parallel()
	const publishers, topics, count = 4, 3, 100
	base := unique("e2e/order")
	subs := []client{paho3(t, 4, connect{}), paho3(t, 4, connect{Place: 1, Keep: true}), paho5(t, connect{Keep: true}), paho5(t, connect{Place: 1})}
	for _, c := range subs {
		c.Subscribe(t, 2, base+"/#")
	}
	done := make(chan error, publishers)
	for p := range publishers {
		c := paho3(t, 4, connect{Place: p})
		go func() { done <- burst(c.Client, fmt.Sprintf("%s/%d", base, p), topics, count) }()
	}
	for range publishers {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	for i, c := range subs {
		last := map[string]int{}
		for range publishers * topics * 3 * count {
			m := next(t, c)
			key, n := fmt.Sprintf("%s q%d", m.Topic, m.QoS), 0
			if _, err := fmt.Sscan(m.Payload, &n); err != nil {
				t.Fatal(err)
			}
			if n != last[key]+1 {
				t.Fatalf("subscriber %d: %s: %d came after %d", i, key, n, last[key])
			}
			last[key] = n
		}
	}
}

// burst publishes 1..count on each topic with each QoS without waiting in between.
func burst(c mqtt.Client, base string, topics, count int) error {
	var tokens []mqtt.Token
	for n := 1; n <= count; n++ {
		for topic := range topics {
			for qos := range byte(3) {
				tokens = append(tokens, c.Publish(fmt.Sprintf("%s/%d", base, topic), qos, false, fmt.Sprint(n)))
			}
		}
	}
	for i, token := range tokens {
		if !token.WaitTimeout(patience) || token.Error() != nil {
			return fmt.Errorf("publish %d of %s is not acknowledged: %w", i, base, token.Error())
		}
	}
	return nil
}
