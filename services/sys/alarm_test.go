package sys_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/bus"
	"github.com/pando-mq/pando/services/hook"
	"github.com/pando-mq/pando/services/sys"
)

func raise(t *testing.T, b bus.Bus, node, id string) {
	t.Helper()
	a := bus.Alarm{ID: id, Severity: bus.Warning, Title: "T", Summary: "S", Timestamp: 77}
	if err := bus.RaiseAlarm(t.Context(), b, node, a); err != nil {
		t.Fatal(err)
	}
}

func TestAlarms(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, quiet(), "a@h", gateway("a@h"), gateway("b@h"))
		expect := func(what string, want ...string) {
			t.Helper()
			synctest.Wait()
			if got := w.take(); strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("%s: published %q, want %q", what, got, want)
			}
		}
		raise(t, w.bus, "a@h", "queue_high_watermark.x/y")
		expect("raised", `a@h/alarms/queue_high_watermark.x%2Fy/alert {"id":"queue_high_watermark.x/y","severity":"warning","title":"T","summary":"S","ts":77}`)
		raise(t, w.bus, "a@h", "queue_high_watermark.x/y")
		expect("raised again")
		raise(t, w.bus, "b@h", "other")
		expect("of another node")
		raise(t, w.bus, "store@h", "journal_full.SS_1")
		expect("of a service", `a@h/alarms/journal_full.SS_1/alert {"id":"journal_full.SS_1","severity":"warning","title":"T","summary":"S","ts":77}`)
		if list := w.Alarms(); len(list) != 2 || list[0].ID != "journal_full.SS_1" {
			t.Errorf("alarms %+v", list)
		}
		now := time.Now().Unix()
		for range 2 {
			if err := bus.ClearAlarm(t.Context(), w.bus, "store@h", "journal_full.SS_1"); err != nil {
				t.Fatal(err)
			}
		}
		expect("cleared twice", fmt.Sprintf(`a@h/alarms/journal_full.SS_1/clear {"id":"journal_full.SS_1","ts":%d}`, now))
		if list := w.Alarms(); len(list) != 1 {
			t.Errorf("alarms %+v", list)
		}
		if err := w.bus.Publish(t.Context(), bus.Event{Subject: bus.AlarmRaised, Node: "a@h", Data: []byte(`{"title":"no id"}`)}); err != nil {
			t.Fatal(err)
		}
		expect("without an id")
	})
}

// TestAlarmsOfServicesAreToldByOneNode: the one whose name comes first.
func TestAlarmsOfServicesAreToldByOneNode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, quiet(), "b@h", gateway("a@h"), gateway("b@h"))
		raise(t, w.bus, "store@h", "journal_full.SS_1")
		raise(t, w.bus, "b@h", "mine")
		synctest.Wait()
		if got := w.take(); len(got) != 1 || !strings.HasPrefix(got[0], "b@h/alarms/mine/alert ") {
			t.Errorf("published %q", got)
		}
	})
}

func TestAlarmsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, quiet(), "a@h", gateway("a@h"))
		for i := range 1010 {
			raise(t, w.bus, "a@h", fmt.Sprint(i))
			synctest.Wait()
		}
		if n, dropped := len(w.take()), w.value(t, "pando_sys_alarms_dropped_total"); n != 1000 || dropped != 10 {
			t.Errorf("%d told, %v dropped", n, dropped)
		}
		if n := w.value(t, "pando_sys_alarms"); n != 1000 {
			t.Errorf("%v raised", n)
		}
	})
}

// TestConnectionLimit is one alarm while clients are refused, over when none was for a minute.
func TestConnectionLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, quiet(), "a@h", gateway("a@h"))
		refuse := func() {
			w.connect(hook.Connected{Client: identity("c"), Err: broker.E(broker.KindQuota, "too many connections", nil)})
			synctest.Wait()
		}
		for range 3 {
			refuse()
			time.Sleep(50 * time.Second)
		}
		if got := w.take(); len(got) != 1 || !strings.HasPrefix(got[0], `a@h/alarms/max_connections/alert {"id":"max_connections","severity":"error",`) {
			t.Errorf("published %q", got)
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if got := w.take(); len(got) != 1 || !strings.HasPrefix(got[0], `a@h/alarms/max_connections/clear {"id":"max_connections",`) {
			t.Errorf("published %q", got)
		}
		refuse()
		if got := w.take(); len(got) != 1 || !strings.Contains(got[0], "/alert ") {
			t.Errorf("the next time: %q", got)
		}
	})
}

// TestFull is the same alarm, told by whoever counts connections before they are clients.
func TestFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, quiet(), "a@h", gateway("a@h"))
		w.Full(true)
		w.connect(hook.Connected{Client: identity("c"), Err: broker.E(broker.KindQuota, "too many connections", nil)})
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := w.take(); len(got) != 1 || !strings.Contains(got[0], "/max_connections/alert ") {
			t.Errorf("while it is full: %q", got)
		}
		w.Full(false)
		synctest.Wait()
		if got := w.take(); len(got) != 1 || !strings.Contains(got[0], "/max_connections/clear ") {
			t.Errorf("when there is room: %q", got)
		}
	})
}

func TestQueueAlarm(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, quiet(), "a@h", gateway("a@h"))
		alarm := sys.QueueAlarm(w.bus, "a@h")
		now := time.Now().Unix()
		alarm(identity("c1"), true, 601)
		alarm(identity("c1"), false, 199)
		synctest.Wait()
		want := []string{
			fmt.Sprintf(`a@h/alarms/queue_high_watermark.c1/alert {"id":"queue_high_watermark.c1","severity":"warning","title":"Queue c1 high-water mark","summary":"queue len 601 > high_watermark","ts":%d}`, now),
			fmt.Sprintf(`a@h/alarms/queue_high_watermark.c1/clear {"id":"queue_high_watermark.c1","ts":%d}`, now),
		}
		if got := w.take(); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("published %q", got)
		}
	})
}

// TestQueueAlarmEndsWithItsSession: nobody else would clear it.
func TestQueueAlarmEndsWithItsSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, quiet(), "a@h", gateway("a@h"))
		sys.QueueAlarm(w.bus, "a@h")(identity("c1"), true, 601)
		synctest.Wait()
		for _, id := range []string{"other", "c1", "c1"} {
			w.hooks.SessionTerminated.Run(hook.Terminated{Client: identity(id)}, hook.None{}, func(hook.None, hook.Result) {})
			synctest.Wait()
		}
		if got := w.take(); len(got) != 2 || !strings.HasPrefix(got[1], "a@h/alarms/queue_high_watermark.c1/clear ") {
			t.Errorf("published %q", got)
		}
	})
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*sys.Config){
		"interval":     func(c *sys.Config) { c.Interval = time.Millisecond },
		"heartbeat":    func(c *sys.Config) { c.Heartbeat = -1 },
		"presence.qos": func(c *sys.Config) { c.Presence.QoS = 3 },
	} {
		c := sys.DefaultConfig()
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
