package fleettest

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pando-mq/pando/services/broker"
)

// process can be made to fail or to be silent.
type process struct {
	mu     sync.Mutex
	err    error
	silent bool
}

// Fail has every call answer err; nil ends that.
func (p *process) Fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
}

// Silence has every call wait until its context ends.
func (p *process) Silence() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = true
}

// lock is at the begin of each call; unlock ends it. An error: the process does not answer, and nothing is locked.
func (p *process) lock(ctx context.Context) error {
	p.mu.Lock()
	if p.silent {
		p.mu.Unlock()
		<-ctx.Done()
		return ctx.Err()
	}
	if p.err != nil {
		defer p.mu.Unlock()
		return p.err
	}
	return nil
}

// Gateway answers from tables.
type Gateway struct {
	process
	name       string
	info       broker.NodeInfo
	clients    []broker.ClientInfo
	subs       map[string][]broker.Subscription
	published  []Published
	flushed    []string
	controlled []string
	kicked     map[string]string
}

// Published is what Inject took.
type Published struct {
	As  broker.Identity
	Msg broker.Message
}

// Add connects a client; its node is filled in.
func (g *Gateway) Add(c broker.ClientInfo, subs ...broker.Subscription) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c.Node = g.name
	g.clients = append(g.clients, c)
	g.subs[c.ClientID] = subs
}

// SetInfo is what Node answers; name, role and the count of clients are filled in.
func (g *Gateway) SetInfo(i broker.NodeInfo) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.info = i
}

// Published is what was injected, in order.
func (g *Gateway) Published() []Published {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.published)
}

// Kicked is the reason a client was kicked for.
func (g *Gateway) Kicked(clientID string) (string, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	reason, ok := g.kicked[clientID]
	return reason, ok
}

// Flushed are the client ids of FlushACL, in order.
func (g *Gateway) Flushed() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.flushed)
}

// Node implements broker.GatewayAdmin.
func (g *Gateway) Node(ctx context.Context) (broker.NodeInfo, error) {
	if err := g.lock(ctx); err != nil {
		return broker.NodeInfo{}, err
	}
	defer g.mu.Unlock()
	i := g.info
	i.Name, i.Role, i.Clients = g.name, "gateway", len(g.clients)
	return i, nil
}

// Clients implements broker.GatewayAdmin.
func (g *Gateway) Clients(ctx context.Context, q broker.ClientQuery) ([]broker.ClientInfo, error) {
	if err := g.lock(ctx); err != nil {
		return nil, err
	}
	defer g.mu.Unlock()
	return selected(q, g.clients, func(c broker.ClientInfo) (string, string, string) { return c.ClientID, c.Username, c.Node }), nil
}

// ClientSubscriptions implements broker.GatewayAdmin; the limit counts clients.
func (g *Gateway) ClientSubscriptions(ctx context.Context, q broker.ClientQuery) ([]broker.SubscriptionInfo, error) {
	if err := g.lock(ctx); err != nil {
		return nil, err
	}
	defer g.mu.Unlock()
	var rows []broker.SubscriptionInfo
	for _, c := range selected(q, g.clients, func(c broker.ClientInfo) (string, string, string) { return c.ClientID, c.Username, c.Node }) {
		for _, s := range g.subs[c.ClientID] {
			rows = append(rows, broker.SubscriptionInfo{ClientID: c.ClientID, Node: g.name, Subscription: s})
		}
	}
	return rows, nil
}

// selected is one page in order.
func selected[R any](q broker.ClientQuery, all []R, of func(R) (id, user, node string)) []R {
	var rows []R
	for _, r := range all {
		id, user, node := of(r)
		if id > q.After && (q.ClientID == "" || id == q.ClientID) && strings.Contains(id, q.Contains) &&
			(q.Username == "" || user == q.Username) && (q.Node == "" || node == q.Node) && q.Tenant == broker.DefaultTenant {
			rows = append(rows, r)
		}
	}
	slices.SortFunc(rows, func(a, b R) int {
		x, _, _ := of(a)
		y, _, _ := of(b)
		return cmp.Compare(x, y)
	})
	limit := q.Limit
	if limit <= 0 {
		limit = fleetDefault
	}
	return rows[:min(limit, fleetMost, len(rows))]
}

const fleetDefault, fleetMost = 100, 1000

func (g *Gateway) find(clientID, op string) (int, error) {
	i := slices.IndexFunc(g.clients, func(c broker.ClientInfo) bool { return c.ClientID == clientID })
	if i < 0 {
		return i, broker.E(broker.KindNotFound, op, nil)
	}
	return i, nil
}

