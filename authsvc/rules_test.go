package authsvc_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pando-mq/pando/services/broker"
)

func client(clientID, username string) *broker.Identity {
	return &broker.Identity{ClientID: clientID, Username: username, Peer: peerAddr}
}

func TestAuthorizeOrder(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	cfg := config()
	cfg.ACLFile = s.dir + "/acl.conf"
	write(t, cfg.ACLFile, `{deny, {user, "ann"}, publish, ["both/#"]}. {allow, all, pubsub, ["file/#", "both/#"]}.`)
	n := s.start("a", cfg)
	cfg.ACLNoMatch = "allow"
	lenient := s.start("b", cfg)
	rule, err := n.PutRule(t.Context(), broker.Rule{Index: -1, Allow: true, Username: "ann", Access: 2, Topic: "both/%u"})
	must(t, err)
	s.eventually("the rule is everywhere", func() bool { return lenient.generation(t) == n.generation(t) })
	for _, tt := range []struct {
		at     *node
		id     *broker.Identity
		action broker.Action
		topic  string
		allow  bool
		rule   string
	}{
		{n, client("c", "ann"), broker.ActionPublish, "both/ann", true, "built-in rule 0 (" + rule.ID + ")"},
		{n, client("c", "ann"), broker.ActionPublish, "both/x", false, "acl file line 1"},
		{n, client("c", "ann"), broker.ActionSubscribe, "both/x", true, "acl file line 1"},
		{n, client("c", "bob"), broker.ActionPublish, "file/1", true, "acl file line 1"},
		{n, client("c", "bob"), broker.ActionPublish, "else", false, "acl_nomatch: deny"},
		{lenient, client("c", "bob"), broker.ActionPublish, "else", true, "acl_nomatch: allow"},
		{lenient, client("c", "bob"), broker.ActionSubscribe, "$share/g/file/1", false, "built-in"},
		{n, &broker.Identity{ClientID: "c", Superuser: true}, broker.ActionPublish, "else", true, "superuser"},
	} {
		d := tt.at.allowed(t, tt.id, tt.action, tt.topic)
		if d.Allow != tt.allow || (!strings.HasPrefix(d.Rule, tt.rule) && tt.rule != "built-in") || d.Rule == "" || d.Generation != n.generation(t) || d.TTL != 0 {
			t.Errorf("%s %s as %q: %+v, want %v by %q", tt.action, tt.topic, tt.id.Username, d, tt.allow, tt.rule)
		}
	}
	list, err := n.Authorize(t.Context(), client("c", "bob"), broker.ActionPublish, []string{"file/a", "else", "file/b"})
	if err != nil || len(list) != 3 || !list[0].Allow || list[1].Allow || !list[2].Allow {
		t.Errorf("%+v, %v", list, err)
	}
}

// Without a file the seed's rules are in force: ordinary clients work, $SYS and # are closed.
func TestDefaultRules(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	cfg := config()
	cfg.Cache.TTL = time.Minute
	n := s.start("a", cfg)
	cfg.Cache.Enable = false
	uncached := s.start("b", cfg)
	for topic, want := range map[string]bool{"sensors/+/t": true, "#": false, "$SYS/#": false} {
		if d := n.allowed(t, client("c", ""), broker.ActionSubscribe, topic); d.Allow != want || d.TTL != time.Minute {
			t.Errorf("subscribe %s: %+v, want %v", topic, d, want)
		}
	}
	if d := n.allowed(t, client("c", ""), broker.ActionPublish, "a/b"); !d.Allow {
		t.Errorf("publish: %+v", d)
	}
	for _, cfg := range []string{"deny", "allow"} {
		open := config()
		open.ACLNoMatch = cfg
		n := newSuite(t).start("a", open)
		for topic, want := range map[string]bool{"$SYS/brokers": false, "a/b": true} {
			if d := n.allowed(t, client("c", ""), broker.ActionPublish, topic); d.Allow != want {
				t.Errorf("acl_nomatch %s: publish %s: %+v, want %v", cfg, topic, d, want)
			}
		}
	}
	if d := uncached.allowed(t, client("c", ""), broker.ActionPublish, "a/b"); !d.Allow || d.TTL <= 0 || d.TTL > time.Millisecond {
		t.Errorf("publish without a cache: %+v", d)
	}
}

// watcher gathers the generations of one authsvc until the test ends.
type watcher struct {
	mu   sync.Mutex
	list []uint64
}

func (n *node) watch(t *testing.T) *watcher {
	t.Helper()
	w := &watcher{}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- n.WatchRules(ctx, func(g uint64) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.list = append(w.list, g)
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("WatchRules ended with %v", err)
		}
	})
	return w
}

