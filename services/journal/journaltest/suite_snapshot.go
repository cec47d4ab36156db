package journaltest

import (
	"strings"
	"testing"
	"time"

	"github.com/pando-mq/pando/services/journal"
)

// writeInto writes events that the machine of the owner applies too.
func (e *env) writeInto(t *testing.T, l journal.Log, m *Events, events ...string) {
	t.Helper()
	write(t, l, events...)
	m.List = append(m.List, events...)
}

// snapshot hands over the state of m and waits until what it covers is purged and the log is ready for the next one.
func (e *env) snapshot(t *testing.T, l journal.Log, m *Events) {
	t.Helper()
	e.manifest(t, l, m)
	eventually(t, "the purge", func() bool { return !l.Stats().Snapshotting })
}

// manifest hands over the state of m and waits for the manifest.
func (e *env) manifest(t *testing.T, l journal.Log, m *Events) {
	t.Helper()
	before := l.Stats().SnapshotTime
	l.Snapshot(m.State())
	if s := l.Stats(); !s.Snapshotting && !s.SnapshotTime.After(before) {
		t.Error("no snapshot is under way after Snapshot")
	}
	eventually(t, "the manifest", func() bool { return l.Stats().SnapshotTime.After(before) })
}

var snapshotCases = []contractCase{
	{"SnapshotDue: the log outgrew max(least size, 2 x last snapshot)", func(t *testing.T, e *env) {
		e.opts.SnapshotAfter = 3000 // each record weighs 1 KiB more than its bytes
		l, m := e.open(t, 1)
		e.writeInto(t, l, m, "small")
		if l.SnapshotDue() {
			t.Error("due after one small event")
		}
		e.writeInto(t, l, m, strings.Repeat("x", 3000))
		if !l.SnapshotDue() {
			t.Error("not due above the least size")
		}
		e.snapshot(t, l, m)
		e.writeInto(t, l, m, strings.Repeat("x", 1000))
		if l.SnapshotDue() {
			t.Error("due below twice the last snapshot")
		}
		eventually(t, "due above twice the last snapshot", func() bool {
			write(t, l, strings.Repeat("x", 2500))
			return l.SnapshotDue()
		})
		if err := l.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		l, _ = e.open(t, 2)
		if !l.SnapshotDue() {
			t.Error("not due any more for the next owner")
		}
	}},
	{"Snapshot: reflects exactly all events appended so far", func(t *testing.T, e *env) {
		l, m := e.open(t, 1)
		e.writeInto(t, l, m, "a")
		held, release := e.Hold(e.name)
		r := newResults()
		appendAll(t, l, r, "b")
		<-held
		appendAll(t, l, r, "c")
		m.List = append(m.List, "b", "c")
		l.Snapshot(m.State())
		appendAll(t, l, r, "d", "e")
		release()
		r.wait(t, 4)
		eventually(t, "the snapshot", func() bool { return !l.Stats().SnapshotTime.IsZero() })
		write(t, l, "f")
		wantEvents(t, e.reopen(t, l, 2), "a", "b", "c", "d", "e", "f")
	}},
	{"Snapshot: its manifest goes into the log only after those events are durable", func(t *testing.T, e *env) {
		l, m := e.open(t, 1)
		e.writeInto(t, l, m, "a")
		held, release := e.Hold(e.name)
		defer release()
		r := newResults()
		appendAll(t, l, r, "b")
		<-held
		l.Snapshot(append(m.State(), "\x01b"...))
		_, next := e.open(t, 2)
		wantEvents(t, next.List, "a")
		if !l.Stats().SnapshotTime.IsZero() {
			t.Error("the snapshot has a manifest")
		}
	}},
	{"Snapshot: the records and snapshots before it are purged", func(t *testing.T, e *env) {
		l, m := e.open(t, 1)
		for _, event := range []string{"a", "b", "c"} {
			e.writeInto(t, l, m, event)
			e.snapshot(t, l, m)
		}
		if info := e.info(t, e.name); info.Last-info.First+1 != 1 {
			t.Errorf("the log has the records %d to %d, want the manifest alone", info.First, info.Last)
		}
		wantEvents(t, e.reopen(t, l, 2), "a", "b", "c")
	}},
	{"Snapshot: large states travel as chunks of 512 KiB", func(t *testing.T, e *env) {
		l, m := e.open(t, 1)
		for i := range 3 {
			e.writeInto(t, l, m, strings.Repeat(string(rune('a'+i)), 400<<10))
		}
		e.snapshot(t, l, m)
		if info := e.info(t, "SNAP_"+e.name); info.Last != 3 {
			t.Errorf("%d chunks, want 3", info.Last)
		}
		want := m.List
		wantEvents(t, e.reopen(t, l, 2), want...)
	}},
	{"Snapshot: While a snapshot is under way the call does nothing", func(t *testing.T, e *env) {
		e.opts.SnapshotAfter = 1
		l, m := e.open(t, 1)
		e.writeInto(t, l, m, "a")
		if !l.SnapshotDue() {
			t.Error("not due above the least size")
		}
		held, release := e.Hold(e.name)
		r := newResults()
		appendAll(t, l, r, "b")
		<-held
		m.List = append(m.List, "b")
		l.Snapshot(m.State())
		if l.SnapshotDue() {
			t.Error("due while one is under way")
		}
		l.Snapshot([]byte("not a state"))
		release()
		r.wait(t, 1)
		eventually(t, "the snapshot", func() bool { return !l.Stats().SnapshotTime.IsZero() })
		wantEvents(t, e.reopen(t, l, 2), "a", "b")
	}},
	{"Snapshot: a lost answer to the manifest changes nothing", func(t *testing.T, e *env) {
		l, m := e.open(t, 1)
		e.writeInto(t, l, m, "a")
		e.LoseAnswer(e.name)
		e.snapshot(t, l, m)
		e.Drop(e.name)
		e.writeInto(t, l, m, "b")
		e.snapshot(t, l, m)
		e.writeInto(t, l, m, "c")
		wantEvents(t, e.reopen(t, l, 2), "a", "b", "c")
	}},
	{"Snapshot: an owner that ends between manifest and purge leaves a log that replays, and the next one purges", func(t *testing.T, e *env) {
		l, m := e.open(t, 1)
		e.writeInto(t, l, m, "a")
		e.snapshot(t, l, m)
		e.writeInto(t, l, m, "b")
		e.SetNoPurge(e.name, true)
		e.manifest(t, l, m)
		e.writeInto(t, l, m, "c")
		got := e.reopen(t, l, 2)
		wantEvents(t, got, "a", "b", "c")
		first := e.info(t, e.name).First
		e.SetNoPurge(e.name, false)
		eventually(t, "the purge", func() bool { return e.info(t, e.name).First > first })
		_, next := e.open(t, 3)
		wantEvents(t, next.List, "a", "b", "c")
	}},
	{"Open: a purge of the previous owner under the replay does no harm", func(t *testing.T, e *env) {
		l, m := e.open(t, 1)
		e.writeInto(t, l, m, "a")
		e.writeInto(t, l, m, "b")
		base := l.Stats().LastSequence
		e.SetNoPurge(e.name, true)
		e.manifest(t, l, m)
		e.Tamper(e.name, 2, func([]byte) []byte { // the next owner reads the log when the purge takes effect
			if err := e.Streams.Purge(t.Context(), e.name, base+1); err != nil {
				t.Error(err)
			}
			return nil
		})
		restored := &countRestores{}
		next, err := e.try(t.Context(), 2, restored)
		if err != nil {
			t.Fatal(err)
		}
		stop(t, next)
		wantEvents(t, restored.List, "a", "b")
		if restored.restores != 1 {
			t.Errorf("%d restores, want 1", restored.restores)
		}
	}},
	{"settling: records that a newer owner purged already", func(t *testing.T, e *env) {
		old, _ := e.open(t, 1)
		write(t, old, "a")
		next, m := e.open(t, 2)
		e.writeInto(t, next, m, "b")
		e.snapshot(t, next, m)
		r := newResults()
		appendAll(t, old, r, "c")
		wantLost(t, old, journal.ErrFenced)
	}},
	{"Snapshot: a snapshot that was changed is not served", func(t *testing.T, e *env) {
		l, m := e.open(t, 1)
		e.writeInto(t, l, m, "a")
		e.snapshot(t, l, m)
		e.Tamper("SNAP_"+e.name, 1, func(b []byte) []byte { b[len(b)-1] ^= 1; return b })
		_, err := e.try(t.Context(), 2, &Events{})
		if err == nil || !strings.Contains(err.Error(), "stream SNAP_"+e.name+", sequence 1: crc") {
			t.Errorf("error is %v", err)
		}
	}},
	{"Close: a snapshot under way is abandoned", func(t *testing.T, e *env) {
		l, m := e.open(t, 1)
		e.writeInto(t, l, m, "a")
		e.SetNoChunks(e.name, true)
		l.Snapshot(m.State())
		wantEvents(t, e.reopen(t, l, 2), "a")
	}},
	{"Stats: figures of this moment", func(t *testing.T, e *env) {
		start := time.Now()
		e.opts.Level = journal.Disk
		l, m := e.open(t, 9)
		e.writeInto(t, l, m, "abc")
		s := l.Stats()
		if s.Level != journal.Disk || s.Epoch != 9 || s.Events != 1 || s.Batches != 1 || s.LastSequence != 2 || s.PendingBytes != 0 ||
			s.LogBytes < 1024+3 || s.StreamBytes < 3 || s.MaxBytes <= 0 || !s.SnapshotTime.IsZero() {
			t.Errorf("%+v", s)
		}
		e.snapshot(t, l, m)
		if s = l.Stats(); s.SnapshotBytes != len(m.State()) || s.SnapshotTime.Before(start) || s.LogBytes > 1200 {
			t.Errorf("%+v", s)
		}
	}},
}
