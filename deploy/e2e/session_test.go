package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// collect takes n messages and gives the payloads by topic, in the order of arrival.
func collect(t *testing.T, c client, n int) map[string][]string {
	t.Helper()
	got := map[string][]string{}
	for range n {
		m := next(t, c)
		got[m.Topic] = append(got[m.Topic], m.Payload)
	}
	return got
}

// numbers are "0".."n-1".
func numbers(n int) []string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprint(i))
	}
	return list
}

// present fails when the client says that the server had, or had not, its session. mosquitto_sub does not say it, and MQTT 3.1 has no flag for it.
func present(t *testing.T, c client, want bool) {
	t.Helper()
	if old, ok := c.(*p3); ok && old.version == 3 {
		return
	}
	if p, ok := c.(presence); ok && p.Present() != want {
		t.Errorf("session present is %t, want %t", p.Present(), want)
	}
}

// A persistent session keeps what comes while its client is away, in order, and hands it over on another gateway. A clean start ends it.
func TestPersistentSession(t *testing.T) {
	t.Parallel()
	for _, k := range kinds() {
		t.Run(strings.ReplaceAll(k.name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			base, id := unique("e2e/session"), unique("keep")
			c := k.connect(t, connect{ID: id, Keep: true})
			c.Subscribe(t, 2, base+"/#")
			present(t, c, false)
			c.Leave(t)
			pub := paho3(t, 4, connect{Place: 1})
			for i := range 10 {
				pub.Publish(t, message{Topic: base + "/1", Payload: fmt.Sprint(i), QoS: 1})
				pub.Publish(t, message{Topic: base + "/2", Payload: fmt.Sprint(i), QoS: 2})
			}
			c = k.connect(t, connect{ID: id, Keep: true, Place: 1})
			if m, ok := c.(*mosq); ok {
				m.Subscribe(t, 2, base+"/#") // it does not connect without
			}
			present(t, c, true)
			got := collect(t, c, 20)
			for _, topic := range []string{base + "/1", base + "/2"} {
				if !slices.Equal(got[topic], numbers(10)) {
					t.Errorf("%s brought %v", topic, got[topic])
				}
			}
			pub.Publish(t, message{Topic: base + "/live", Payload: "x", QoS: 2})
			expect(t, c, base+"/live x q2")
			c.Leave(t)
			pub.Publish(t, message{Topic: base + "/1", Payload: "late", QoS: 1})
			c = k.connect(t, connect{ID: id})
			c.Subscribe(t, 1, base+"/new")
			present(t, c, false)
			fence(t, c, pub, base+"/new")
		})
	}
}

// A clean session leaves nothing behind.
func TestCleanSession(t *testing.T) {
	t.Parallel()
	base, id := unique("e2e/clean"), unique("clean")
	c := paho3(t, 4, connect{ID: id})
	c.Subscribe(t, 1, base)
	c.Leave(t)
	pub := paho3(t, 4, connect{})
	pub.Publish(t, message{Topic: base, Payload: "1", QoS: 1})
	c = paho3(t, 4, connect{ID: id, Keep: true, Place: 1})
	present(t, c, false)
	c.Subscribe(t, 1, base)
	fence(t, c, pub, base)
}

// The gateway has one connection per client id, wherever it is: the new one gets the session, the old one is told and ended, no message is lost.
func TestTakeOverAcrossGateways(t *testing.T) {
	t.Parallel()
	base, id := unique("e2e/takeover"), unique("taken")
	old := paho5(t, connect{ID: id, Keep: true})
	old.Subscribe(t, 1, base)
	pub := paho3(t, 4, connect{Place: 1})
	const count = 300
	done := make(chan error, 1)
	go func() {
		for i := range count {
			token := pub.Client.Publish(base, 1, false, fmt.Sprint(i))
			if !token.WaitTimeout(patience) || token.Error() != nil {
				done <- fmt.Errorf("message %d is not acknowledged: %w", i, token.Error())
				return
			}
		}
		done <- nil
	}()
	next(t, old) // so it is in the middle of the stream
	fresh := paho5(t, connect{ID: id, Keep: true, Place: 1})
	present(t, fresh, true)
	select {
	case d := <-old.reason:
		if d.ReasonCode != 0x8e {
			t.Errorf("the old connection ended with %#x, want session taken over", d.ReasonCode)
		}
	case <-time.After(patience):
		t.Error("the old connection was not told")
	}
	seen := map[string]bool{"0": true}
	for len(old.Messages()) > 0 {
		seen[next(t, old).Payload] = true
	}
	last := -1
	for len(seen) < count {
		m := next(t, fresh)
		n := 0
		if _, err := fmt.Sscan(m.Payload, &n); err != nil || !seen[m.Payload] && n < last {
			t.Fatalf("%v came first after %d", m, last)
		}
		seen[m.Payload], last = true, max(last, n)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A clean session that takes over begins with nothing.
func TestTakeOverOfACleanSession(t *testing.T) {
	t.Parallel()
	base, id := unique("e2e/takeover"), unique("taken")
	old := paho3(t, 4, connect{ID: id})
	old.Subscribe(t, 1, base)
	fresh := paho3(t, 3, connect{ID: id, Place: 1})
	old.ended(t, patience)
	pub := paho3(t, 4, connect{})
	pub.Publish(t, message{Topic: base, Payload: "for nobody", QoS: 1})
	fresh.Subscribe(t, 1, base)
	fence(t, fresh, pub, base)
}
