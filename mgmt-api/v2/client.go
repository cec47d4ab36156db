package v2

import (
	"context"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/pando-mq/pando/mgmt-api/fleet"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/topic"
)

func (h *handler) clientRoutes(r chi.Router) {
	r.Get("/nodes/{node}/clients", h.atNode(h.listClients))
	r.Get("/nodes/{node}/clients/{client}", h.atNode(h.findClient))
	r.Get("/clients/{client}", func(w http.ResponseWriter, r *http.Request) { h.findClient(w, r, "") })
	r.Delete("/clients/{client}", h.kick)
	r.Put("/clients/{client}/clean_acl_cache", h.cleanACL)

	r.Get("/nodes/{node}/sessions", h.atNode(h.listSessions))
	r.Get("/nodes/{node}/sessions/{client}", h.atNode(h.findSession))
	r.Get("/sessions/{client}", func(w http.ResponseWriter, r *http.Request) { h.findSession(w, r, "") })

	r.Get("/nodes/{node}/subscriptions", h.atNode(h.listSubscriptions))
	r.Get("/nodes/{node}/subscriptions/{client}", h.atNode(h.findSubscriptions))
	r.Get("/subscriptions/{client}", func(w http.ResponseWriter, r *http.Request) { h.findSubscriptions(w, r, "") })

	r.Get("/routes", h.listRoutes)
	r.Get("/routes/{topic}", h.findRoute)
}

// atNode checks the node that the path names.
func (h *handler) atNode(next func(w http.ResponseWriter, r *http.Request, node string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		node := variable(r, "node")
		if node == "" || !h.Fleet.Known(node) {
			h.refuse(w, r, nodeDown(node))
			return
		}
		next(w, r, node)
	}
}

// clientRow is one connection.
type clientRow struct {
	ClientID    string `json:"client_id"`
	Username    string `json:"username"`
	IPAddress   string `json:"ipaddress"`
	Port        int    `json:"port"`
	CleanSess   bool   `json:"clean_sess"`
	ProtoVer    int    `json:"proto_ver"`
	Keepalive   int64  `json:"keepalive"` // seconds
	ConnectedAt string `json:"connected_at"`
}

func clientOf(c broker.ClientInfo) clientRow {
	host, port, err := net.SplitHostPort(c.Peer)
	if err != nil {
		host = c.Peer
	}
	number, _ := strconv.Atoi(port) // 0 for peers without one
	return clientRow{
		ClientID: c.ClientID, Username: defined(c.Username), IPAddress: host, Port: number, CleanSess: c.CleanStart, ProtoVer: int(c.Version),
		Keepalive: int64(c.KeepAlive / time.Second), ConnectedAt: moment(c.Connected),
	}
}

// defined is a name as the seed writes one that is not there.
func defined(s string) string {
	if s == "" {
		return "undefined"
	}
	return s
}

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format(timeForm)
}

func (h *handler) listClients(w http.ResponseWriter, r *http.Request, node string) {
	total := h.Fleet.CountClients(r.Context(), node)
	pages(h, w, r, total, func(ctx context.Context, after string, limit int) (fleet.Page[broker.ClientInfo], error) {
		return h.Fleet.Clients(ctx, broker.ClientQuery{Node: node, After: after, Limit: limit})
	}, clientOf)
}

func (h *handler) findClient(w http.ResponseWriter, r *http.Request, node string) {
	id := variable(r, "client")
	lookup(h, w, r, func(ctx context.Context) (fleet.Page[broker.ClientInfo], error) {
		return h.Fleet.Clients(ctx, broker.ClientQuery{Node: node, ClientID: id})
	}, clientOf)
}

func (h *handler) kick(w http.ResponseWriter, r *http.Request) {
	h.change(w, r, h.Fleet.Kick(r.Context(), broker.DefaultTenant, variable(r, "client"), "kicked"))
}

// cleanACL forgets all decisions for a client, also when the body names one topic. The body may be left out.
func (h *handler) cleanACL(w http.ResponseWriter, r *http.Request) {
	if err := checkTopicBody(r); err != nil {
		h.refuse(w, r, err)
		return
	}
	missing, err := h.Fleet.FlushACL(r.Context(), broker.DefaultTenant, variable(r, "client"))
	if err != nil {
		h.change(w, r, err)
		return
	}
	h.result(w, r, empty(), missing)
}

func checkTopicBody(r *http.Request) error {
	if r.ContentLength == 0 {
		return nil
	}
	b, name := readBody(r), ""
	read(b, "topic", &name)
	return b.err
}

// change answers for what was done to one client.
func (h *handler) change(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case err == nil:
		h.result(w, r, empty(), nil)
	case broker.KindOf(err) == broker.KindNotFound:
		h.refuse(w, r, fail(codeClientOffline, "the client is not online"))
	default:
		h.refuse(w, r, err)
	}
}