// Kick implements broker.GatewayAdmin.
func (g *Gateway) Kick(ctx context.Context, _, clientID, reason string) error {
	if err := g.lock(ctx); err != nil {
		return err
	}
	defer g.mu.Unlock()
	i, err := g.find(clientID, "kick")
	if err != nil {
		return err
	}
	g.clients = slices.Delete(g.clients, i, i+1)
	if g.kicked == nil {
		g.kicked = map[string]string{}
	}
	g.kicked[clientID] = reason
	return nil
}

// Inject implements broker.GatewayAdmin; topics below "nobody/" match nobody, those below "denied/" are refused without superuser.
func (g *Gateway) Inject(ctx context.Context, as broker.Identity, m *broker.Message) (broker.PublishAck, error) {
	if err := g.lock(ctx); err != nil {
		return broker.PublishAck{}, err
	}
	defer g.mu.Unlock()
	if strings.HasPrefix(m.Topic, "denied/") && !as.Superuser {
		return broker.PublishAck{}, broker.E(broker.KindDenied, "publish", nil)
	}
	g.published = append(g.published, Published{as, *m})
	return broker.PublishAck{Matched: !strings.HasPrefix(m.Topic, "nobody/")}, nil
}

// SubscribeFor implements broker.GatewayAdmin; filters below "quota/" are refused.
func (g *Gateway) SubscribeFor(ctx context.Context, _, clientID string, subs []broker.Subscription) ([]broker.SubscribeReply, error) {
	if err := g.lock(ctx); err != nil {
		return nil, err
	}
	defer g.mu.Unlock()
	if _, err := g.find(clientID, "subscribe"); err != nil {
		return nil, err
	}
	replies := make([]broker.SubscribeReply, len(subs))
	for i, s := range subs {
		if strings.HasPrefix(s.Filter, "quota/") {
			replies[i].Err = broker.E(broker.KindQuota, "subscribe", nil)
			continue
		}
		g.subs[clientID] = append(g.subs[clientID], s)
	}
	return replies, nil
}

// UnsubscribeFor implements broker.GatewayAdmin.
func (g *Gateway) UnsubscribeFor(ctx context.Context, _, clientID string, filters []string) ([]broker.SubscribeReply, error) {
	if err := g.lock(ctx); err != nil {
		return nil, err
	}
	defer g.mu.Unlock()
	if _, err := g.find(clientID, "unsubscribe"); err != nil {
		return nil, err
	}
	replies := make([]broker.SubscribeReply, len(filters))
	for i, f := range filters {
		at := slices.IndexFunc(g.subs[clientID], func(s broker.Subscription) bool { return s.Filter == f })
		if at < 0 {
			replies[i].Err = broker.E(broker.KindNotFound, "unsubscribe", nil)
			continue
		}
		g.subs[clientID] = slices.Delete(g.subs[clientID], at, at+1)
	}
	return replies, nil
}

// Controlled are the actions of ControlListener, "stop tcp", in order.
func (g *Gateway) Controlled() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.controlled)
}

// ControlListener implements broker.GatewayAdmin for the listeners of SetInfo.
func (g *Gateway) ControlListener(ctx context.Context, name string, do broker.ListenerAction) error {
	if err := g.lock(ctx); err != nil {
		return err
	}
	defer g.mu.Unlock()
	at := slices.IndexFunc(g.info.Listeners, func(l broker.ListenerInfo) bool { return l.Name == name })
	switch {
	case do < broker.StopListener || do > broker.ReloadListener:
		return broker.E(broker.KindInvalid, "control listener", nil)
	case at < 0 && name != "":
		return broker.E(broker.KindNotFound, "control listener", nil)
	}
	if at >= 0 && do != broker.ReloadListener {
		g.info.Listeners[at].Running = do != broker.StopListener
	}
	g.controlled = append(g.controlled, do.String()+" "+name)
	return nil
}

// FlushACL implements broker.GatewayAdmin.
func (g *Gateway) FlushACL(ctx context.Context, _, clientID string) error {
	if err := g.lock(ctx); err != nil {
		return err
	}
	defer g.mu.Unlock()
	if clientID != "" {
		if _, err := g.find(clientID, "flush"); err != nil {
			return err
		}
	}
	g.flushed = append(g.flushed, clientID)
	return nil
}

