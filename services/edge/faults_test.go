package edge_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/broker/brokertest"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/edge"
	"github.com/pando-mq/pando/services/edge/edgetest"
)

// TestPromisesHoldOverFaultyServices runs an edge whose router and session partitions delay, repeat and refuse, and break streams after they took what was
// on them: every publish is answered, everybody gets everything once and in order, at QoS 2 on a live connection nothing twice.
func TestPromisesHoldOverFaultyServices(t *testing.T) {
	t.Parallel()
	came := map[string]int{}
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			f := newFaulty(t, seed)
			f.run()
			for _, counts := range []map[string]int{f.router.Counts(), f.sessions.Counts()} {
				for kind, n := range counts {
					came[kind] += n
				}
			}
		})
	}
	if kinds := slices.Sorted(maps.Keys(came)); !slices.Equal(kinds, []string{"delay", "drop", "duplicate", "refuse"}) {
		t.Errorf("faults that came: %v", came)
	}
}

// faulty is two gateways over faulty services.
type faulty struct {
	t        *testing.T
	b        *edgetest.Backend
	router   *brokertest.FaultyRouter
	sessions *brokertest.FaultySessions
	edges    [2]*edge.Edge
}

func newFaulty(t *testing.T, seed uint64) *faulty {
	t.Helper()
	b := edgetest.New(t)
	faults := brokertest.Faults{Seed: seed, Refuse: 0.3, Delay: 0.2, Drop: 0.1, Duplicate: 0.2, MaxDelay: 2 * time.Millisecond}
	f := &faulty{t: t, b: b, router: brokertest.NewFaultyRouter(b.Router, faults), sessions: brokertest.NewFaultySessions(b.Sessions, faults)}
	t.Cleanup(f.router.Close)
	t.Cleanup(f.sessions.Close)
	for i := range f.edges {
		f.edges[i] = b.Edge(t, func(_ *edge.Config, d *edge.Deps) {
			d.Router, d.Sessions = f.router, f.sessions
			d.Routers = func(cluster.Node) broker.RouterNode { return f.router.Node(b.Router) }
		})
	}
	return f
}

func (f *faulty) run() {
	t := f.t
	clean, kept := f.b.Connect(t, f.edges[0], edgetest.Clean("clean")), f.b.Connect(t, f.edges[0], edgetest.Persistent("kept"))
	for _, d := range []*edgetest.Device{clean, kept} {
		d.AutoAck()
		granted(t, d.Subscribe(2, "one/+", "two/+"))
	}
	sources := []*faultySource{
		{f: f, id: "a", topic: "one/a", qos: 1, request: edgetest.Clean}, {f: f, id: "b", topic: "two/b", qos: 2, request: edgetest.Clean},
		{f: f, id: "c", topic: "one/c", qos: 1, request: edgetest.Persistent}, {f: f, id: "d", topic: "two/d", qos: 2, request: edgetest.Persistent},
	}
	for round := range 2 { // the second one from the other gateway
		for _, s := range sources {
			s.d = f.b.Connect(t, f.edges[(round+1)%2], s.request(s.id))
		}
		for range 15 {
			for _, s := range sources {
				s.publish()
			}
		}
		for _, s := range sources {
			s.finish()
		}
	}
	f.router.Heal()
	f.sessions.Heal()
	for _, d := range []*edgetest.Device{clean, kept} {
		got := d.WaitGot(len(sources) * 30)
		for _, s := range sources {
			s.check(got)
		}
		if len(got) != len(sources)*30 {
			t.Errorf("%d deliveries", len(got))
		}
		if n := len(d.Kicks()); n != 0 {
			t.Errorf("kicked: %v", d.Kicks())
		}
	}
}

// faultySource is one publisher with up to four publishes under way.
type faultySource struct {
	f       *faulty
	id      string
	topic   string
	qos     broker.QoS
	request func(string) edge.ConnectRequest
	d       *edgetest.Device
	sent    int
	answers []<-chan edge.PublishResult
}

func (s *faultySource) publish() {
	s.answers = append(s.answers, s.d.Publish(s.topic, fmt.Sprint(s.sent), s.qos, uint16(s.sent+1)))
	s.sent++
	if len(s.answers) == 4 {
		s.answered()
	}
}

// answered waits for the first answer, and releases a QoS 2 message.
func (s *faultySource) answered() {
	s.f.t.Helper()
	r := receive(s.f.t, s.answers[0])
	s.answers = s.answers[1:]
	if r.Err != nil || r.Repeated {
		s.f.t.Fatalf("publish %d of %s: %+v", r.PacketID, s.id, r)
	}
	if s.qos < 2 {
		return
	}
	released := make(chan error, 1)
	s.d.Do(func(c *edge.Conn) {
		c.Release(r.PacketID, func(_ uint16, known bool, err error) { released <- err })
	})
	if err := receive(s.f.t, released); err != nil {
		s.f.t.Fatalf("release %d of %s: %v", r.PacketID, s.id, err)
	}
}

func (s *faultySource) finish() {
	s.f.t.Helper()
	for len(s.answers) > 0 {
		s.answered()
	}
}

// check wants every message of this source once and in order.
func (s *faultySource) check(got []edgetest.Got) {
	s.f.t.Helper()
	next := 0
	for _, g := range got {
		if g.Topic != s.topic {
			continue
		}
		if g.Payload != fmt.Sprint(next) || g.QoS != s.qos {
			s.f.t.Fatalf("%s brought %s at QoS %d, want %d", s.topic, g.Payload, g.QoS, next)
		}
		next++
	}
	if next != s.sent {
		s.f.t.Errorf("%s brought %d messages of %d", s.topic, next, s.sent)
	}
}
