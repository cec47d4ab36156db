package edge_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/edge"
	"github.com/pando-mq/pando/services/edge/edgetest"
)

var _ broker.Gateway = (*edge.Edge)(nil)

func TestClientsArePaged(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e := b.Edge(t, nil)
	for i := range 25 {
		req := edgetest.Clean(fmt.Sprintf("c%02d", i))
		req.Credentials.Username = fmt.Sprint("u", i%2)
		b.Connect(t, e, req)
	}
	list := func(q broker.ClientQuery) (ids []string) {
		rows, err := e.Clients(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			ids = append(ids, r.ClientID)
		}
		return ids
	}
	tests := []struct {
		name  string
		q     broker.ClientQuery
		n     int
		first string
	}{
		{"all", broker.ClientQuery{}, 25, "c00"},
		{"page", broker.ClientQuery{Limit: 3}, 3, "c00"},
		{"next page", broker.ClientQuery{Limit: 3, After: "c02"}, 3, "c03"},
		{"last page", broker.ClientQuery{Limit: 10, After: "c19"}, 5, "c20"},
		{"user", broker.ClientQuery{Username: "u1"}, 12, "c01"},
		{"contains", broker.ClientQuery{Contains: "1"}, 12, "c01"},
		{"exact", broker.ClientQuery{ClientID: "c07"}, 1, "c07"},
		{"nobody", broker.ClientQuery{ClientID: "c7"}, 0, ""},
		{"other node", broker.ClientQuery{Node: "x"}, 0, ""},
		{"other tenant", broker.ClientQuery{Tenant: "x"}, 0, ""},
	}
	for _, tt := range tests {
		ids := list(tt.q)
		if len(ids) != tt.n || tt.n > 0 && ids[0] != tt.first {
			t.Errorf("%s: %v", tt.name, ids)
		}
	}
}

func TestAdministration(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e := b.Edge(t, nil)
	d := b.Connect(t, e, edgetest.Clean("c"))
	b.Auth.Deny(broker.ActionSubscribe, "denied")
	b.Auth.Deny(broker.ActionPublish, "denied")
	replies, err := e.SubscribeFor(t.Context(), "", "c", []broker.Subscription{{Filter: "t", QoS: 1}, {Filter: "denied"}})
	if err != nil || replies[0].Err != nil || kindOf(t, replies[1].Err) != broker.KindDenied {
		t.Fatalf("%+v, %v", replies, err)
	}
	as := broker.Identity{ClientID: "rest"}
	if a, err := e.Inject(t.Context(), as, &broker.Message{Topic: "t", Payload: []byte("x"), QoS: 1}); err != nil || !a.Matched {
		t.Fatalf("%+v, %v", a, err)
	}
	got := wantGot(t, d, "t=x")
	if got[0].Msg.From != "rest" || got[0].Msg.Node == "" {
		t.Errorf("%+v", got[0].Msg)
	}
	if _, err := e.Inject(t.Context(), as, &broker.Message{Topic: "denied"}); kindOf(t, err) != broker.KindDenied {
		t.Error(err)
	}
	if _, err := e.Inject(t.Context(), as, &broker.Message{Topic: "a/#"}); kindOf(t, err) != broker.KindInvalid {
		t.Error(err)
	}
	as.Superuser = true
	if _, err := e.Inject(t.Context(), as, &broker.Message{Topic: "denied"}); err != nil {
		t.Error(err)
	}
	if rows, err := e.ClientSubscriptions(t.Context(), broker.ClientQuery{}); err != nil || len(rows) != 1 || rows[0].Filter != "t" || rows[0].QoS != 1 {
		t.Errorf("%+v, %v", rows, err)
	}
	if replies, err := e.UnsubscribeFor(t.Context(), "", "c", []string{"t", "u"}); err != nil || replies[0].Err != nil || kindOf(t, replies[1].Err) != broker.KindNotFound {
		t.Errorf("%+v, %v", replies, err)
	}
	node, err := e.Node(t.Context())
	if err != nil || node.Clients != 1 || node.Stats["clients/count"] != 1 || node.Metrics["messages/sent"] != 1 {
		t.Errorf("%+v, %v", node, err)
	}
	if _, err := e.SubscribeFor(t.Context(), "", "nobody", nil); kindOf(t, err) != broker.KindNotFound {
		t.Error(err)
	}
	if err := e.Kick(t.Context(), "", "nobody", ""); kindOf(t, err) != broker.KindNotFound {
		t.Error(err)
	}
	if err := e.Kick(t.Context(), "", "c", "because"); err != nil {
		t.Error(err)
	}
	if !d.Wait(func() bool { return len(d.Kicks()) == 1 }) || d.Kicks()[0] != (edge.Kick{Code: edge.KickAdmin, Reason: "because"}) {
		t.Errorf("kicks %v", d.Kicks())
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	reg := prometheus.NewPedanticRegistry()
	e := b.Edge(t, func(_ *edge.Config, d *edge.Deps) { d.Registerer = reg })
	b.Auth.Deny(broker.ActionPublish, "denied")
	d := b.Connect(t, e, edgetest.Clean("c"))
	receive(t, d.Publish("denied", "", 1, 1))
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			found[f.GetName()+"/"+strings.Join(labels, ",")] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	for name, want := range map[string]float64{"pando_edge_connections/": 1, "pando_edge_denied_total/publish": 1, "pando_edge_node_total/messages/received": 1} {
		if found[name] != want {
			t.Errorf("%s = %v, want %v", name, found[name], want)
		}
	}
}

func TestConfigIsValidated(t *testing.T) {
	t.Parallel()
	cfg := edge.DefaultConfig()
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*edge.Config){
		"max_connections":    func(c *edge.Config) { c.MaxConnections = -1 },
		"keepalive_backoff":  func(c *edge.Config) { c.KeepaliveBackoff = 0 },
		"acl.deny_action":    func(c *edge.Config) { c.ACL.DenyAction = "x" },
		"acl.check_delivery": func(c *edge.Config) { c.ACL.CheckDelivery = "x" },
		"publish":            func(c *edge.Config) { c.Publish.MaxUnacked = 0 },
		"auth":               func(c *edge.Config) { c.Auth.Workers = 0 },
		"session":            func(c *edge.Config) { c.Session.MaxInflight = -1 },
	} {
		cfg := edge.DefaultConfig()
		change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
