package brokertest

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/pando-mq/pando/services/broker"
)

// AuthHarness is two authsvc of one cluster to be tested, freshly made, without users, rules or ACL file: then everybody is admitted from a loopback
// listener, and ordinary topics are allowed.
type AuthHarness struct {
	Auth       broker.Auth
	Admin      broker.AuthAdmin
	Other      broker.Auth // the other process
	OtherAdmin broker.AuthAdmin

	Restart  func()                // both processes end and start again, with what is durable
	Break    func() (heal func())  // Auth cannot reach what it decides with
	Bar      func(clientID string) // the client id is known, and not let in from now on
	WriteACL func(deny string)     // the ACL file denies one topic to everybody, and says nothing else
	BreakACL func()                // the ACL file becomes unreadable
	// NeverDenies says that the implementation has no way to know somebody and not let him in: in place of Bar.
	NeverDenies bool
	LoseRules   func() // the source of the rules that Auth watches is lost
}

// TestAuth checks an implementation of broker.Auth and AuthAdmin. open makes a fresh one for each sentence.
func TestAuth(t *testing.T, open func(t *testing.T) AuthHarness) {
	authSuite(tested{t}, opener(open))
}

func authSuite(t T, open func(T) AuthHarness) {
	runSentences(t, func(t T) *authorised { return &authorised{t: t, AuthHarness: open(t)} }, authSentences(), exchangeSentences(), watchSentences(), userSentences(), ruleSentences())
}

// authorised is an AuthHarness with what the sentences share.
type authorised struct {
	t T
	AuthHarness
}

// credentials are a user's, with a password.
func credentials(user, password string) *broker.Credentials {
	return &broker.Credentials{
		ClientID: "client-" + user, Username: user, HasUser: true, Password: broker.Secret(password), HasPass: true,
		Peer: netip.MustParseAddrPort("192.0.2.7:1234"), Protocol: "mqtt", Version: 5, Listener: "mqtt:tcp:0.0.0.0:1883", CertCN: "cn",
	}
}

func (h *authorised) put(name, password string) {
	h.t.Helper()
	wantNil(h.t, h.Admin.PutUser(h.t.Context(), broker.User{Name: name, Password: broker.Secret(password)}))
}

func (h *authorised) rule(r broker.Rule) broker.Rule {
	h.t.Helper()
	got, err := h.Admin.PutRule(h.t.Context(), r)
	wantNil(h.t, err)
	return got
}

// admitted waits until somebody is admitted: a change is visible within a second.
func (h *authorised) admitted(c *broker.Credentials) (id *broker.Identity) {
	h.t.Helper()
	var err error
	if !poll(patienceOf(h.t), func() bool {
		id, err = h.Auth.Authenticate(h.t.Context(), c)
		return err == nil
	}) {
		h.t.Fatalf("%s is not admitted: %v", c.Username, err)
	}
	if id == nil {
		h.t.Fatalf("admitted as nobody")
	}
	return id
}

// refused waits until somebody is not admitted, and checks why.
func (h *authorised) refused(c *broker.Credentials, kind broker.Kind) {
	h.t.Helper()
	var id *broker.Identity
	var err error
	if !poll(patienceOf(h.t), func() bool {
		id, err = h.Auth.Authenticate(h.t.Context(), c)
		return err != nil
	}) {
		h.t.Fatalf("%s is admitted", c.Username)
	}
	wantKind(h.t, err, kind)
	if id != nil {
		h.t.Errorf("refused, with the identity %+v", id)
	}
}

// identity is somebody to decide about.
func identity(user string) *broker.Identity {
	return &broker.Identity{ClientID: "client-" + user, Username: user, Peer: netip.MustParseAddrPort("192.0.2.7:1234"), Protocol: "mqtt"}
}

// allowed is what is decided for topics.
func (h *authorised) allowed(id *broker.Identity, action broker.Action, topics ...string) (list []bool) {
	h.t.Helper()
	got, err := h.Auth.Authorize(h.t.Context(), id, action, topics)
	wantNil(h.t, err)
	if len(got) != len(topics) {
		h.t.Fatalf("%d decisions about %d topics", len(got), len(topics))
	}
	for _, d := range got {
		list = append(list, d.Allow)
	}
	return list
}

// want waits until a decision is as it must be.
func (h *authorised) want(id *broker.Identity, action broker.Action, topic string, want bool) {
	h.t.Helper()
	if !poll(patienceOf(h.t), func() bool { return h.allowed(id, action, topic)[0] == want }) {
		h.t.Errorf("%s of %s by %s/%s: %v", action, topic, id.Username, id.ClientID, !want)
	}
}