func (w *watcher) last() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.list) == 0 {
		return 0
	}
	return w.list[len(w.list)-1]
}

func TestRuleChangesRaiseTheGenerationEverywhere(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	a, b := s.start("a", config()), s.start("b", config())
	owner := s.owner(a, b)
	rest := other(owner, a, b)
	watchers := map[*node]*watcher{a: a.watch(t), b: b.watch(t)}
	s.eventually("the first generation", func() bool { return watchers[a].last() > 0 && watchers[b].last() > 0 })
	rule, err := rest.PutRule(t.Context(), broker.Rule{Index: -1, Access: 3, Topic: "secret/#"})
	must(t, err)
	for i, change := range []func() error{
		func() error { return owner.DeleteRule(t.Context(), rule.ID) },
		func() (err error) {
			rule, err = rest.PutRule(t.Context(), broker.Rule{Index: -1, Access: 3, Topic: "secret/#"})
			return err
		},
		func() error { return rest.ReloadACL(t.Context()) },
		func() error { return owner.ReloadACL(t.Context()) },
	} {
		before := max(a.generation(t), b.generation(t))
		must(t, change())
		want := owner.generation(t)
		if want <= before {
			t.Errorf("change %d: generation %d after %d at the owner", i, want, before)
		}
		s.eventually(fmt.Sprintf("generation %d at both", want), func() bool { return watchers[a].last() == want && watchers[b].last() == want })
	}
	for _, n := range []*node{a, b} {
		if d := n.allowed(t, client("c", ""), broker.ActionPublish, "secret/x"); d.Allow || d.Generation != a.generation(t) {
			t.Errorf("decision %+v", d)
		}
	}
	before := owner.generation(t)
	must(t, rest.PutUser(t.Context(), broker.User{Name: "ann", Password: broker.Secret("x")}))
	s.knows(rest, "ann", "x")
	if g := rest.generation(t); g != before {
		t.Errorf("a user, who changes no decision, raised the generation from %d to %d", before, g)
	}
	for n, w := range watchers {
		w.mu.Lock()
		if !slices.IsSorted(w.list) || len(slices.Compact(slices.Clone(w.list))) != len(w.list) {
			t.Errorf("%s saw generations %v", n.dir, w.list)
		}
		w.mu.Unlock()
	}
}

