package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// Every client gets what every client publishes, at each QoS, on the gateway of its own and across gateways.
func TestEveryClientReachesEveryOther(t *testing.T) {
	t.Parallel()
	base := unique("e2e/matrix")
	var names []string
	var subs, pubs []client
	for i, k := range kinds() {
		sub := k.connect(t, connect{Place: i})
		sub.Subscribe(t, 2, base+"/#")
		names, subs, pubs = append(names, k.name), append(subs, sub), append(pubs, k.connect(t, connect{Place: i / 2}))
	}
	var want []string
	for i, p := range pubs {
		for qos := range byte(3) {
			m := message{Topic: fmt.Sprintf("%s/%d/%d", base, i, qos), Payload: names[i], QoS: qos}
			p.Publish(t, m)
			want = append(want, m.String())
		}
	}
	for i, sub := range subs {
		t.Run(strings.ReplaceAll(names[i], " ", "_"), func(t *testing.T) {
			t.Parallel()
			expectAll(t, sub, append([]string(nil), want...)...)
		})
	}
}

// A message is delivered with the lower QoS of the publish and the subscription.
func TestTheLowerQoSHolds(t *testing.T) {
	t.Parallel()
	for _, k := range []kind{kinds()[4], kinds()[5], kinds()[6]} {
		base := unique("e2e/lower")
		pub := paho5(t, connect{Place: 1})
		for granted := range byte(3) {
			sub := k.connect(t, connect{})
			sub.Subscribe(t, granted, base+"/+")
			for qos := range byte(3) {
				pub.Publish(t, message{Topic: fmt.Sprintf("%s/%d", base, qos), Payload: "x", QoS: qos})
				if m := next(t, sub); m.QoS != min(qos, granted) || !strings.HasSuffix(m.Topic, fmt.Sprint(qos)) {
					t.Errorf("%s: published with %d, subscribed with %d, got %v", k.name, qos, granted, m)
				}
			}
		}
	}
}

// A message goes only to those who are subscribed now.
func TestUnsubscribe(t *testing.T) {
	t.Parallel()
	base := unique("e2e/unsubscribe")
	sub, pub := paho3(t, 4, connect{Place: 1}), paho3(t, 4, connect{})
	sub.Subscribe(t, 1, base+"/+", base+"/a/b")
	pub.Publish(t, message{Topic: base + "/a", Payload: "1", QoS: 1})
	expect(t, sub, base+"/a 1 q1")
	sub.Unsubscribe(t, base+"/+")
	pub.Publish(t, message{Topic: base + "/a", Payload: "2", QoS: 1})
	fence(t, sub, pub, base+"/a/b")
}

// Payloads of every size that the configuration allows arrive as they were, by every transport.
func TestPayloads(t *testing.T) {
	t.Parallel()
	base := unique("e2e/payload")
	sub, ws, old := paho5(t, connect{Place: 1}), mqttjs(t, 5, "wss", connect{}), mosquitto(t, "mqttv311", connect{})
	sub.Subscribe(t, 1, base+"/#")
	ws.Subscribe(t, 2, base+"/#")
	old.Subscribe(t, 0, base+"/#")
	for _, pub := range []client{paho3(t, 4, connect{}), mqttjs(t, 4, "ws", connect{Place: 1}), mosquitto(t, "mqttv5", connect{Place: 1})} {
		for qos, size := range []int{0, 1, 125, 126, 127, 16_383, 65_535, 65_536, 1_000_000} {
			if _, ok := pub.(*mosq); ok && size == 0 {
				continue // mosquitto_pub -s publishes nothing then
			}
			m := message{Topic: base, Payload: strings.Repeat("0123456789abcdef", size/16+1)[:size], QoS: byte(qos % 3)}
			pub.Publish(t, m)
			for _, c := range []client{sub, ws, old} {
				if got := next(t, c); got.Payload != m.Payload {
					t.Fatalf("%T to %T: %d bytes arrived, want %d", pub, c, len(got.Payload), size)
				}
			}
		}
	}
}
