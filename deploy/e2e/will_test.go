package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
)

// watcher is subscribed to a will's topic.
func watcher(t *testing.T, topic string) *p3 {
	t.Helper()
	c := paho3(t, 4, connect{Place: 1})
	c.Subscribe(t, 2, topic)
	return c
}

// A client that says DISCONNECT has no will.
func TestNoWillAfterANormalEnd(t *testing.T) {
	t.Parallel()
	for _, k := range kinds() {
		if strings.HasPrefix(k.name, "mosquitto 5") {
			continue // at Ctrl-C it sends DISCONNECT with reason 0x04, which asks for the will
		}
		t.Run(strings.ReplaceAll(k.name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			topic := unique("e2e/will")
			w := watcher(t, topic)
			c := k.connect(t, connect{Will: &message{Topic: topic, Payload: "gone", QoS: 1}})
			c.Subscribe(t, 0, topic+"/any")
			c.Leave(t)
			fence(t, w, paho3(t, 4, connect{}), topic)
		})
	}
}

// The connection that breaks publishes the will, retained if it says so.
func TestWillAfterABrokenConnection(t *testing.T) {
	t.Parallel()
	topic := unique("e2e/will")
	w := watcher(t, topic+"/+")
	paho3(t, 3, connect{Will: &message{Topic: topic + "/31", Payload: "gone", QoS: 0}}).Drop()
	paho3(t, 4, connect{Keep: true, Will: &message{Topic: topic + "/311", Payload: "gone", QoS: 1}}).Drop()
	paho5(t, connect{Will: &message{Topic: topic + "/5", Payload: "gone", QoS: 2, Retain: true}}).Drop()
	m := mosquitto(t, "mqttv5", connect{Will: &message{Topic: topic + "/mosquitto", Payload: "gone", QoS: 1}})
	m.Subscribe(t, 0, "any")
	if err := m.sub.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	expectAll(t, w, topic+"/31 gone q0", topic+"/311 gone q1", topic+"/5 gone q2", topic+"/mosquitto gone q1")
	again := watcher(t, topic+"/+")
	expect(t, again, topic+"/5 gone q2 retained")
}

// A client that is silent for one and a half times its keep-alive is gone; one that pings stays.
func TestKeepAlive(t *testing.T) {
	t.Parallel()
	topic := unique("e2e/keepalive")
	w := watcher(t, topic)
	alive := paho3(t, 4, connect{KeepAlive: 1})
	begin := time.Now()
	silent := rawConnect(t, 0, &paho.Connect{
		ClientID: unique("silent"), CleanStart: true, KeepAlive: 1,
		WillMessage: &paho.WillMessage{Topic: topic, Payload: []byte("silent"), QoS: 1},
	})
	if code := silent.disconnected(t); code != 0x8d {
		t.Errorf("ended with %#x, want keep alive timeout", code)
	}
	if took := time.Since(begin); took < 1400*time.Millisecond || took > 4*time.Second {
		t.Errorf("ended after %s, want 1.5 s", took)
	}
	expect(t, w, topic+" silent q1")
	alive.Subscribe(t, 0, topic+"/alive")
	fence(t, alive, alive, topic+"/alive")
}

// MQTT 5.0 §3.1.2.5: DISCONNECT with reason 0x04 publishes the will, a will delay holds it back, a new connection in time cancels it.
func TestWillOfMQTT5(t *testing.T) {
	t.Parallel()
	topic := unique("e2e/will")
	w := watcher(t, topic+"/+")
	open := func(id, at string, delay uint32) *p5 {
		return paho5With(t, 0, &paho.Connect{
			ClientID: id, KeepAlive: 60, Properties: &paho.ConnectProperties{SessionExpiryInterval: ptr(forever)},
			WillMessage: &paho.WillMessage{Topic: topic + at, Payload: []byte("gone"), QoS: 1}, WillProperties: &paho.WillProperties{WillDelayInterval: ptr(delay)},
		})
	}
	if err := open(unique("will"), "/asked", 0).Disconnect(&paho.Disconnect{ReasonCode: 4}); err != nil {
		t.Fatal(err)
	}
	expect(t, w, topic+"/asked gone q1")

	begin := time.Now()
	open(unique("will"), "/delayed", 2).Drop()
	id := unique("will")
	open(id, "/cancelled", 2).Drop()
	back := paho5(t, connect{ID: id, Keep: true, Place: 1})
	present(t, back, true)
	expect(t, w, topic+"/delayed gone q1")
	if took := time.Since(begin); took < 1900*time.Millisecond {
		t.Errorf("the will came after %s, want 2 s", took)
	}
	expect5 := unique("later")
	open(expect5, "/later", 1).Drop()
	expect(t, w, topic+"/later gone q1") // the cancelled one would have come before
	// The end of the session publishes a will that still waits.
	c := paho5With(t, 1, &paho.Connect{
		ClientID: unique("will"), KeepAlive: 60, Properties: &paho.ConnectProperties{SessionExpiryInterval: ptr(uint32(1))},
		WillMessage: &paho.WillMessage{Topic: topic + "/expired", Payload: []byte("gone"), QoS: 1}, WillProperties: &paho.WillProperties{WillDelayInterval: ptr(uint32(60))},
	})
	c.Drop()
	expect(t, w, topic+"/expired gone q1")
}
