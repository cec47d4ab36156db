package e2e

import (
	"fmt"
	"testing"
	"time"
)

// A message to $delayed/<seconds>/<topic> comes when its time has come, to whoever is subscribed then, on each gateway.
func TestDelayed(t *testing.T) {
	t.Parallel()
	for _, k := range kinds() {
		t.Run(fmt.Sprint(k.name), func(t *testing.T) {
			t.Parallel()
			base := unique("e2e/delayed")
			pub, sub := k.connect(t, connect{}), k.connect(t, connect{Place: 1})
			sub.Subscribe(t, 2, base+"/#")
			began := time.Now()
			for qos := range byte(3) {
				pub.Publish(t, message{Topic: fmt.Sprintf("$delayed/2/%s/%d", base, qos), Payload: "later", QoS: qos, Retain: qos == 1})
			}
			pub.Publish(t, message{Topic: "$delayed/0/" + base + "/now", Payload: "soon", QoS: 1})
			expectAll(t, sub, base+"/now soon q1", base+"/0 later q0", base+"/1 later q1", base+"/2 later q2")
			if took := time.Since(began); took < 2*time.Second {
				t.Errorf("came after %v", took)
			}
			late(t, k, 1, base+"/+", base+"/1 later q1 retained")
		})
	}
}

// A will may be delayed like any other message.
func TestDelayedWill(t *testing.T) {
	t.Parallel()
	base := unique("e2e/delayedwill")
	sub := paho5(t, connect{Place: 1})
	sub.Subscribe(t, 1, base)
	dying := paho3(t, 4, connect{Will: &message{Topic: "$delayed/1/" + base, Payload: "died", QoS: 1}})
	began := time.Now()
	dying.Drop()
	expect(t, sub, base+" died q1")
	if took := time.Since(began); took < time.Second {
		t.Errorf("came after %v", took)
	}
}
