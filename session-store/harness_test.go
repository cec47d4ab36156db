package sessionstore_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	sessionstore "github.com/pando-mq/pando/session-store"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/broker/brokertest"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/hook"
	"github.com/pando-mq/pando/services/journal"
	"github.com/pando-mq/pando/services/journal/journaltest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	topics   = 4
	sessions = 2
)

// world is a cluster in memory and in virtual time: one session-store at a time, a router and gateways that are fakes.
type world struct {
	t       *testing.T
	memory  *cluster.Memory
	cluster cluster.Cluster
	faults  *journaltest.Faults
	cfg     sessionstore.Config
	router  *router
	stores  int
	store   *sessionstore.Store
	member  cluster.Member
	tier    *tier
	gws     map[uint64]*gateway
	silent  *silent                  // stands in for all gateways
	front   *brokertest.FaultyRouter // non-nil: stands before the router, and before the tier for what is delivered

	snapshotAfter int64

	hooks *hook.Chains // of all stores
	ended []string     // sessions that session.terminated told of

	alarmed []string // what QueueAlarm of all stores heard
	alarmMu sync.Mutex
}

// terminations takes what session.terminated told since the last call, as "client, user name and reason".
func (w *world) terminations() []string {
	settle()
	w.alarmMu.Lock()
	defer w.alarmMu.Unlock()
	told := w.ended
	w.ended = nil
	return told
}

// listen hears session.terminated.
func (w *world) listen() {
	w.hooks = &hook.Chains{}
	err := w.hooks.SessionTerminated.Add(hook.Hook[hook.Terminated, hook.None]{Name: "test", Run: func(e hook.Terminated, _ hook.None) (hook.None, hook.Verdict) {
		w.alarmMu.Lock()
		defer w.alarmMu.Unlock()
		w.ended = append(w.ended, e.Client.ClientID+" "+e.Client.Username+" "+e.Reason)
		return hook.None{}, hook.OK
	}})
	if err != nil {
		w.t.Fatal(err)
	}
}

// alarm is Deps.QueueAlarm.
func (w *world) alarm(id *broker.Identity, high bool, queued int) {
	w.alarmMu.Lock()
	defer w.alarmMu.Unlock()
	w.alarmed = append(w.alarmed, fmt.Sprintf("%s %t %d", id.ClientID, high, queued))
}

// alarms takes what was heard since the last call.
func (w *world) alarms() []string {
	w.alarmMu.Lock()
	defer w.alarmMu.Unlock()
	heard := w.alarmed
	w.alarmed = nil
	return heard
}

// run runs a test in a world of its own.
func run(t *testing.T, test func(*testing.T, *world), change ...func(*sessionstore.Config)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &world{
			t: t, memory: cluster.NewMemory(), faults: journaltest.NewFaults(journal.NewMemoryStreams()), cfg: sessionstore.DefaultConfig(),
			router: newRouter(), tier: &tier{}, gws: map[uint64]*gateway{},
		}
		for _, fn := range change {
			fn(&w.cfg)
		}
		w.listen()
		w.cluster = w.join()
		defer func() { _ = w.cluster.Close() }()
		r, err := w.cluster.Register(w.t.Context(), cluster.Node{Role: cluster.Router, ID: "r1"})
		if err != nil {
			t.Fatal(err)
		}
		var hosting sync.WaitGroup
		ctx, cancel := context.WithCancel(context.Background())
		hosting.Go(func() { _ = r.Host(ctx, cluster.TopicSpace, idle{}) })
		defer hosting.Wait()
		defer cancel()
		w.startStore()
		defer w.stopStore()
		test(t, w)
	})
}

