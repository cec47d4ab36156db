package authrpc_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/rpc/authrpc"
	"github.com/pando-mq/pando/services/rpc/rpctest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake answers with what the test prepared and keeps what it was asked.
type fake struct {
	calls     atomic.Int32
	got       []any
	err       error
	id        *broker.Identity
	answer    *broker.AuthAnswer
	decisions []broker.Decision
	users     []broker.User
	rules     []broker.Rule
	rule      broker.Rule
	rising    chan uint64
}

func (f *fake) note(args ...any) error {
	f.calls.Add(1)
	f.got = args
	return f.err
}

func (f *fake) Authenticate(_ context.Context, c *broker.Credentials) (*broker.Identity, error) {
	return f.id, f.note(*c)
}

func (f *fake) Exchange(_ context.Context, s *broker.AuthStep) (*broker.AuthAnswer, error) {
	return f.answer, f.note(*s)
}

func (f *fake) Authorize(_ context.Context, id *broker.Identity, a broker.Action, topics []string) ([]broker.Decision, error) {
	return f.decisions, f.note(*id, a, topics)
}

func (f *fake) WatchRules(ctx context.Context, fn func(uint64)) error {
	for {
		select {
		case g := <-f.rising:
			fn(g)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (f *fake) PutUser(_ context.Context, u broker.User) error { return f.note("user", u) }
func (f *fake) DeleteUser(_ context.Context, tenant, name string) error {
	return f.note("user", tenant, name)
}
func (f *fake) Users(_ context.Context, tenant, after string, limit int) ([]broker.User, error) {
	return f.users, f.note("users", tenant, after, limit)
}
func (f *fake) PutClientID(_ context.Context, u broker.User) error { return f.note("client id", u) }
func (f *fake) DeleteClientID(_ context.Context, tenant, id string) error {
	return f.note("client id", tenant, id)
}
func (f *fake) ClientIDs(_ context.Context, tenant, after string, limit int) ([]broker.User, error) {
	return f.users, f.note("client ids", tenant, after, limit)
}
func (f *fake) PutRule(_ context.Context, r broker.Rule) (broker.Rule, error) {
	return f.rule, f.note(r)
}
func (f *fake) DeleteRule(_ context.Context, id string) error { return f.note(id) }
func (f *fake) Rules(context.Context) ([]broker.Rule, error)  { return f.rules, f.note() }
func (f *fake) ReloadACL(context.Context) error               { return f.note("everywhere") }

// reloader can also reload alone.
type reloader struct{ *fake }

func (r reloader) ReloadLocalACL(context.Context) error { return r.note("here") }

func serve(r *rpctest.Rig, id string, impl authrpc.Service) *rpctest.Process {
	return r.Start(cluster.Auth, id, func(reg grpc.ServiceRegistrar) { authrpc.Register(reg, impl) })
}

func TestCallsCarryArgumentsAndResults(t *testing.T) {
	t.Parallel()
	r, f := rpctest.NewRig(t), &fake{}
	p := serve(r, "a1", reloader{f})
	c := authrpc.NewClient(r.Dialer, authrpc.Options{})
	id := rpctest.Example[broker.Identity](1)
	f.id, f.users, f.rules = &id, []broker.User{rpctest.Example[broker.User](2), {}}, []broker.Rule{rpctest.Example[broker.Rule](3), {}}
	f.rule, f.decisions = rpctest.Example[broker.Rule](4), []broker.Decision{rpctest.Example[broker.Decision](5), {}}
	cred := broker.Credentials{ClientID: "c", HasUser: true, Username: "u", HasPass: true, Password: broker.Secret("p")}
	user, rule, topics, ctx := rpctest.Example[broker.User](6), rpctest.Example[broker.Rule](7), []string{"a", "b/#"}, t.Context()
	for _, x := range []struct {
		name string
		call func() (any, error)
		args []any
		want any
	}{
		{"Authenticate", func() (any, error) { return c.Authenticate(ctx, &cred) }, []any{cred}, f.id},
		{"Authorize", func() (any, error) { return c.Authorize(ctx, &id, broker.ActionPublish, topics) }, []any{id, broker.ActionPublish, topics}, f.decisions},
		{"PutUser", func() (any, error) { return nil, c.PutUser(ctx, user) }, []any{"user", user}, nil},
		{"DeleteUser", func() (any, error) { return nil, c.DeleteUser(ctx, "t", "n") }, []any{"user", "t", "n"}, nil},
		{"Users", func() (any, error) { return c.Users(ctx, "t", "a", 5) }, []any{"users", "t", "a", 5}, f.users},
		{"PutClientID", func() (any, error) { return nil, c.PutClientID(ctx, user) }, []any{"client id", user}, nil},
		{"DeleteClientID", func() (any, error) { return nil, c.DeleteClientID(ctx, "t", "n") }, []any{"client id", "t", "n"}, nil},
		{"ClientIDs", func() (any, error) { return c.ClientIDs(ctx, "t", "a", 5) }, []any{"client ids", "t", "a", 5}, f.users},
		{"PutRule", func() (any, error) { return c.PutRule(ctx, rule) }, []any{rule}, f.rule},
		{"DeleteRule", func() (any, error) { return nil, c.DeleteRule(ctx, "r") }, []any{"r"}, nil},
		{"Rules", func() (any, error) { return c.Rules(ctx) }, nil, f.rules},
		{"ReloadACL", func() (any, error) { return nil, c.ReloadACL(ctx) }, []any{"everywhere"}, nil},
		{"one node", func() (any, error) { return nil, c.Node(p.Node).PutUser(ctx, user) }, []any{"user", user}, nil},
		{"ReloadLocalACL", func() (any, error) { return nil, c.Node(p.Node).ReloadLocalACL(ctx) }, []any{"here"}, nil},
	} {
		t.Run(x.name, func(t *testing.T) {
			f.got, f.err = nil, nil
			got, err := x.call()
			if err != nil {
				t.Fatal(err)
			}
			rpctest.Want(t, x.args, f.got)
			rpctest.Want(t, x.want, got)
			f.err = broker.E(broker.KindDenied, "look", nil)
			_, err = x.call()
			rpctest.WantKind(t, err, broker.KindDenied)
		})
	}
}

// Whatever goes wrong, nobody is let in.
func TestItFailsClosed(t *testing.T) {
	t.Parallel()
	r, f := rpctest.NewRig(t), &fake{}
	c := authrpc.NewClient(r.Dialer, authrpc.Options{})
	id, err := c.Authenticate(t.Context(), &broker.Credentials{})
	rpctest.WantKind(t, err, broker.KindUnavailable) // nobody is there
	if id != nil {
		t.Error("an identity came with the error")
	}
	serve(r, "a1", f)
	_, err = c.Authenticate(t.Context(), &broker.Credentials{}) // neither identity nor error
	rpctest.WantKind(t, err, broker.KindInternal)
	f.decisions = []broker.Decision{{Allow: true}}
	decisions, err := c.Authorize(t.Context(), &broker.Identity{}, broker.ActionPublish, []string{"a", "b"}) // one decision too few
	rpctest.WantKind(t, err, broker.KindInternal)
	if decisions != nil {
		t.Error("decisions came with the error")
	}
	_, err = c.Authorize(t.Context(), &broker.Identity{}, 0, []string{"a"})
	rpctest.WantKind(t, err, broker.KindInvalid)
	rpctest.WantKind(t, authrpc.NewClient(r.Dialer, authrpc.Options{}).Node(r.Cluster.View().Nodes(cluster.Auth)[0]).ReloadLocalACL(t.Context()), broker.KindInvalid)
}

func TestAnotherAuthsvcIsAsked(t *testing.T) {
	t.Parallel()
	r := rpctest.NewRig(t)
	first, second := &fake{id: &broker.Identity{ClientID: "1"}}, &fake{id: &broker.Identity{ClientID: "2"}}
	p := serve(r, "a1", first)
	serve(r, "a2", second)
	c := authrpc.NewClient(r.Dialer, authrpc.Options{})
	ask := func() string {
		t.Helper()
		id, err := c.Authenticate(t.Context(), &broker.Credentials{})
		if err != nil {
			t.Fatal(err)
		}
		return id.ClientID
	}
	if got := ask(); got != "1" {
		t.Fatalf("asked %s first", got)
	}
	rpctest.Stop(t, p.Server.Stop) // dead, and still in the view
	if got := ask(); got != "2" {
		t.Errorf("asked %s after the first had died", got)
	}
	if err := c.PutUser(t.Context(), broker.User{Name: "u"}); err != nil {
		t.Errorf("a change failed: %v", err)
	}
	if got := ask(); got != "2" {
		t.Errorf("went back to %s, which is dead", got)
	}
}

// A change whose outcome is unknown is not made again elsewhere.
func TestAChangeIsMadeOnce(t *testing.T) {
	t.Parallel()
	r := rpctest.NewRig(t)
	unavailable := broker.E(broker.KindUnavailable, "owner is not there", nil)
	first, second := &fake{err: unavailable}, &fake{err: unavailable}
	serve(r, "a1", first)
	serve(r, "a2", second)
	c := authrpc.NewClient(r.Dialer, authrpc.Options{})
	_, err := c.PutRule(t.Context(), broker.Rule{Index: -1})
	rpctest.WantKind(t, err, broker.KindUnavailable)
	if n := first.calls.Load() + second.calls.Load(); n != 1 {
		t.Errorf("the change was tried %d times", n)
	}
	_, err = c.Rules(t.Context())
	rpctest.WantKind(t, err, broker.KindUnavailable)
	if n := first.calls.Load() + second.calls.Load(); n != 3 {
		t.Errorf("the question was asked %d times, want of both", n-1)
	}
}

func TestWatchRules(t *testing.T) {
	t.Parallel()
	r := rpctest.NewRig(t)
	f := &fake{rising: make(chan uint64)}
	c := authrpc.NewClient(r.Dialer, authrpc.Options{})
	rpctest.WantKind(t, c.WatchRules(t.Context(), nil), broker.KindUnavailable)
	p := serve(r, "a1", f)
	seen, ended := make(chan uint64), make(chan error, 1)
	go func() { ended <- c.WatchRules(context.Background(), func(g uint64) { seen <- g }) }()
	for _, g := range []uint64{3, 4, 9} {
		f.rising <- g
		if got := rpctest.Await(t, seen); got != g {
			t.Fatalf("generation %d, want %d", got, g)
		}
	}
	rpctest.Stop(t, p.Server.Stop)
	rpctest.WantKind(t, rpctest.Await(t, ended), broker.KindUnavailable)

	serve(r, "a2", f)
	ctx, cancel := context.WithCancel(t.Context())
	rpctest.Eventually(t, func() bool { // the next calls reach the living one
		go func() { ended <- c.WatchRules(ctx, func(g uint64) { seen <- g }) }()
		select {
		case <-ended:
			return false
		case f.rising <- 10:
			return true
		case <-time.After(rpctest.Patience):
			return false
		}
	})
	rpctest.Await(t, seen)
	cancel()
	if err := rpctest.Await(t, ended); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