// watcher collects generations.
type watcher struct {
	mu   sync.Mutex
	list []uint64
	done chan struct{}
	err  error
	stop context.CancelFunc
}

func (h *authorised) watch(a broker.Auth) *watcher {
	ctx, cancel := context.WithCancel(h.t.Context())
	w := &watcher{done: make(chan struct{}), stop: cancel}
	go func() {
		defer close(w.done)
		w.err = a.WatchRules(ctx, func(generation uint64) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.list = append(w.list, generation)
		})
	}()
	h.t.Cleanup(func() { cancel(); <-w.done })
	eventually(h.t, func() bool { return len(w.all()) > 0 }, "the present generation is told")
	return w
}

func (w *watcher) all() []uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]uint64(nil), w.list...)
}

func (w *watcher) last() uint64 { return w.all()[len(w.all())-1] }

// authSentences are about decisions.
func authSentences() []sentence[*authorised] {
	return []sentence[*authorised]{
		{"Authenticate checks credentials and returns the identity.", func(t T, h *authorised) {
			h.put("ann", "secret")
			wantNil(t, h.Admin.PutUser(t.Context(), broker.User{Name: "root", Password: broker.Secret("toor"), Superuser: true}))
			c := credentials("ann", "secret")
			id := h.admitted(c)
			if id.ClientID != c.ClientID || id.Username != "ann" || id.Superuser || id.Peer != c.Peer || id.Protocol != "mqtt" || id.Version != 5 ||
				id.Listener != c.Listener || id.CertCN != "cn" || id.Tenant != c.Tenant {
				t.Errorf("identity %+v of %+v", id, c)
			}
			if !h.admitted(credentials("root", "toor")).Superuser {
				t.Errorf("the superuser is none")
			}
		}},
		{"KindUnauthenticated: wrong or missing credentials.", func(t T, h *authorised) {
			h.put("ann", "secret")
			h.refused(credentials("ann", "wrong"), broker.KindUnauthenticated)
			h.refused(credentials("ann", ""), broker.KindUnauthenticated)
			h.refused(credentials("nobody", "secret"), broker.KindUnauthenticated)
			missing := credentials("ann", "")
			missing.HasPass = false
			h.refused(missing, broker.KindUnauthenticated)
			anonymous := credentials("", "")
			anonymous.HasUser, anonymous.HasPass = false, false
			h.refused(anonymous, broker.KindUnauthenticated)
		}},
		{"KindDenied: known, but not allowed in.", func(t T, h *authorised) {
			h.put("ann", "secret")
			h.admitted(credentials("ann", "secret"))
			if h.NeverDenies { // then nobody is told so, whoever he is
				h.refused(credentials("ann", "wrong"), broker.KindUnauthenticated)
				h.refused(credentials("nobody", "secret"), broker.KindUnauthenticated)
				return
			}
			need(t, h.Bar != nil, "Bar")
			h.Bar("client-ann")
			h.refused(credentials("ann", "secret"), broker.KindDenied)
		}},
		{"It fails closed: an error of any kind means no. KindUnavailable and KindBusy: it could not be decided now.", func(t T, h *authorised) {
			need(t, h.Break != nil, "Break")
			h.put("ann", "secret")
			heal := h.Break()
			id, err := h.Auth.Authenticate(t.Context(), credentials("ann", "secret"))
			wantKind(t, err, broker.KindUnavailable, broker.KindBusy)
			got, err := h.Auth.Authorize(t.Context(), identity("ann"), broker.ActionPublish, []string{"a"})
			wantKind(t, err, broker.KindUnavailable, broker.KindBusy)
			if id != nil || len(got) != 0 && got[0].Allow {
				t.Errorf("undecided, and yet %+v %+v", id, got)
			}
			heal()
			eventually(t, func() bool {
				_, err := h.Auth.Authenticate(t.Context(), credentials("ann", "secret"))
				return err == nil
			}, "it decides again")
		}},
		{"the answer has one Decision per topic, in order.", func(t T, h *authorised) {
			h.rule(broker.Rule{Index: -1, Topic: "no/#", Access: 3})
			h.want(identity("ann"), broker.ActionPublish, "no/1", false)
			got := h.allowed(identity("ann"), broker.ActionPublish, "yes", "no/1", "no/2", "no/3")
			if !got[0] || got[1] || got[2] || got[3] {
				t.Errorf("decisions %v", got)
			}
			if got := h.allowed(identity("ann"), broker.ActionPublish); len(got) != 0 {
				t.Errorf("decisions about nothing: %v", got)
			}
		}},
		{"For ActionSubscribe topics are inner filters.", func(t T, h *authorised) {
			h.rule(broker.Rule{Index: -1, Topic: "no/#", Access: 1})
			h.want(identity("ann"), broker.ActionSubscribe, "no/+/x", false)
			h.want(identity("ann"), broker.ActionSubscribe, "yes/+", true)
			h.want(identity("ann"), broker.ActionPublish, "no/1", true)
		}},
		{"Superusers are not asked about by callers, and always allowed when they are.", func(t T, h *authorised) {
			h.rule(broker.Rule{Index: -1, Topic: "#", Access: 3})
			root := identity("root")
			root.Superuser = true
			h.want(root, broker.ActionPublish, "a", true)
			h.want(root, broker.ActionSubscribe, "#", true)
			h.want(identity("ann"), broker.ActionPublish, "a", false)
		}},
		{"KindCanceled: the caller's context ended; the outcome is unknown", func(t T, h *authorised) {
			h.put("ann", "secret")
			id, err := h.Auth.Authenticate(overContext(t), credentials("ann", "secret"))
			wantKind(t, err, broker.KindCanceled)
			if id != nil {
				t.Errorf("an identity with an error")
			}
			h.rule(broker.Rule{Index: -1, Topic: "no", Access: 3})
			h.want(identity("ann"), broker.ActionPublish, "no", false)
			got, err := h.Auth.Authorize(overContext(t), identity("ann"), broker.ActionPublish, []string{"no"})
			if err != nil { // what needs no waiting may be answered all the same
				wantKind(t, err, broker.KindCanceled)
			} else if got[0].Allow {
				t.Errorf("allowed because nobody waits: %+v", got)
			}
		}},
	}
}

