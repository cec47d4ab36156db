package authsvc_test

import (
	"context"
	"sync"
	"testing"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/broker/brokertest"
)

// TestConformance runs the suite of the contract on two replicas with one journal. It is not parallel: beside so many databases other tests miss their deadlines.
func TestConformance(t *testing.T) {
	brokertest.TestAuth(t, func(t *testing.T) brokertest.AuthHarness {
		c := &conforming{suite: newSuite(t)}
		c.file = c.dir + "/acl.conf"
		write(t, c.file, "{allow, all}.\n")
		c.start(0)
		c.start(1)
		one, two := replica{c, 0}, replica{c, 1}
		return brokertest.AuthHarness{
			Auth: one, Admin: one, Other: two, OtherAdmin: two, NeverDenies: true,
			Restart:   c.restart,
			LoseRules: func() { c.end(0); c.start(0) },
			Break:     c.cutOff,
			WriteACL:  func(deny string) { write(t, c.file, `{deny, all, pubsub, ["`+deny+`"]}.`+"\n{allow, all}.\n") },
			BreakACL:  func() { write(t, c.file, "{allow, all") },
		}
	})
}

// conforming is a suite with two places for an authsvc each.
type conforming struct {
	*suite
	file string

	present sync.Mutex
	nodes   [2]*node
}

var conformingNames = [...]string{"a", "b"}

func (c *conforming) at(i int) *node {
	c.present.Lock()
	defer c.present.Unlock()
	return c.nodes[i]
}

func (c *conforming) start(i int) {
	c.t.Helper()
	cfg := config()
	cfg.ACLFile = c.file
	n := c.suite.start(conformingNames[i], cfg)
	c.present.Lock()
	defer c.present.Unlock()
	c.nodes[i] = n
}

// end stops one authsvc; who asks it meanwhile is told that it cannot decide.
func (c *conforming) end(i int) {
	c.t.Helper()
	c.stop(c.at(i))
}

// cutOff restarts the first authsvc while the journal cannot be read, so that it knows neither users nor rules.
func (c *conforming) cutOff() (heal func()) {
	c.t.Helper()
	c.end(0)
	c.faults.SetDown("AU", true)
	cfg := config()
	cfg.ACLFile = c.file
	n := c.join(conformingNames[0], cfg)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.t.Context()), patience)
	started := make(chan error, 1)
	go func() { started <- n.Start(ctx) }()
	c.present.Lock()
	c.nodes[0] = n
	c.present.Unlock()
	heal = sync.OnceFunc(func() {
		defer cancel()
		c.faults.SetDown("AU", false)
		must(c.t, <-started)
	})
	c.t.Cleanup(func() { heal(); c.stop(n) })
	return heal
}

func (c *conforming) restart() {
	c.t.Helper()
	c.end(0)
	c.end(1)
	c.start(0)
	c.start(1)
}

// replica is whichever authsvc is at one place.
type replica struct {
	c *conforming
	i int
}

func (r replica) Authenticate(ctx context.Context, c *broker.Credentials) (*broker.Identity, error) {
	return r.c.at(r.i).Authenticate(ctx, c)
}

func (r replica) Exchange(ctx context.Context, s *broker.AuthStep) (*broker.AuthAnswer, error) {
	return r.c.at(r.i).Exchange(ctx, s)
}

func (r replica) Authorize(ctx context.Context, id *broker.Identity, action broker.Action, topics []string) ([]broker.Decision, error) {
	return r.c.at(r.i).Authorize(ctx, id, action, topics)
}

func (r replica) WatchRules(ctx context.Context, fn func(uint64)) error {
	return r.c.at(r.i).WatchRules(ctx, fn)
}

func (r replica) PutUser(ctx context.Context, u broker.User) error {
	return r.c.at(r.i).PutUser(ctx, u)
}

func (r replica) DeleteUser(ctx context.Context, tenant, name string) error {
	return r.c.at(r.i).DeleteUser(ctx, tenant, name)
}

func (r replica) Users(ctx context.Context, tenant, after string, limit int) ([]broker.User, error) {
	return r.c.at(r.i).Users(ctx, tenant, after, limit)
}

func (r replica) PutClientID(ctx context.Context, u broker.User) error {
	return r.c.at(r.i).PutClientID(ctx, u)
}

func (r replica) DeleteClientID(ctx context.Context, tenant, clientID string) error {
	return r.c.at(r.i).DeleteClientID(ctx, tenant, clientID)
}

func (r replica) ClientIDs(ctx context.Context, tenant, after string, limit int) ([]broker.User, error) {
	return r.c.at(r.i).ClientIDs(ctx, tenant, after, limit)
}

func (r replica) PutRule(ctx context.Context, x broker.Rule) (broker.Rule, error) {
	return r.c.at(r.i).PutRule(ctx, x)
}

func (r replica) DeleteRule(ctx context.Context, id string) error {
	return r.c.at(r.i).DeleteRule(ctx, id)
}

func (r replica) Rules(ctx context.Context) ([]broker.Rule, error) { return r.c.at(r.i).Rules(ctx) }

func (r replica) ReloadACL(ctx context.Context) error { return r.c.at(r.i).ReloadACL(ctx) }
