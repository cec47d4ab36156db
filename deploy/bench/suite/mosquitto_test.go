package suite

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pando-mq/pando/deploy/bench/load"
	"github.com/pando-mq/pando/deploy/bench/scenario"
	"github.com/pando-mq/pando/deploy/bench/wire"
)

// peer starts mosquitto for one test.
func peer(t *testing.T) *stand {
	t.Helper()
	program, err := FindMosquitto()
	if err != nil {
		t.Fatalf("%v: it is Debian's package mosquitto", err)
	}
	m, err := newMosquitto(t.Context(), program, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := m.Kill(ctx); err != nil {
			t.Error(err)
		}
	})
	return &stand{broker: m, scale: Scale{}}
}

func exact(t *testing.T, r scenario.Result, err error) {
	t.Helper()
	b := r.Books
	if err != nil || b.Lost+b.Repeated+b.Disordered+b.Unacked+b.Foreign > 0 || len(b.Errors) > 0 {
		t.Errorf("%+v, %v", b, err)
	}
}

// Over every kind of connection, in both versions, at every QoS a real broker's deliveries are complete, and what it costs is measured.
func TestAgainstMosquitto(t *testing.T) {
	t.Parallel()
	s := peer(t)
	for _, kind := range []string{load.TCP, load.TLS, load.WS} {
		for _, version := range []byte{wire.V311, wire.V5} {
			for qos := range byte(3) {
				o, err := s.options(kind, 20)
				if err != nil {
					t.Fatal(err)
				}
				o.Version, o.Count, o.QoS, o.Inflight, o.Messages, o.Duration = version, 10, qos, 10, 3000, 30*time.Second
				r, err := scenario.P2P(t.Context(), o)
				exact(t, r, err)
				if r.Books.Sent != 3000 || r.Measure.Latency.Count != 3000 || r.Measure.Latency.P50 < 1 || r.PerUnit <= 0 || r.OwnUnit <= 0 {
					t.Errorf("%s, version %d, QoS %d: %d sent, latency %+v, CPU %g and own %g", kind, version, qos, r.Books.Sent, r.Measure.Latency, r.PerUnit, r.OwnUnit)
				}
			}
		}
	}
}

func TestKindsAgainstMosquitto(t *testing.T) {
	t.Parallel()
	s := peer(t)
	tests := []struct {
		name string
		run  func(context.Context, scenario.Options) (scenario.Result, error)
		set  func(*scenario.Options)
		want uint64 // deliveries
	}{
		{"fan-in", scenario.FanIn, func(o *scenario.Options) { o.Count, o.Topic, o.Filter = 20, "bench/in/%i", "bench/in/+" }, 200},
		{"shared", scenario.Shared, func(o *scenario.Options) {
			o.Count, o.Receivers, o.Topic, o.Filter = 20, 4, "bench/in/%i", "bench/in/+"
		}, 200},
		{"retained", scenario.Retained, func(o *scenario.Options) { o.Count, o.Receivers, o.Topic, o.Filter = 50, 3, "r/%i/v", "r/+/v" }, 150},
		{"subscriptions", scenario.Subs, func(o *scenario.Options) { o.Count, o.PerClient, o.Inflight = 5, 300, 1 }, 200},
		{"offline", scenario.Offline, func(o *scenario.Options) { o.Count, o.PerClient, o.AckOnly = 20, 7, true }, 140},
	}
	for _, tc := range tests {
		o, err := s.options(load.TCP, 30)
		if err != nil {
			t.Fatal(err)
		}
		o.QoS, o.Inflight, o.Messages, o.Duration, o.Prefix = 1, 5, 200, 30*time.Second, "test-"+tc.name
		tc.set(&o)
		r, err := tc.run(t.Context(), o)
		if exact(t, r, err); r.Books.Delivered != tc.want {
			t.Errorf("%s: %d delivered, want %d", tc.name, r.Books.Delivered, tc.want)
		}
	}
}

// mosquitto keeps nothing when it is killed: all that it acknowledged is reported as lost.
func TestOfflineFindsWhatAKillLoses(t *testing.T) {
	t.Parallel()
	s := peer(t)
	s.scale = Scale{Sessions: 10}
	r, err := offline(t.Context(), s)
	if err != nil || r.Lost != 1000 || r.Values[0] != 1000 || !strings.Contains(r.Note, "lost 1000") {
		t.Errorf("lost %d of 1000, %v: %s, %v", r.Lost, r.Values, r.Note, err)
	}
}

// The probe tells a broker that turns strangers away from one that does not.
func TestProbe(t *testing.T) {
	t.Parallel()
	m := peer(t).broker.(*mosquitto)
	set, err := m.Settings(t.Context())
	if err != nil || set.Authentication != on || set.ACL != on || !set.Counts || !strings.HasPrefix(set.Version, "2.") {
		t.Errorf("%+v, %v", set, err)
	}
	open := strings.Replace(m.text(), "allow_anonymous false", "allow_anonymous true", 1)
	open = strings.Replace(open, "acl_file", "#acl_file", 1)
	if err := m.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(m.config(), []byte(open), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	set, err = m.Settings(t.Context())
	if err != nil || set.Authentication != off || set.ACL != off || set.Counts || !strings.Contains(set.String(), "DOES NOT COUNT") {
		t.Errorf("an open broker: %+v, %v", set, err)
	}
}
