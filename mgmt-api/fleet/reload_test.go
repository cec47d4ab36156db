package fleet_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pando-mq/pando/mgmt-api/fleet"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
)

// Each process is asked once, whatever its roles; who refuses, and who does not answer, keeps nobody else from it.
func TestReloadConfig(t *testing.T) {
	t.Parallel()
	s, f := open(t)
	s.Gateway("one")
	s.Store("one") // the same process: neither has an address
	s.Router("r")
	s.Gateway("bad")
	s.Gateway("gone")
	change := broker.ConfigChange{Key: "log.level", From: "info", To: "warn", Hot: true}
	s.Config("one").Change(change)
	s.Config("bad").Fail(broker.Errorf(broker.KindInvalid, "log.level: loud"))
	s.Config("gone").Fail(broker.Errorf(broker.KindUnavailable, "no connection"))
	list, missing, err := f.ReloadConfig(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	refused := map[string]bool{}
	for i, p := range list {
		refused[p.Process] = p.Err != nil
		list[i].Err = nil
	}
	want := []fleet.Reloaded{{Process: "gateway bad"}, {Process: "one", Changes: []broker.ConfigChange{change}}, {Process: "router r"}}
	if d := cmp.Diff(want, list); d != "" || !refused["gateway bad"] || refused["one"] || refused["router r"] {
		t.Errorf("refused %v\n%s", refused, d)
	}
	if len(missing) != 1 || missing[0].Service != "gateway gone" {
		t.Errorf("missing %v", missing)
	}
	if n := s.Config("one").Reloads(); n != 1 {
		t.Errorf("asked %d times", n)
	}

	list, missing, err = f.ReloadConfig(t.Context(), "r@test")
	if err != nil || len(missing) > 0 || len(list) != 1 || s.Config("r").Reloads() != 2 || s.Config("one").Reloads() != 1 {
		t.Errorf("one node: %v %v %v", list, missing, err)
	}
	if _, _, err := f.ReloadConfig(t.Context(), "nobody"); broker.KindOf(err) != broker.KindNotFound {
		t.Errorf("a name that nobody has: %v", err)
	}
}

// Who cannot be asked is named.
func TestReloadConfigOfOneThatCannotBeAsked(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	s.Gateway("one")
	deps := s.Deps(0)
	deps.Processes = func(cluster.Node) broker.ProcessAdmin { return nil }
	list, missing, err := fleet.New(deps).ReloadConfig(t.Context(), "")
	if err != nil || len(list) > 0 || len(missing) != 1 || missing[0].Service != "gateway one" {
		t.Errorf("%v %v %v", list, missing, err)
	}
}