// watchSentences are about generations of the rules.
func watchSentences() []sentence[*authorised] {
	return []sentence[*authorised]{
		{"WatchRules calls fn with the present generation of the rules and again, in order, whenever it rises, until ctx ends.", func(t T, h *authorised) {
			w := h.watch(h.Auth)
			for range 3 {
				before := w.last()
				h.rule(broker.Rule{Index: -1, Topic: "x", Access: 3})
				eventually(t, func() bool { return w.last() > before }, "the generation rises")
			}
			list := w.all()
			for i := range list[1:] {
				if list[i+1] <= list[i] {
					t.Fatalf("generations %v", list)
				}
			}
		}},
		{"It returns ctx's error", func(t T, h *authorised) {
			w := h.watch(h.Auth)
			w.stop()
			eventually(t, func() bool { return closed(w.done) }, "it returns")
			wantKind(t, w.err, broker.KindCanceled)
		}},
		{"or KindUnavailable when the source is lost: call it again.", func(t T, h *authorised) {
			need(t, h.LoseRules != nil, "LoseRules")
			w := h.watch(h.Auth)
			h.LoseRules()
			eventually(t, func() bool { return closed(w.done) }, "it returns")
			wantKind(t, w.err, broker.KindUnavailable)
			again := h.watch(h.Auth)
			if again.last() < w.last() {
				t.Errorf("generation %d after %d", again.last(), w.last())
			}
		}},
		{"Decisions of an older generation must be taken again before they are used.", func(t T, h *authorised) {
			w := h.watch(h.Auth)
			decide := func() broker.Decision {
				got, err := h.Auth.Authorize(t.Context(), identity("ann"), broker.ActionPublish, []string{"a"})
				wantNil(t, err)
				return got[0]
			}
			before := decide()
			h.rule(broker.Rule{Index: -1, Topic: "a", Access: 3})
			eventually(t, func() bool { return w.last() > before.Generation }, "a decision is of an older generation")
			eventually(t, func() bool { return decide().Generation >= w.last() }, "decisions are of the generation that was told")
			after := decide()
			if before.Allow == after.Allow || after.Generation < w.last() {
				t.Errorf("generation %d: %+v and then %+v", w.last(), before, after)
			}
		}},
		{"Generation: of the rules it was taken under: every authsvc tells the same", func(t T, h *authorised) {
			one, two := h.watch(h.Auth), h.watch(h.Other)
			h.rule(broker.Rule{Index: -1, Topic: "a", Access: 3})
			eventually(t, func() bool { return one.last() == two.last() && one.last() > one.all()[0] }, "both tell one generation")
		}},
		{"TTL: how long it may be cached; 0: as long as the generation lasts", func(t T, h *authorised) {
			got, err := h.Auth.Authorize(t.Context(), identity("ann"), broker.ActionPublish, []string{"a"})
			wantNil(t, err)
			if got[0].TTL < 0 || got[0].TTL > 24*time.Hour {
				t.Errorf("TTL %v", got[0].TTL)
			}
		}},
	}
}
