package authsvc_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pando-mq/pando/authsvc"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
)

// values are the present metrics, summed over their labels.
func values(t *testing.T, r *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := r.Gather()
	must(t, err)
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			out[f.GetName()] += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return out
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	c, err := s.memory.Join(cluster.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, c.Close()) })
	registry := prometheus.NewRegistry()
	for life := range 2 { // the second incarnation publishes its own
		m, err := c.Register(t.Context(), cluster.Node{Role: cluster.Auth, ID: "a"})
		must(t, err)
		n, err := authsvc.New(config(), authsvc.Deps{Cluster: c, Member: m, Journal: s.journal, DataDir: s.dir, Registerer: registry})
		must(t, err)
		must(t, n.Start(t.Context()))
		must(t, n.PutUser(t.Context(), broker.User{Name: "ann", Password: broker.Secret("x")}))
		for _, password := range []string{"x", "x", "wrong"} {
			_, _ = n.Authenticate(t.Context(), credentials("c", "ann", password)) // counted either way
		}
		_, err = n.Authorize(t.Context(), &broker.Identity{}, broker.ActionPublish, []string{"a", "b"})
		must(t, err)
		got := values(t, registry)
		for name, want := range map[string]float64{
			"pando_auth_authentications_total": 3, "pando_auth_decisions_total": 2, "pando_auth_changes_total": 1, "pando_auth_journal_owner": 1,
			"pando_auth_password_cache_hits_total": 1, "pando_auth_password_computations_total": 3, "pando_auth_rules_generation": 1,
			"pando_auth_failures_total": 0,
		} {
			if got[name] != want {
				t.Errorf("life %d: %s is %v, want %v", life, name, got[name], want)
			}
		}
		s.eventually("the event is counted", func() bool { return values(t, registry)["pando_auth_applied_events"] == float64(life+2) }) // the first user brings the secret of the decoys with it
		must(t, n.Stop(t.Context()))
		if left := values(t, registry); len(left) != 0 {
			t.Errorf("after Stop: %v", left)
		}
		must(t, m.Leave(t.Context()))
	}
}
