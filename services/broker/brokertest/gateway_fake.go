package brokertest

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/topic"
)

// GatewayConfig says who a Gateway is and where it publishes. The zero value has no router.
type GatewayConfig struct {
	Ref    broker.NodeRef    // zero: {"gateway", 1}
	Name   string            // of the node; "": the id and "@host"
	Topics int               // topic partitions; 0: 8
	Router broker.Router     // nil: there is none
	Node   broker.RouterNode // the router that owns all topic partitions; nil: there is none
}

// Gateway is a gateway in memory: clean sessions that record what they get. It implements broker.Gateway. Close it.
type Gateway struct {
	loop
	cfg     GatewayConfig
	flaws   flaws
	started time.Time
	routers *fakeRouters
	routes  *fakeAnnouncer
	outbox  *fakeOutbox
	sink    sinkState
	clients map[clientName]*Client
	dead    map[uint64]bool // incarnations of gateways that are gone
	denied  []string        // filters that only superusers may use
	turn    int
}

// Client is one clean session of a Gateway. It takes messages as they come, unless it is stalled.
type Client struct {
	g        *Gateway
	name     clientName
	user     string
	subs     []broker.Subscription
	queue    []*broker.Message // while stalled
	got      []*broker.Message
	stalled  bool
	ended    string // why the connection is over
	dropped  int
	received time.Time
}

// maxQueue bounds a stalled client's queue, in messages.
const maxQueue = 1000

// NewGateway makes a Gateway without clients.
func NewGateway(cfg GatewayConfig) *Gateway { return newGateway(cfg, nil) }

func newGateway(cfg GatewayConfig, f flaws) *Gateway {
	cfg.Ref = cmp.Or(cfg.Ref, broker.NodeRef{ID: "gateway", Incarnation: 1})
	cfg.Name, cfg.Topics = cmp.Or(cfg.Name, cfg.Ref.ID+"@host"), cmp.Or(cfg.Topics, 8)
	g := &Gateway{cfg: cfg, flaws: f, started: time.Now(), clients: map[clientName]*Client{}, dead: map[uint64]bool{}, routers: newFakeRouters()}
	if cfg.Node != nil {
		g.routers.add("router", cfg.Node)
	}
	o := broker.Origin{Kind: broker.FromGateway, Node: cfg.Ref, Epoch: cfg.Ref.Incarnation}
	g.routes = newFakeAnnouncer(&g.loop, f, o, g.routers, cfg.Topics)
	g.sink = newSinkState(&g.loop, f, func(inc uint64) error {
		if g.dead[inc] {
			return broker.E(broker.KindStale, "the source is gone", nil)
		}
		return nil
	})
	g.outbox = newFakeOutbox(cfg.Router, cfg.Topics, func() broker.NodeRef { return cfg.Ref },
		func(t int) broker.Source { return broker.Source{Incarnation: cfg.Ref.Incarnation, Topic: t} })
	return g
}

// Close ends all streams and waits for everything that runs.
func (g *Gateway) Close() {
	g.enter()
	g.sink.endAll(broker.E(broker.KindUnavailable, "gateway closed", nil))
	g.leave()
	g.routers.close()
	g.outbox.close()
}

// TopicPartition is where the fake believes that a topic or an exact filter lives.
func (g *Gateway) TopicPartition(tenant, name string) int { return hash(tenant, name, g.cfg.Topics) }

// StartRouter adds a router process that owns no topic partition.
func (g *Gateway) StartRouter(id string, node broker.RouterNode) broker.NodeRef {
	return g.routers.add(id, node)
}

// Deny forbids a filter, for both actions, to all but superusers.
func (g *Gateway) Deny(filter string) {
	g.enter()
	defer g.leave()
	g.denied = append(g.denied, filter)
}

// Connect makes a client with a clean session; one of the same id is ended.
func (g *Gateway) Connect(clientID, username string) *Client {
	g.enter()
	defer g.leave()
	k := clientName{"", clientID}
	if old := g.clients[k]; old != nil {
		old.end("conflict")
	}
	c := &Client{g: g, name: k, user: username, received: time.Now()}
	g.clients[k] = c
	return c
}

// end ends the connection with its session. Called with the lock held.
func (c *Client) end(why string) {
	c.ended = why
	delete(c.g.clients, c.name)
	var keys []routeName
	for _, sub := range c.subs {
		keys = append(keys, c.g.change(sub.Filter, -1))
	}
	c.g.routes.announce(keys, nil)
}

// change counts a member of a route. Called with the lock held.
func (g *Gateway) change(full string, n int) routeName {
	x, _ := topic.Parse(full)
	k := routeName{"", x.Filter, x.Group}
	g.routes.change(k, n, n)
	return k
}