// Store answers from tables.
type Store struct {
	process
	name     string
	sessions []broker.SessionInfo
	subs     map[string][]broker.Subscription
	stats    map[string]int64
	attached map[string]bool
}

// Add puts a persistent session here; an offline one gets the store's name as its node.
func (s *Store) Add(i broker.SessionInfo, subs ...broker.Subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i.Persistent = true
	i.Node = cmp.Or(i.Node, s.name)
	s.sessions = append(s.sessions, i)
	s.subs[i.ClientID] = subs
}

// Attach has KickClient find a client id.
func (s *Store) Attach(clientID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.attached == nil {
		s.attached = map[string]bool{}
	}
	s.attached[clientID] = true
}

// SetStats is what SessionStats answers.
func (s *Store) SetStats(m map[string]int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats = m
}

func (s *Store) page(q broker.ClientQuery) []broker.SessionInfo {
	return selected(q, s.sessions, func(i broker.SessionInfo) (string, string, string) { return i.ClientID, i.Username, i.Node })
}

// Sessions implements broker.SessionAdmin.
func (s *Store) Sessions(ctx context.Context, q broker.ClientQuery) ([]broker.SessionInfo, error) {
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	return s.page(q), nil
}

// SessionSubscriptions implements broker.SessionAdmin; the limit counts clients.
func (s *Store) SessionSubscriptions(ctx context.Context, q broker.ClientQuery) ([]broker.SubscriptionInfo, error) {
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	var rows []broker.SubscriptionInfo
	for _, i := range s.page(q) {
		for _, sub := range s.subs[i.ClientID] {
			rows = append(rows, broker.SubscriptionInfo{ClientID: i.ClientID, Node: i.Node, Subscription: sub})
		}
	}
	return rows, nil
}

// Drop implements broker.SessionAdmin.
func (s *Store) Drop(ctx context.Context, _, clientID string) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.sessions, func(i broker.SessionInfo) bool { return i.ClientID == clientID })
	if i < 0 {
		return broker.E(broker.KindNotFound, "drop session", nil)
	}
	s.sessions = slices.Delete(s.sessions, i, i+1)
	return nil
}

// KickClient implements broker.SessionAdmin.
func (s *Store) KickClient(ctx context.Context, _, clientID, _ string) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	if !s.attached[clientID] {
		return broker.E(broker.KindNotFound, "kick client", nil)
	}
	delete(s.attached, clientID)
	return nil
}

// SessionStats implements broker.SessionAdmin.
func (s *Store) SessionStats(ctx context.Context) (map[string]int64, error) {
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	return s.stats, nil
}

// Router answers from tables.
type Router struct {
	process
	routes []broker.RouteInfo
	stats  map[string]int64
}

// Add puts routes here.
func (r *Router) Add(routes ...broker.RouteInfo) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.routes = append(r.routes, routes...)
}

// SetStats is what RouterStats answers.
func (r *Router) SetStats(m map[string]int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats = m
}

// Routes implements broker.RouterAdmin; a filter is never split.
func (r *Router) Routes(ctx context.Context, q broker.RouteQuery) ([]broker.RouteInfo, error) {
	if err := r.lock(ctx); err != nil {
		return nil, err
	}
	defer r.mu.Unlock()
	var rows []broker.RouteInfo
	for _, i := range r.routes {
		if i.Filter > q.After && (q.Filter == "" || i.Filter == q.Filter) {
			rows = append(rows, i)
		}
	}
	slices.SortFunc(rows, func(a, b broker.RouteInfo) int {
		return cmp.Or(cmp.Compare(a.Filter, b.Filter), cmp.Compare(a.Group, b.Group))
	})
	n := min(len(rows), cmp.Or(q.Limit, fleetDefault))
	for n > 0 && n < len(rows) && rows[n].Filter == rows[n-1].Filter {
		n++
	}
	return rows[:n], nil
}

// RouterStats implements broker.RouterAdmin.
func (r *Router) RouterStats(ctx context.Context) (map[string]int64, error) {
	if err := r.lock(ctx); err != nil {
		return nil, err
	}
	defer r.mu.Unlock()
	return r.stats, nil
}

// Client is a connection like one of a device, connected at a fixed time.
func Client(id string) broker.ClientInfo {
	return broker.ClientInfo{
		ClientID: id, Peer: "127.0.0.1:4711", Protocol: "mqtt", Version: 4, Listener: "mqtt:tcp:127.0.0.1:1883", CleanStart: true,
		KeepAlive: time.Minute, Connected: time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local),
	}
}
