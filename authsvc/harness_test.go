package authsvc_test

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/pando-mq/pando/authsvc"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/journal"
	"github.com/pando-mq/pando/services/journal/journaltest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// suite is one cluster with one journal.
type suite struct {
	t       *testing.T
	memory  *cluster.Memory
	faults  *journaltest.Faults
	journal journal.Store
	dir     string

	mu    sync.Mutex
	nodes map[uint64]*node // by incarnation
}

// node is one authsvc in one incarnation.
type node struct {
	*authsvc.Service
	cluster cluster.Cluster
	member  cluster.Member
	dir     string
	metrics *prometheus.Registry
}

func newSuite(t *testing.T) *suite {
	t.Helper()
	faults := journaltest.NewFaults(journal.NewMemoryStreams())
	return &suite{
		t: t, memory: cluster.NewMemory(), faults: faults, dir: t.TempDir(), nodes: map[uint64]*node{},
		journal: journal.New(faults, journal.Options{Level: journal.Memory, SnapshotAfter: 2000}, journal.Deps{}),
	}
}

// config is the default one with cheap hashes.
func config() authsvc.Config {
	c := authsvc.Default()
	c.PasswordHash = "argon2id,64,1,1"
	return c
}

// join makes and registers an authsvc, started by nobody yet. Its files lie below the id.
func (s *suite) join(id string, cfg authsvc.Config) *node {
	s.t.Helper()
	c, err := s.memory.Join(cluster.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() }) // a member may be lost already
	m, err := c.Register(s.t.Context(), cluster.Node{Role: cluster.Auth, ID: id})
	if err != nil {
		s.t.Fatal(err)
	}
	n := &node{cluster: c, member: m, dir: filepath.Join(s.dir, id), metrics: prometheus.NewRegistry()}
	n.Service, err = authsvc.New(cfg, authsvc.Deps{
		Cluster: c, Member: m, Journal: s.journal, DataDir: n.dir, Peer: s.peer, Registerer: n.metrics,
		Log: slog.New(slog.NewTextHandler(s.t.Output(), nil)).With("authsvc", id),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	s.nodes[m.Node().Incarnation] = n
	s.mu.Unlock()
	return n
}

// peer is Deps.Peer: a killed authsvc does not answer.
func (s *suite) peer(n cluster.Node) broker.AuthAdmin {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.nodes[n.Incarnation]; p != nil {
		return p.Service
	}
	return deadPeer{}
}

// start starts an authsvc and stops it when the test ends.
func (s *suite) start(id string, cfg authsvc.Config) *node {
	s.t.Helper()
	n := s.join(id, cfg)
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	if err := n.Start(ctx); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { s.stop(n) })
	return n
}

// stop ends an authsvc, once.
func (s *suite) stop(n *node) {
	s.t.Helper()
	inc := n.member.Node().Incarnation
	s.mu.Lock()
	gone := s.nodes[inc] == nil
	delete(s.nodes, inc)
	s.mu.Unlock()
	if gone {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := errors.Join(n.Stop(ctx), n.member.Leave(ctx)); err != nil {
		s.t.Errorf("stop: %v", err)
	}
}

// kill takes the lease of an authsvc away without warning and then ends it.
func (s *suite) kill(n *node) {
	s.t.Helper()
	s.mu.Lock()
	delete(s.nodes, n.member.Node().Incarnation)
	s.mu.Unlock()
	now, cancel := context.WithCancel(context.Background())
	cancel()
	_ = n.member.Leave(now) // its error is the end of now
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := n.Stop(ctx); err != nil {
		s.t.Errorf("stop: %v", err)
	}
}

// owner waits until one of the nodes owns the journal and takes changes.
func (s *suite) owner(nodes ...*node) *node {
	s.t.Helper()
	var found *node
	s.eventually("an owner of the journal", func() bool {
		o, ok := nodes[0].cluster.View().Owner(cluster.AuthSpace, 0)
		for _, n := range nodes {
			if ok && n.member.Node().Incarnation == o.Node.Incarnation {
				found = n
			}
		}
		return found != nil
	})
	return found
}

// other is the node of two that n is not.
func other(n, a, b *node) *node {
	if n == a {
		return b
	}
	return a
}

func (s *suite) eventually(what string, ok func() bool) {
	s.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			s.t.Fatalf("waited in vain: %s", what)
		}
	}
}

// deadPeer answers as a process that is gone.
type deadPeer struct{ broker.AuthAdmin }

func (deadPeer) PutUser(context.Context, broker.User) error {
	return broker.E(broker.KindUnavailable, "dial", nil)
}

// must fails the test on an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantKind(t *testing.T, err error, want broker.Kind) {
	t.Helper()
	if err == nil || broker.KindOf(err) != want {
		t.Errorf("got error %v, want kind %q", err, want)
	}
}

var peerAddr = netip.MustParseAddrPort("192.0.2.7:40000")

// credentials of a client with a user name and a password, "" for none.
func credentials(clientID, username, password string) *broker.Credentials {
	return &broker.Credentials{
		ClientID: clientID, Username: username, HasUser: username != "", Password: broker.Secret(password), HasPass: password != "",
		Peer: peerAddr, Protocol: "mqtt", Version: 5, Listener: "mqtt:tcp:0.0.0.0:1883",
	}
}

func (n *node) login(t *testing.T, clientID, username, password string) (*broker.Identity, error) {
	t.Helper()
	return n.Authenticate(t.Context(), credentials(clientID, username, password))
}

// allowed asks for one decision.
func (n *node) allowed(t *testing.T, id *broker.Identity, action broker.Action, topic string) broker.Decision {
	t.Helper()
	list, err := n.Authorize(t.Context(), id, action, []string{topic})
	must(t, err)
	if len(list) != 1 {
		t.Fatalf("%d decisions for one topic", len(list))
	}
	return list[0]
}

// generation is what WatchRules says first.
func (n *node) generation(t *testing.T) (g uint64) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if err := n.WatchRules(ctx, func(generation uint64) { g = generation; cancel() }); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	return g
}

func write(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o750))
	next := path + ".new"
	must(t, os.WriteFile(next, []byte(text), 0o600))
	must(t, os.Rename(next, path))
}

func yes() *bool { v := true; return &v }
func no() *bool  { v := false; return &v }