func TestRulesKeepTheirPlaces(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	a, b := s.start("a", config()), s.start("b", config())
	rest := other(s.owner(a, b), a, b)
	put := func(id, topic string, index, want int) {
		t.Helper()
		r, err := rest.PutRule(t.Context(), broker.Rule{ID: id, Index: index, Allow: true, Access: 1, Topic: topic, CIDR: "10.0.0.0/8", ClientID: "c", Username: "u"})
		must(t, err)
		if r.Index != want || r.ID != id || r.Topic != topic {
			t.Errorf("rule %+v, want index %d", r, want)
		}
	}
	put("one", "1", -1, 0)
	put("two", "2", -1, 1)
	put("zero", "0", 0, 0)
	put("four", "4", 99, 3)
	put("three", "3", 3, 3)
	put("two", "2b", -1, 2) // replaced where it is
	put("four", "4", 0, 0)  // moved
	put("four", "4", 99, 4) // moved back
	want := "zero:0 one:1 two:2b three:3 four:4"
	got := ""
	s.eventually("the rules in their order: "+want, func() bool {
		rules, err := rest.Rules(t.Context())
		must(t, err)
		var parts []string
		for i, r := range rules {
			if r.Index != i || !r.Allow || r.Access != 1 || r.CIDR != "10.0.0.0/8" || r.ClientID != "c" || r.Username != "u" {
				t.Fatalf("rule %+v at %d", r, i)
			}
			parts = append(parts, r.ID+":"+r.Topic)
		}
		got = strings.Join(parts, " ")
		return got == want
	})
	named, err := rest.PutRule(t.Context(), broker.Rule{Index: -1, Access: 1, Topic: "x"})
	if err != nil || named.ID == "" {
		t.Errorf("a rule without a name: %+v, %v", named, err)
	}
	wantKind(t, rest.DeleteRule(t.Context(), "nine"), broker.KindNotFound)
	for name, r := range map[string]broker.Rule{
		"no access":  {Topic: "a"},
		"no topic":   {Access: 1},
		"bad filter": {Access: 1, Topic: "a/#/b"},
		"bad CIDR":   {Access: 1, Topic: "a", CIDR: "10.0.0.0/99"},
		"long id":    {ID: strings.Repeat("x", 256), Access: 1, Topic: "a"},
	} {
		if _, err := rest.PutRule(t.Context(), r); err == nil || broker.KindOf(err) != broker.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReloadACL(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	cfg := config()
	cfg.ACLFile = s.dir + "/acl.conf"
	write(t, cfg.ACLFile, `{allow, all, publish, ["one"]}.`)
	a, b := s.start("a", cfg), s.start("b", cfg)
	rest := other(s.owner(a, b), a, b)
	may := func(n *node, topic string) bool {
		return n.allowed(t, client("c", ""), broker.ActionPublish, topic).Allow
	}
	write(t, cfg.ACLFile, `{allow, all, publish, ["two"]}.`)
	if !may(a, "one") || may(a, "two") {
		t.Error("the file took effect without a reload")
	}
	must(t, rest.ReloadACL(t.Context()))
	if may(rest, "one") || !may(rest, "two") {
		t.Error("after ReloadACL returned the old rules are in force")
	}
	s.eventually("the new rules at both", func() bool { return may(a, "two") && may(b, "two") })

	write(t, cfg.ACLFile, `{allow, all, publish, ["three"`)
	before := rest.generation(t)
	wantKind(t, rest.ReloadACL(t.Context()), broker.KindInvalid)
	wantKind(t, other(rest, a, b).ReloadACL(t.Context()), broker.KindInvalid)
	for _, n := range []*node{a, b} {
		if !may(n, "two") || n.generation(t) != before {
			t.Error("a broken file changed the rules")
		}
	}
	c := s.join("c", cfg)
	if err := c.Start(t.Context()); err == nil {
		t.Error("started with a broken file")
	}
	c.cluster.Close()

	// A restart with a new file raises the generation everywhere.
	write(t, cfg.ACLFile, `{allow, all, publish, ["three"]}.`)
	s.stop(rest)
	last := other(rest, a, b)
	again := s.start("again", cfg)
	if !may(again, "three") {
		t.Error("the new file is not in force after the start")
	}
	s.eventually("the new file everywhere, under a new generation", func() bool {
		return may(last, "three") && last.generation(t) > before && again.generation(t) == last.generation(t)
	})
}

// Each authsvc reads a file of its own; one of them is broken.
func TestReloadACLWithOneBrokenFile(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	nodes := map[*node]string{}
	for _, id := range []string{"a", "b"} {
		cfg := config()
		cfg.ACLFile = s.dir + "/" + id + ".conf"
		write(t, cfg.ACLFile, `{allow, all, publish, ["one"]}.`)
		nodes[s.start(id, cfg)] = cfg.ACLFile
	}
	var list []*node
	for n := range nodes {
		list = append(list, n)
	}
	owner := s.owner(list...)
	rest := other(owner, list[0], list[1])
	s.eventually("the files are announced", func() bool { return owner.generation(t) > 1 && rest.generation(t) == owner.generation(t) })
	before := owner.generation(t)
	write(t, nodes[rest], "not a rule")
	write(t, nodes[owner], `{allow, all, publish, ["two"]}.`)
	wantKind(t, rest.ReloadACL(t.Context()), broker.KindInvalid)
	if g := owner.generation(t); g != before {
		t.Errorf("a reload that was refused raised the generation from %d to %d", before, g)
	}
	must(t, owner.ReloadACL(t.Context()))
	s.eventually("the generation at both", func() bool { return rest.generation(t) == owner.generation(t) })
	if !owner.allowed(t, client("c", ""), broker.ActionPublish, "two").Allow {
		t.Error("the owner did not read its file")
	}
	if !rest.allowed(t, client("c", ""), broker.ActionPublish, "one").Allow || values(t, rest.metrics)["pando_auth_failures_total"] != 1 {
		t.Error("the other one did not keep its rules, or did not count it")
	}
	write(t, nodes[rest], `{allow, all, publish, ["two"]}.`)
	must(t, rest.ReloadACL(t.Context()))
	if !rest.allowed(t, client("c", ""), broker.ActionPublish, "two").Allow {
		t.Error("the repaired file was not read")
	}
}

// The same file everywhere is no reason for a new generation.
func TestRestartWithTheSameFileKeepsTheGeneration(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	cfg := config()
	cfg.ACLFile = s.dir + "/acl.conf"
	write(t, cfg.ACLFile, `{allow, all}.`)
	a := s.start("a", cfg)
	s.eventually("the file is announced", func() bool { return a.generation(t) > 1 })
	before := a.generation(t)
	for range 2 {
		s.stop(s.start("b", cfg))
	}
	must(t, a.PutUser(t.Context(), broker.User{Name: "marker", Password: broker.Secret("x")}))
	if g := a.generation(t); g != before {
		t.Errorf("the generation went from %d to %d", before, g)
	}
}