func (w *world) join() cluster.Cluster {
	w.t.Helper()
	c, err := w.memory.Join(cluster.Options{Bootstrap: cluster.Meta{Partitions: map[cluster.Space]int{cluster.TopicSpace: topics, cluster.SessionSpace: sessions, cluster.RetainedSpace: 1}}})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// startStore starts the next session-store, which takes over all partitions.
func (w *world) startStore() {
	w.t.Helper()
	w.stores++
	m, err := w.cluster.Register(w.t.Context(), cluster.Node{Role: cluster.SessionStore, ID: fmt.Sprintf("s%d", w.stores)})
	if err != nil {
		w.t.Fatal(err)
	}
	s, err := sessionstore.New(w.cfg, sessionstore.Deps{
		Cluster: w.cluster, Member: m, Router: w.routers(), Routers: func(cluster.Node) broker.RouterNode { return w.routerNode() }, Sessions: w.sinks(),
		Gateways: func(n cluster.Node) broker.Gateway {
			if w.silent != nil {
				return w.silent
			}
			return w.gws[n.Incarnation]
		},
		Journal: w.journal(), QueueAlarm: w.alarm, Hooks: w.hooks,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.store, w.member = s, m
	w.tier.set(s)
	if err := s.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	settle()
}

// faulty puts faults before everything that a session-store talks to, and before what is delivered to it, from the next store on.
func (w *world) faulty(f brokertest.Faults) {
	w.front = brokertest.NewFaultyRouter(withTier{w.router, w.tier}, f)
}

// withTier is the router of a test, with the session partitions behind OpenDeliver.
type withTier struct {
	*router
	tier *tier
}

func (x withTier) OpenDeliver(ctx context.Context, o broker.DeliverOpen, acks func([]broker.DeliverAck)) (broker.DeliverStream, error) {
	return x.tier.OpenDeliver(ctx, o, acks)
}

func (w *world) routers() broker.Router {
	if w.front != nil {
		return w.front
	}
	return w.router
}

func (w *world) routerNode() broker.RouterNode {
	if w.front != nil {
		return w.front.Node(w.router)
	}
	return w.router
}

func (w *world) sinks() broker.Sink {
	if w.front != nil {
		return w.front
	}
	return w.tier
}

func (w *world) stopStore() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := w.store.Stop(ctx); err != nil {
		w.t.Error(err)
	}
	_ = w.member.Leave(ctx)
	settle()
}

// kill ends the session-store as if its process died: its lease is over, what was not durable is lost. Wherever everything was durable, the replay of the log
// must give the state that was there.
func (w *world) kill() {
	w.t.Helper()
	var states [sessions][]byte
	var same [sessions]func() bool
	for n := range states {
		states[n], same[n] = w.store.State(n)
	}
	w.member.(interface{ Expire(context.Context) }).Expire(context.Background())
	settle()
	w.stopStore()
	for n, state := range states {
		if state != nil && same[n]() && !bytes.Equal(w.replayed(n), state) {
			w.t.Fatalf("partition %d: the replay of the log is not the state that was there", n)
		}
	}
}

// replayed is the state that the log of a partition gives.
func (w *world) replayed(n int) []byte {
	w.t.Helper()
	m := sessionstore.NewMachine(w.cfg.Session, topics)
	log, err := w.journal().Open(w.t.Context(), fmt.Sprintf("SS_%d", n), journal.Owner{Epoch: w.cluster.View().Revision}, m)
	if err != nil {
		w.t.Fatal(err)
	}
	_ = log.Close(w.t.Context())
	return m.State()
}

func (w *world) journal() journal.Store {
	return journal.New(w.faults, journal.Options{Level: journal.Memory, SnapshotAfter: w.snapshotAfter}, journal.Deps{})
}

// fail kills the session-store and starts the next one; gateways announce themselves to it.
func (w *world) fail() {
	w.t.Helper()
	w.kill()
	w.startStore()
}

// pause makes the lease of the session-store uncertain.
func (w *world) pause() {
	w.member.(interface{ Pause() }).Pause()
	time.Sleep(27 * time.Second)
	settle()
}

func (w *world) resume() {
	w.member.(interface{ Resume() }).Resume()
	time.Sleep(3 * time.Second)
	settle()
}

// over waits for the end of a stream.
func (w *world) over(done <-chan struct{}) {
	w.t.Helper()
	select {
	case <-done:
	case <-time.After(time.Minute):
		w.t.Fatal("the stream did not end")
	}
}

// settle lets everything happen that happens at once.
func settle() {
	time.Sleep(50 * time.Millisecond)
	synctest.Wait()
}

func partitionOf(id string) int { return cluster.Partition("", id, sessions) }

func logOf(id string) string { return fmt.Sprintf("SS_%d", partitionOf(id)) }

// idle takes every partition and does nothing.
type idle struct{}

func (idle) Acquire(context.Context, cluster.Claim) error { return nil }
func (idle) Release(context.Context, int)                 {}

// tier is the sink of all session partitions: whichever store there is.
type tier struct {
	mu     sync.Mutex
	s      *sessionstore.Store
	refuse bool
}

func (t *tier) setRefuse(refuse bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refuse = refuse
}

func (t *tier) set(s *sessionstore.Store) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.s = s
}

func (t *tier) OpenDeliver(ctx context.Context, o broker.DeliverOpen, acks func([]broker.DeliverAck)) (broker.DeliverStream, error) {
	t.mu.Lock()
	s, refuse := t.s, t.refuse
	t.mu.Unlock()
	if refuse {
		return nil, broker.E(broker.KindUnavailable, "refused by the test", nil)
	}
	return s.OpenDeliver(ctx, o, acks)
}

// sent is one publish that reached the fake router.
type sent struct {
	source broker.Source
	broker.Publish
	at time.Time // when
}

// router is a fake of the tier of routers: it records publishes, answers them when it is told to, and holds retained messages.
type router struct {
	broker.Router // what a session-store does not use

	mu       sync.Mutex
	got      []sent
	silent   bool // do not answer publishes
	refuse   bool // no new streams, no route updates
	deltas   []broker.RouteDelta
	retained []*broker.Message
	broken   int // reads of retained messages that break off after the first message
	numbers  map[broker.Source]uint64
	stale    int // streams with a number that was not above the last

	held  string // who has every exclusive topic
	epoch uint64 // of topic partitions
	move  bool   // the epoch changes behind the next claim
}

func newRouter() *router { return &router{numbers: map[broker.Source]uint64{}} }

func (r *router) set(change func(*router)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(r)
}

// published lists the topics and payloads that came in, without the repeats that a cursor would drop.
func (r *router) published() (all []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	cursors := map[broker.Source]uint64{}
	for _, s := range r.got {
		if s.Seq <= cursors[s.source] {
			continue
		}
		cursors[s.source] = s.Seq
		text := s.Msg.Topic + "=" + string(s.Msg.Payload)
		if s.Share != nil {
			text = "$share/" + s.Share.Group + "/" + s.Share.Filter + " " + text
		}
		all = append(all, text)
	}
	return all
}

func (r *router) OpenPublish(_ context.Context, o broker.PublishOpen, acks func([]broker.PublishAck)) (broker.PublishStream, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refuse {
		return nil, broker.E(broker.KindUnavailable, "refused by the test", nil)
	}
	if o.Stream <= r.numbers[o.Source] {
		r.stale++
		return nil, broker.Errorf(broker.KindStale, "stream %d, seen %d", o.Stream, r.numbers[o.Source])
	}
	r.numbers[o.Source] = o.Stream
	return &publishStream{r: r, source: o.Source, acks: acks, done: make(chan struct{})}, nil
}

type publishStream struct {
	r      *router
	source broker.Source
	acks   func([]broker.PublishAck)
	done   chan struct{}
	once   sync.Once
}

func (s *publishStream) Epoch() uint64         { return 1 }
func (s *publishStream) Done() <-chan struct{} { return s.done }
func (s *publishStream) Err() error            { return broker.E(broker.KindUnavailable, "closed", nil) }
func (s *publishStream) Close()                { s.once.Do(func() { close(s.done) }) }
func (s *publishStream) Send(batch []broker.Publish) error {
	s.r.mu.Lock()
	for _, p := range batch {
		s.r.got = append(s.r.got, sent{s.source, p, time.Now()})
	}
	silent := s.r.silent
	s.r.mu.Unlock()
	if !silent {
		s.acks([]broker.PublishAck{{Seq: batch[len(batch)-1].Seq, Matched: true}})
	}
	return nil
}

func (r *router) UpdateRoutes(_ context.Context, u broker.RouteUpdate) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refuse {
		return broker.E(broker.KindUnavailable, "refused by the test", nil)
	}
	r.deltas = append(r.deltas, u.Deltas...)
	return nil
}

func (r *router) ReadRetainedPartition(context.Context, int, broker.RetainedQuery, func([]*broker.Message) error) error {
	return nil
}

func (r *router) ReadRetained(_ context.Context, q broker.RetainedQuery, yield func([]*broker.Message) error) error {
	r.mu.Lock()
	list, broken := r.retained, r.broken > 0
	r.broken--
	r.mu.Unlock()
	for i, m := range list {
		if broken && i == 1 {
			return broker.E(broker.KindUnavailable, "broken off by the test", nil)
		}
		if q.Filter == "#" || q.Filter == m.Topic {
			if err := yield([]*broker.Message{m}); err != nil {
				return err
			}
		}
	}
	return nil
}

// route is the newest delta of a filter.
func (r *router) route(filter, group string) (last broker.RouteDelta) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range r.deltas {
		if d.Filter == filter && d.Group == group {
			last = d
		}
	}
	return last
}