// sessionRow is one session.
type sessionRow struct {
	ClientID       string `json:"client_id"`
	CleanSess      bool   `json:"clean_sess"`
	Subscriptions  int    `json:"subscriptions"`
	MaxInflight    int    `json:"max_inflight"`
	InflightLen    int    `json:"inflight_len"`
	MqueueLen      int    `json:"mqueue_len"`
	MqueueDropped  uint64 `json:"mqueue_dropped"`
	AwaitingRelLen int    `json:"awaiting_rel_len"`
	DeliverMsg     uint64 `json:"deliver_msg"`
	EnqueueMsg     uint64 `json:"enqueue_msg"`
	CreatedAt      string `json:"created_at"`
}

func sessionOf(s broker.SessionInfo) sessionRow {
	return sessionRow{
		ClientID: s.ClientID, CleanSess: !s.Persistent, Subscriptions: s.Subscriptions, MaxInflight: s.Window, InflightLen: s.Inflight,
		MqueueLen: s.Queued, MqueueDropped: s.Dropped, AwaitingRelLen: s.AwaitingRel, DeliverMsg: s.Delivered, EnqueueMsg: s.Enqueued, CreatedAt: moment(s.Created),
	}
}

func (h *handler) listSessions(w http.ResponseWriter, r *http.Request, node string) {
	pages(h, w, r, -1, func(ctx context.Context, after string, limit int) (fleet.Page[broker.SessionInfo], error) {
		return h.Fleet.Sessions(ctx, broker.ClientQuery{Node: node, After: after, Limit: limit}, fleet.Every)
	}, sessionOf)
}

func (h *handler) findSession(w http.ResponseWriter, r *http.Request, node string) {
	id := variable(r, "client")
	lookup(h, w, r, func(ctx context.Context) (fleet.Page[broker.SessionInfo], error) {
		return h.Fleet.Sessions(ctx, broker.ClientQuery{Node: node, ClientID: id}, fleet.Every)
	}, sessionOf)
}

// subscriptionRow is one subscription.
type subscriptionRow struct {
	ClientID string `json:"client_id"`
	Topic    string `json:"topic"`
	QoS      int    `json:"qos"`
}

func subscriptionOf(s broker.SubscriptionInfo) subscriptionRow {
	return subscriptionRow{s.ClientID, s.Filter, int(s.QoS)}
}

func (h *handler) listSubscriptions(w http.ResponseWriter, r *http.Request, node string) {
	pages(h, w, r, -1, func(ctx context.Context, after string, limit int) (fleet.Page[broker.SubscriptionInfo], error) {
		return h.Fleet.Subscriptions(ctx, broker.ClientQuery{Node: node, After: after, Limit: limit})
	}, subscriptionOf)
}

func (h *handler) findSubscriptions(w http.ResponseWriter, r *http.Request, node string) {
	id := variable(r, "client")
	lookup(h, w, r, func(ctx context.Context) (fleet.Page[broker.SubscriptionInfo], error) {
		return h.Fleet.Subscriptions(ctx, broker.ClientQuery{Node: node, ClientID: id, Limit: fleet.MaxPage})
	}, subscriptionOf)
}

// routeRow is one filter at one node.
type routeRow struct {
	Topic string `json:"topic"`
	Node  string `json:"node"`
}

// routeRows has one row for each node of each route; a shared filter has its full form.
func routeRows(p fleet.Page[broker.RouteInfo]) fleet.Page[routeRow] {
	rows := fleet.Page[routeRow]{Next: p.Next, Missing: p.Missing}
	for _, r := range p.Rows {
		full := fullFilter(r)
		for _, n := range r.Nodes {
			rows.Rows = append(rows.Rows, routeRow{full, n})
		}
	}
	return rows
}

// fullFilter is the filter as a client wrote it.
func fullFilter(r broker.RouteInfo) string {
	switch r.Group {
	case "":
		return r.Filter
	case topic.QueueGroup:
		return topic.QueueGroup + "/" + r.Filter
	}
	return "$share/" + r.Group + "/" + r.Filter
}

func asIs[R any](r R) R { return r }

func (h *handler) listRoutes(w http.ResponseWriter, r *http.Request) {
	pages(h, w, r, -1, func(ctx context.Context, after string, limit int) (fleet.Page[routeRow], error) {
		p, err := h.Fleet.Routes(ctx, broker.RouteQuery{After: after, Limit: limit})
		return routeRows(p), err
	}, asIs)
}

func (h *handler) findRoute(w http.ResponseWriter, r *http.Request) {
	filter := variable(r, "topic")
	if p, err := topic.Parse(filter); err == nil {
		filter = p.Filter
	}
	lookup(h, w, r, func(ctx context.Context) (fleet.Page[routeRow], error) {
		p, err := h.Fleet.Routes(ctx, broker.RouteQuery{Filter: filter})
		return routeRows(p), err
	}, asIs)
}
