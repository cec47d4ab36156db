package integration_test

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/pando-mq/pando/services/journal"
	"github.com/pando-mq/pando/services/journal/journaltest"
)

// startNATS runs a JetStream server in this process that no socket leads to.
func startNATS(t testing.TB, dir string, sync bool) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		DontListen: true, NoLog: true, NoSigs: true, JetStream: true, StoreDir: dir, SyncAlways: sync,
		JetStreamMaxMemory: 1 << 40, JetStreamMaxStore: 1 << 40, // each stream reserves its MaxBytes
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the NATS server does not start")
	}
	t.Cleanup(func() { stopNATS(s) })
	return s
}

func stopNATS(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

// servers hands out in-process connections to whatever server runs at the moment.
type servers struct{ current atomic.Pointer[server.Server] }

func (s *servers) InProcessConn() (net.Conn, error) {
	if current := s.current.Load(); current != nil {
		return current.InProcessConn()
	}
	return nil, errors.New("no server runs")
}

func connect(t testing.TB, s nats.InProcessConnProvider) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect("", nats.InProcessServer(s), nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

func streams(t testing.TB, nc *nats.Conn, o journal.Options) journal.Streams {
	t.Helper()
	s, err := journal.NewJetStreams(nc, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestJournalOnJetStream(t *testing.T) {
	t.Parallel()
	for _, level := range []journal.Level{journal.Memory, journal.Disk} {
		t.Run(string(level), func(t *testing.T) {
			t.Parallel()
			nc := connect(t, startNATS(t, t.TempDir(), false))
			journaltest.Run(t, func(t *testing.T) journal.Streams { return streams(t, nc, journal.Options{Level: level}) })
		})
	}
}

// open takes a log over and closes it when the test ends.
func open(t testing.TB, s journal.Store, name string, epoch uint64, m journal.Machine) journal.Log {
	t.Helper()
	l, err := s.Open(t.Context(), name, journal.Owner{Epoch: epoch}, m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close(t.Context()) }) // an error only tells that the test ended first
	return l
}

// write appends one event and waits for its callback.
func write(t testing.TB, l journal.Log, event string) {
	t.Helper()
	done := make(chan error, 1)
	if err := l.Append([]byte(event), func(err error) { done <- err }); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("event %q does not get durable", event)
	}
}

func TestJournalStreamIsConfiguredAsDesigned(t *testing.T) {
	t.Parallel()
	nc := connect(t, startNATS(t, t.TempDir(), false))
	store, err := journal.NewJetStream(nc, journal.Options{Level: journal.Disk, MaxBytes: 1 << 20}, journal.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	m := &journaltest.Events{}
	l := open(t, store, "SS_3", 1, m)
	write(t, l, "a")
	l.Snapshot([]byte("\x01a"))
	for l.Stats().SnapshotTime.IsZero() {
		write(t, l, "b")
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"SS_3", "SNAP_SS_3"} {
		st, err := js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		c := st.CachedInfo().Config
		if c.Storage != jetstream.FileStorage || !c.AllowDirect || !c.DenyDelete || c.DenyPurge || c.Discard != jetstream.DiscardNew || c.MaxBytes <= 0 ||
			c.Replicas != 1 || c.PersistMode != jetstream.DefaultPersistMode || len(c.Subjects) != 1 || st.CachedInfo().State.Consumers != 0 {
			t.Errorf("stream %s: %+v", name, c)
		}
	}
}

func TestJournalRefusesALevelTheStreamDoesNotHave(t *testing.T) {
	t.Parallel()
	nc := connect(t, startNATS(t, t.TempDir(), false))
	inMemory := journal.New(streams(t, nc, journal.Options{Level: journal.Memory}), journal.Options{}, journal.Deps{})
	write(t, open(t, inMemory, "SS_3", 1, &journaltest.Events{}), "a")
	onDisk := journal.New(streams(t, nc, journal.Options{Level: journal.Fsync}), journal.Options{}, journal.Deps{})
	if _, err := onDisk.Open(t.Context(), "SS_3", journal.Owner{Epoch: 2}, &journaltest.Events{}); !errors.Is(err, journal.ErrLevel) {
		t.Errorf("error is %v, want ErrLevel", err)
	}
}

func TestJournalSurvivesARestartOfItsServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var running servers
	running.current.Store(startNATS(t, dir, true))
	store, err := journal.NewJetStream(connect(t, &running), journal.Options{Timeout: 200 * time.Millisecond}, journal.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	l := open(t, store, "SS_3", 1, &journaltest.Events{})
	write(t, l, "before")
	stopNATS(running.current.Swap(nil))
	done := make(chan error, 1)
	if err := l.Append([]byte("while"), func(err error) { done <- err }); err != nil {
		t.Fatal(err)
	}
	running.current.Store(startNATS(t, dir, true))
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	write(t, l, "after")
	m := &journaltest.Events{}
	open(t, store, "SS_3", 2, m)
	if want := []string{"before", "while", "after"}; !slices.Equal(m.List, want) {
		t.Errorf("replayed %q, want %q", m.List, want)
	}
}

// A log that is full to its limit can still take its snapshot, which makes room.
func TestJournalFullOfEventsMakesRoomByASnapshot(t *testing.T) {
	t.Parallel()
	nc := connect(t, startNATS(t, t.TempDir(), false))
	store, err := journal.NewJetStream(nc, journal.Options{Level: journal.Disk, MaxBytes: 1 << 20}, journal.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	l := open(t, store, "SS_3", 1, &journaltest.Events{})
	large := strings.Repeat("x", 30<<10)
	state := &journaltest.Events{}
	results := make(chan error, 200)
	full, durable := 0, 0
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for durable < cap(results) {
		if len(state.List) < cap(results) {
			err := l.Append([]byte(large), func(err error) { results <- err })
			switch {
			case err == nil:
				state.List = append(state.List, large)
				continue
			case !errors.Is(err, journal.ErrFull):
				t.Fatal(err)
			}
			full++
		}
		if s := l.Stats(); full > 100 && l.SnapshotDue() { // late, to let it fill up
			if s.StreamBytes > s.MaxBytes {
				t.Errorf("%d bytes in a stream of %d", s.StreamBytes, s.MaxBytes)
			}
			l.Snapshot(state.State())
		}
		select {
		case err := <-results:
			if durable++; err != nil {
				t.Fatal(err)
			}
		case <-tick.C:
		}
	}
	if l.Stats().SnapshotTime.IsZero() {
		t.Error("the log never made a snapshot")
	}
	m := &journaltest.Events{}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	open(t, store, "SS_3", 2, m)
	if !slices.Equal(m.List, state.List) {
		t.Errorf("replayed %d events, want %d", len(m.List), len(state.List))
	}
}

// A replay longer than one window of direct gets, over records that a purge left behind sequence 1.
func TestJournalReplaysManyWindows(t *testing.T) {
	t.Parallel()
	nc := connect(t, startNATS(t, t.TempDir(), false))
	store, err := journal.NewJetStream(nc, journal.Options{Level: journal.Disk, MaxRecord: 32, MaxSpacing: -1}, journal.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	l := open(t, store, "SS_3", 1, &journaltest.Events{})
	state := &journaltest.Events{}
	for i := range 3000 {
		event := fmt.Sprint("event ", i)
		state.List = append(state.List, event)
		if err := l.Append([]byte(event), nil); err != nil {
			t.Fatal(err)
		}
		if i == 400 {
			l.Snapshot(state.State())
		}
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := l.Stats(); s.Batches < 3000 || s.SnapshotTime.IsZero() {
		t.Errorf("%d batches, snapshot %v: the test shows nothing", s.Batches, s.SnapshotTime)
	}
	m := &journaltest.Events{}
	open(t, store, "SS_3", 2, m)
	if !slices.Equal(m.List, state.List) {
		t.Errorf("replayed %d events, want %d", len(m.List), len(state.List))
	}
}

// A replica that lags for ever answers every direct get with 404: the replay gets each record from the leader of the stream.
func TestJournalAsksTheLeaderForWhatAReplicaLacks(t *testing.T) {
	t.Parallel()
	nc := connect(t, startNATS(t, t.TempDir(), false))
	store, err := journal.NewJetStream(nc, journal.Options{Level: journal.Disk}, journal.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	l := open(t, store, "SS_3", 1, &journaltest.Events{})
	for _, event := range []string{"a", "b", "c"} {
		write(t, l, event)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	st, err := js.Stream(t.Context(), "SS_3")
	if err != nil {
		t.Fatal(err)
	}
	c := st.CachedInfo().Config
	c.AllowDirect = false // the stream itself answers no direct get any more
	if _, err := js.UpdateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int32
	_, err = nc.Subscribe("$JS.API.DIRECT.GET.SS_3", func(m *nats.Msg) {
		asked.Add(1)
		if err := m.RespondMsg(&nats.Msg{Header: nats.Header{"Status": {"404"}, "Description": {"Message Not Found"}}}); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	m := &journaltest.Events{}
	open(t, store, "SS_3", 2, m)
	if want := []string{"a", "b", "c"}; !slices.Equal(m.List, want) || asked.Load() == 0 {
		t.Errorf("replayed %q after %d direct gets, want %q", m.List, asked.Load(), want)
	}
}

func BenchmarkJournalAppend(b *testing.B) {
	for _, level := range []journal.Level{journal.Memory, journal.Disk, journal.Fsync} {
		b.Run(string(level), func(b *testing.B) {
			nc := connect(b, startNATS(b, b.TempDir(), level == journal.Fsync))
			store, err := journal.NewJetStream(nc, journal.Options{Level: level}, journal.Deps{})
			if err != nil {
				b.Fatal(err)
			}
			journaltest.BenchmarkAppend(b, open(b, store, "SS_3", 1, &journaltest.Events{}), 300)
		})
	}
}

// counter is the cheapest machine, so that the benchmark shows the log.
type counter struct{ events int }

func (c *counter) Restore([]byte) error { return nil }
func (c *counter) Apply([]byte) error   { c.events++; return nil }

func BenchmarkJournalReplayMillion(b *testing.B) {
	nc := connect(b, startNATS(b, b.TempDir(), false))
	store, err := journal.NewJetStream(nc, journal.Options{Level: journal.Disk}, journal.Deps{})
	if err != nil {
		b.Fatal(err)
	}
	l := open(b, store, "SS_3", 1, &counter{})
	event := make([]byte, 100)
	const million = 1_000_000
	for i := 0; i < million; {
		if err := l.Append(event, nil); err == nil {
			i++
		} else if !errors.Is(err, journal.ErrFull) {
			b.Fatal(err)
		}
	}
	if err := l.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
	epoch := uint64(2)
	for b.Loop() {
		c := &counter{}
		l := open(b, store, "SS_3", epoch, c)
		epoch++
		if c.events != million {
			b.Fatalf("replayed %d events", c.events)
		}
		if err := l.Close(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
