package sessionstore_test

import (
	"fmt"
	"testing"

	sessionstore "github.com/pando-mq/pando/session-store"

	"github.com/pando-mq/pando/services/broker"
)

func shortQueue(c *sessionstore.Config) { c.Session.Queue.MaxLength = 10 }

// fill queues messages of one QoS for a client that is away.
func fill(s *source, from, n int, qos broker.QoS) {
	for i := range n {
		s.must(message("a", fmt.Sprint(from+i), qos))
	}
}

// A queue of a persistent session is an alarm from its high watermark until it is back at the low one, or ends.
func TestWatermarkAlarms(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		d := g.connect("c", persistent)
		d.subscribe("a", 1)
		d.leave()
		s := w.sourceTo("c")
		fill(s, 0, 6, 1)
		w.want("alarms at the high watermark", w.alarms())
		fill(s, 6, 4, 1)
		w.want("alarms above it", w.alarms(), "c true 7")
		w.fail()
		w.want("alarms after a fail-over", w.alarms(), "c false 10", "c true 10")
		g.open()
		g.connect("c", persistent)
		w.want("alarms when the client comes and takes all", w.alarms(), "c false 0")
	}, shortQueue)
}

// QoS 0 messages, which are in no log, count too; so does the end of a session, also when the next one of the client begins in the same moment.
func TestWatermarkAlarmsEndWithTheSession(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		d := g.connect("c", persistent)
		d.subscribe("a", 0)
		d.leave()
		s := w.sourceTo("c")
		fill(s, 0, 8, 0)
		w.want("alarms", w.alarms(), "c true 7")
		clean := persistent
		clean.clean = true
		d = g.connect("c", clean)
		w.want("alarms after a clean start", w.alarms(), "c false 8")
		d.subscribe("a", 1)
		d.leave()
		fill(s, 8, 8, 1)
		w.want("alarms of the new session", w.alarms(), "c true 7")
		if err := w.store.Drop(t.Context(), "", "c"); err != nil {
			t.Fatal(err)
		}
		settle()
		w.want("alarms after the end", w.alarms(), "c false 8")
	}, shortQueue)
}

// What holds for every session can change while it is there: the limits count from the next message on, the watermarks at once, and the log is replayed
// under the settings that each part was written under.
func TestConfigureWhileRunning(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		d := g.connect("c", persistent)
		d.subscribe("a", 1)
		d.leave()
		s := w.sourceTo("c")
		fill(s, 0, 5, 1)
		w.want("alarms", w.alarms())
		c := w.cfg.Session
		c.Queue.MaxLength = 6
		if err := w.store.Configure(c); err != nil {
			t.Fatal(err)
		}
		settle()
		w.want("alarms of the shorter queue", w.alarms(), "c true 5")
		fill(s, 5, 3, 1)
		if rows := w.sessions(broker.ClientQuery{}); rows[0].Queued != 6 || rows[0].Dropped != 2 {
			t.Fatalf("session %+v, want 6 of 8", rows[0])
		}
		c.Queue.MaxLength = -1
		if w.store.Configure(c) == nil {
			t.Fatal("a negative length was taken")
		}
		w.cfg.Session.Queue.MaxLength = 6
		w.fail()
		if rows := w.sessions(broker.ClientQuery{}); rows[0].Queued != 6 {
			t.Fatalf("session %+v after a fail-over", rows[0])
		}
	}, shortQueue)
}

// A partition without a record takes new settings, too, and begins its log with them.
func TestConfigureAnEmptyPartition(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.cfg.Session.Queue.MaxLength = 2
		if err := w.store.Configure(w.cfg.Session); err != nil {
			t.Fatal(err)
		}
		d := w.gateway("g1").connect("c", persistent)
		d.subscribe("a", 1)
		d.leave()
		fill(w.sourceTo("c"), 0, 5, 1)
		if rows := w.sessions(broker.ClientQuery{}); rows[0].Queued != 2 {
			t.Fatalf("session %+v, want 2 of 5", rows[0])
		}
		w.kill()
		w.startStore()
	}, shortQueue)
}
