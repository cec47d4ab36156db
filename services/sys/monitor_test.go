package sys_test

import (
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pando-mq/pando/services/sys"
)

// monitored runs a Service that tells nothing but what its monitor notices.
func monitored(t *testing.T, cfg sys.MonitorConfig) *world {
	t.Helper()
	return start(t, sys.Config{Monitor: cfg}, "a@h")
}

// noticed are the events of the monitor since the last time.
func (w *world) noticed(after time.Duration) (kinds []string, text string) {
	time.Sleep(after)
	synctest.Wait()
	for _, line := range w.take() {
		kind, _, _ := strings.Cut(strings.TrimPrefix(line, "a@h/sysmon/"), " ")
		kinds = append(kinds, kind)
		text += line + "\n"
	}
	return kinds, text
}

// What the runtime does is told when it passes its threshold, once in a while, and not what was before the start. (emq2.md §9.5)
func TestMonitorOfTheRuntime(t *testing.T) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(64 << 20))
	runtime.GC()
	for kind, cfg := range map[string]sys.MonitorConfig{
		"long_gc": {LongGC: time.Nanosecond}, "long_schedule": {LongSchedule: time.Nanosecond}, "large_heap": {LargeHeap: 1},
	} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := monitored(t, cfg)
				synctest.Wait()
				if got := w.take(); len(got) > 0 {
					t.Errorf("told at the start: %v", got)
				}
				runtime.GC()
				kinds, text := w.noticed(time.Second)
				if !slices.Equal(kinds, []string{kind}) || !strings.Contains(text, kind+" warning: pid = ") || !strings.Contains(text, ", info: ") {
					t.Fatalf("got %s", text)
				}
				runtime.GC()
				if kinds, text := w.noticed(50 * time.Second); len(kinds) > 0 {
					t.Errorf("again: %s", text)
				}
				before, _ := w.noticed(10 * time.Second)
				runtime.GC()
				if kinds, text := w.noticed(2 * time.Second); len(before)+len(kinds) != 1 {
					t.Errorf("a minute later: %v %s", before, text)
				}
			})
		})
	}
}

// Nothing is told of a process that is well, nor of what is switched off.
func TestMonitorIsQuiet(t *testing.T) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(math.MaxInt64))
	synctest.Test(t, func(t *testing.T) {
		w := monitored(t, sys.MonitorConfig{LongGC: time.Hour, LongSchedule: time.Hour, LargeHeap: 1}) // there is no limit
		w.BusyPort("c", 1)
		w.BusyDistPort("router r", 1)
		runtime.GC()
		if kinds, text := w.noticed(5 * time.Second); len(kinds) > 0 {
			t.Errorf("got %s", text)
		}
	})
}

// Slow clients and services are told once in a minute each, and a hundred at most.
func TestMonitorOfSlowPeers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := monitored(t, sys.MonitorConfig{BusyPort: true, BusyDistPort: true})
		synctest.Wait()
		w.BusyPort("slow", 200000)
		w.BusyPort("slow", 200001)
		w.BusyDistPort("router r", 5)
		kinds, text := w.noticed(time.Millisecond)
		if !slices.Equal(kinds, []string{"busy_port", "busy_dist_port"}) || !strings.Contains(text, "info: client slow, 200000 bytes pending\n") ||
			!strings.Contains(text, "info: router r, 5 bytes queued\n") {
			t.Errorf("got %s", text)
		}
		told := 0
		for i := range 300 {
			w.BusyPort(fmt.Sprint("c", i), 1)
			kinds, _ := w.noticed(time.Millisecond)
			told += len(kinds)
		}
		if told != 99 {
			t.Errorf("%d told in one minute", told+1)
		}
		time.Sleep(time.Minute)
		w.BusyPort("slow", 1)
		if kinds, _ := w.noticed(time.Millisecond); len(kinds) != 1 {
			t.Error("not told again a minute later")
		}
	})
}

// The defaults are those of EMQ 2 where they make sense here.
func TestMonitorConfig(t *testing.T) {
	t.Parallel()
	want := sys.MonitorConfig{LongSchedule: 240 * time.Millisecond, LargeHeap: 90, BusyDistPort: true}
	if got := sys.DefaultConfig().Monitor; got != want {
		t.Errorf("%+v", got)
	}
	for key, m := range map[string]sys.MonitorConfig{
		"monitor.long_gc": {LongGC: -1}, "monitor.long_schedule": {LongSchedule: -1}, "monitor.large_heap": {LargeHeap: 101},
	} {
		if err := (sys.Config{Monitor: m}).Validate(); err == nil || !strings.Contains(err.Error(), key) && !strings.Contains(fmt.Sprintf("%+v", err), key) {
			t.Errorf("%s: %v", key, err)
		}
	}
}