// Subscribe adds subscriptions and returns when they are routed.
func (c *Client) Subscribe(ctx context.Context, subs ...broker.Subscription) ([]broker.SubscribeReply, error) {
	c.g.enter()
	var keys []routeName
	out := make([]broker.SubscribeReply, len(subs))
	for i, sub := range subs {
		if _, err := topic.Parse(sub.Filter); err != nil {
			out[i].Err = broker.E(broker.KindInvalid, "subscribe", err)
			continue
		}
		at := slices.IndexFunc(c.subs, func(x broker.Subscription) bool { return x.Filter == sub.Filter })
		if out[i].Existed = at >= 0; out[i].Existed {
			c.subs[at] = sub
		} else {
			c.subs = append(c.subs, sub)
			c.g.change(sub.Filter, 1)
		}
		x, _ := topic.Parse(sub.Filter)
		keys = append(keys, routeName{"", x.Filter, x.Group})
	}
	routed := make(chan struct{})
	if c.g.flaws.keeps(subackMeansRouted) {
		c.g.routes.announce(keys, func() { close(routed) })
	} else {
		c.g.routes.announce(keys, nil)
		close(routed)
	}
	c.g.leave()
	select {
	case <-routed:
		return out, nil
	case <-ctx.Done():
		return nil, broker.E(broker.KindCanceled, "subscribe", ctx.Err())
	}
}

// Unsubscribe removes subscriptions.
func (c *Client) Unsubscribe(filters ...string) []broker.SubscribeReply {
	c.g.enter()
	defer c.g.leave()
	out := make([]broker.SubscribeReply, len(filters))
	var keys []routeName
	for i, f := range filters {
		at := slices.IndexFunc(c.subs, func(x broker.Subscription) bool { return x.Filter == f })
		if at < 0 {
			out[i].Err = broker.E(broker.KindNotFound, "unsubscribe", nil)
			continue
		}
		out[i].Existed = true
		c.subs = slices.Delete(c.subs, at, at+1)
		keys = append(keys, c.g.change(f, -1))
	}
	c.g.routes.announce(keys, nil)
	return out
}

// Stall makes the client take nothing, or take everything again.
func (c *Client) Stall(stalled bool) {
	c.g.enter()
	defer c.g.leave()
	c.stalled = stalled
	if !stalled {
		c.got = append(c.got, c.queue...)
		c.queue = nil
	}
}

// Received is what the client took, in order.
func (c *Client) Received() []*broker.Message {
	c.g.enter()
	defer c.g.leave()
	return slices.Clone(c.got)
}

// Ended is why the connection is over, "" while it is not.
func (c *Client) Ended() string {
	c.g.enter()
	defer c.g.leave()
	return c.ended
}

// give hands a message to the client's queue. Called with the lock held.
func (c *Client) give(m *broker.Message) {
	switch {
	case !c.stalled:
		c.got = append(c.got, m)
	case len(c.queue) < maxQueue:
		c.queue = append(c.queue, m)
	default:
		c.dropped++
	}
}

// OpenDeliver implements broker.Sink.
func (g *Gateway) OpenDeliver(ctx context.Context, o broker.DeliverOpen, acks func([]broker.DeliverAck)) (broker.DeliverStream, error) {
	if err := ctx.Err(); err != nil {
		return nil, broker.E(broker.KindCanceled, "open deliver", err)
	}
	g.enter()
	defer g.leave()
	d, err := g.sink.open(o, acks, g.take)
	if err != nil {
		return nil, err
	}
	return d, nil
}

// SnapshotRoutes implements broker.RouteSource.
func (g *Gateway) SnapshotRoutes(ctx context.Context, q broker.SnapshotQuery, yield func([]broker.RouteDelta) error) (broker.SnapshotInfo, error) {
	return g.routes.snapshot(ctx, q, yield)
}

// take gives one delivery to the sessions that want it. Called with the lock held.
func (g *Gateway) take(d *broker.Delivery) broker.DeliverAck {
	found := false
	for _, c := range g.sorted() {
		if d.Plain && c.wants(d.Msg) {
			found = true
			c.give(d.Msg)
		}
	}
	for _, s := range d.Shares {
		found = g.share(d.Msg, s) || found
	}
	if found || !g.flaws.keeps(noSub) {
		return broker.DeliverAck{}
	}
	a := broker.DeliverAck{Result: broker.NoReceiver, Epoch: g.cfg.Ref.Incarnation, Version: g.routes.version}
	if d.Plain {
		a.Result = broker.NoSub
	}
	return a
}

func (c *Client) wants(m *broker.Message) bool {
	return c.name.tenant == m.Tenant && slices.ContainsFunc(c.subs, func(sub broker.Subscription) bool {
		x, err := topic.Parse(sub.Filter)
		return err == nil && !x.Shared && topic.Match(x.Filter, m.Topic)
	})
}

func (g *Gateway) sorted() []*Client {
	all := make([]*Client, 0, len(g.clients))
	for _, c := range g.clients {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *Client) int { return cmp.Compare(a.name.id, b.name.id) })
	return all
}

// share gives a copy to one member of its group, in turn. Called with the lock held.
func (g *Gateway) share(m *broker.Message, s broker.ShareCopy) bool {
	var members []*Client
	for _, c := range g.sorted() {
		if slices.ContainsFunc(c.subs, func(sub broker.Subscription) bool {
			x, err := topic.Parse(sub.Filter)
			return err == nil && x.Shared && x.Share() == s.Share
		}) {
			members = append(members, c)
		}
	}
	if len(members) == 0 {
		return false
	}
	g.turn++
	if !g.flaws.keeps(oneMember) {
		for _, c := range members {
			c.give(m)
		}
		return true
	}
	members[g.turn%len(members)].give(m)
	return true
}
