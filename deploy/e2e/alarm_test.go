package e2e

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
)

// queueAlarm watches the alarm of the queue of one client.
type queueAlarm struct {
	id    string
	watch *p5
}

func watchQueue(t *testing.T, id string) queueAlarm {
	t.Helper()
	a := queueAlarm{id, paho5(t, connect{})}
	a.watch.Subscribe(t, 0, "$SYS/brokers/+/alarms/queue_high_watermark."+id+"/#")
	return a
}

// fill publishes until the alarm is raised, and says how many messages that took. The queue takes 64 MB.
func (a queueAlarm) fill(t *testing.T, topic string) (sent int) {
	t.Helper()
	pub, payload := paho5(t, connect{Place: 1}), strings.Repeat("x", 1_000_000)
	for ; len(a.watch.got) == 0; sent++ {
		if sent > 80 {
			t.Fatal("a queue that is full is no alarm")
		}
		pub.Publish(t, message{Topic: topic, Payload: payload, QoS: 1})
	}
	pub.Leave(t)
	m := sysMessages(t, a.watch, sysTopic{a.topic("alert"), `\{.*\}`})[0]
	var told struct{ ID, Severity, Title, Summary string }
	if err := json.Unmarshal([]byte(m.Payload), &told); err != nil || told.ID != "queue_high_watermark."+a.id || told.Severity != "warning" ||
		told.Title != "Queue "+a.id+" high-water mark" || !strings.HasPrefix(told.Summary, "queue len ") {
		t.Errorf("alert %s: %v", m.Payload, err)
	}
	return sent
}

// cleared waits for the end of the alarm.
func (a queueAlarm) cleared(t *testing.T) {
	t.Helper()
	sysMessages(t, a.watch, sysTopic{a.topic("clear"), `\{"id":"queue_high_watermark\.` + a.id + `","ts":\d+\}`})
}

// topic is the pattern of its topic.
func (a queueAlarm) topic(what string) string {
	return `\$SYS/brokers/` + nodePattern + `/alarms/queue_high_watermark\.` + a.id + `/` + what
}

// slowClient takes one message at a time, and none by itself.
func slowClient(t *testing.T, cp *paho.Connect, expiry uint32, topic string) raw {
	t.Helper()
	cp.Properties = &paho.ConnectProperties{ReceiveMaximum: ptr(uint16(1)), SessionExpiryInterval: &expiry}
	slow := rawConnect(t, 0, cp)
	slow.send(t, subscribePacket(topic))
	slow.read(t)
	return slow
}

// A queue that passes its high watermark is an alarm until it is drained, and one that ends with its connection is none any more. (§9.4)
func TestQueueAlarm(t *testing.T) {
	t.Parallel()
	for name, leaves := range map[string]bool{"drained": false, "left": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			topic, cp := unique("e2e/alarm"), rawOptions()
			a, slow := watchQueue(t, cp.ClientID), slowClient(t, cp, 0, topic)
			if sent := a.fill(t, topic); leaves {
				_ = slow.conn.Close()
			} else {
				slow.acknowledge(t, sent)
			}
			a.cleared(t)
			_ = slow.conn.Close()
		})
	}
}

// The queue of a persistent session is an alarm too, whether its client is away or slow, until it is drained or the session ends. Its session-store raises it.
func TestPersistentQueueAlarm(t *testing.T) {
	t.Parallel()
	t.Run("away and drained", func(t *testing.T) {
		t.Parallel()
		topic, id := unique("e2e/alarm"), unique("alarm")
		c := paho5(t, connect{ID: id, Keep: true})
		c.Subscribe(t, 1, topic)
		c.Leave(t)
		offline(t, id)
		a := watchQueue(t, id)
		sent := a.fill(t, topic)
		c = paho5(t, connect{ID: id, Keep: true, Place: 1})
		collect(t, c, sent)
		a.cleared(t)
		c.Leave(t)
		paho5(t, connect{ID: id}).Leave(t)
	})
	t.Run("slow and ended", func(t *testing.T) {
		t.Parallel()
		topic, cp := unique("e2e/alarm"), rawOptions()
		a, slow := watchQueue(t, cp.ClientID), slowClient(t, cp, forever, topic)
		a.fill(t, topic)
		_ = slow.conn.Close()
		paho5(t, connect{ID: cp.ClientID, Place: 1}).Leave(t) // a clean start
		a.cleared(t)
	})
}

// acknowledge takes n messages of QoS 1.
func (r raw) acknowledge(t *testing.T, n int) {
	t.Helper()
	for range n {
		p, ok := r.read(t).Content.(*packets.Publish)
		if !ok {
			t.Fatal("no PUBLISH")
		}
		r.send(t, &packets.Puback{PacketID: p.PacketID, Properties: &packets.Properties{}})
	}
}

// A client that does not read what it is sent is told by the system monitor. (emq2.md §9.5)
func TestSlowClientIsTold(t *testing.T) {
	t.Parallel()
	topic, cp := unique("e2e/slow"), rawOptions()
	watch, pub := paho5(t, connect{Place: 1}), paho5(t, connect{})
	watch.Subscribe(t, 0, "$SYS/brokers/+/sysmon/busy_port")
	slow := rawConnect(t, 0, cp)
	slow.send(t, subscribePacket(topic))
	slow.read(t)
	payload := strings.Repeat("x", 1_000_000)
	for range 20 { // the kernel takes some of it
		pub.Publish(t, message{Topic: topic, Payload: payload, QoS: 1})
	}
	sysMessages(t, watch, sysTopic{`\$SYS/brokers/` + nodePattern + `/sysmon/busy_port`, `busy_port warning: pid = \d+, info: client ` + cp.ClientID + `, \d+ bytes pending`})
	_ = slow.conn.Close()
}
