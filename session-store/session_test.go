package sessionstore_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/pando-mq/pando/services/broker"
)

func (w *world) sessions(q broker.ClientQuery) []broker.SessionInfo {
	w.t.Helper()
	rows, err := w.store.Sessions(w.t.Context(), q)
	if err != nil {
		w.t.Fatal(err)
	}
	return rows
}

func TestSessionExpires(t *testing.T) {
	cases := map[string]struct {
		expiry time.Duration
		leave  broker.Detach
		set    time.Duration // OpSetExpiry, 0: none
		lives  time.Duration
		ends   time.Duration // 0: never
	}{
		"after its interval":          {expiry: time.Hour, lives: 59 * time.Minute, ends: 61 * time.Minute},
		"DISCONNECT shortens it":      {expiry: time.Hour, leave: broker.Detach{HasExpiry: true, Expiry: time.Minute}, lives: 50 * time.Second, ends: 70 * time.Second},
		"DISCONNECT makes it longer":  {expiry: time.Minute, leave: broker.Detach{HasExpiry: true, Expiry: time.Hour}, lives: 50 * time.Minute, ends: 61 * time.Minute},
		"changed while connected":     {expiry: time.Hour, set: time.Minute, lives: 50 * time.Second, ends: 70 * time.Second},
		"never":                       {expiry: broker.Forever, lives: 2 * time.Hour},
		"DISCONNECT makes it forever": {expiry: time.Minute, leave: broker.Detach{HasExpiry: true, Expiry: broker.Forever}, lives: 2 * time.Hour},
	}
	for name, c := range cases {
		for _, fail := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", fail ", fail), func(t *testing.T) {
				run(t, func(t *testing.T, w *world) {
					g := w.gateway("g1")
					d := g.connect("c", options{expiry: c.expiry})
					if c.set > 0 {
						r := d.request(broker.OpSetExpiry)
						r.Expiry = c.set
						d.must(r)
					}
					d.detach(c.leave)
					if fail {
						w.fail()
					}
					time.Sleep(c.lives)
					settle()
					if len(w.sessions(broker.ClientQuery{})) != 1 {
						t.Fatalf("ended within %v", c.lives)
					}
					if c.ends == 0 {
						return
					}
					time.Sleep(c.ends - c.lives)
					settle()
					if len(w.sessions(broker.ClientQuery{})) != 0 {
						t.Fatalf("lives after %v", c.ends)
					}
					w.fail()
				})
			})
		}
	}
}

// What expired while nobody owned the partition ends with the next owner.
func TestSessionExpiresWithoutOwner(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		g.connect("c", options{expiry: time.Minute}).leave()
		w.kill()
		time.Sleep(time.Hour)
		w.startStore()
		if rows := w.sessions(broker.ClientQuery{}); len(rows) != 0 {
			t.Fatalf("sessions %+v", rows)
		}
	})
}

func TestReconnectStopsTheExpiry(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		g.connect("c", options{expiry: time.Minute}).leave()
		time.Sleep(50 * time.Second)
		d := g.connect("c", options{expiry: time.Minute})
		time.Sleep(time.Hour)
		d.leave()
		time.Sleep(50 * time.Second)
		settle()
		if len(w.sessions(broker.ClientQuery{})) != 1 {
			t.Fatal("ended too early")
		}
	})
}

func TestListings(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		for i := range 5 {
			d := g.connect(fmt.Sprintf("c%d", i), persistent)
			d.subscribe("a", 1)
			if i%2 == 1 {
				d.leave()
			}
		}
		g.connect("clean", options{clean: true})
		ids := func(q broker.ClientQuery) (all []string) {
			for _, r := range w.sessions(q) {
				all = append(all, r.ClientID+"@"+r.Node)
			}
			return all
		}
		w.want("all", ids(broker.ClientQuery{}), "c0@g1@test", "c1@s1", "c2@g1@test", "c3@s1", "c4@g1@test")
		w.want("page", ids(broker.ClientQuery{After: "c1", Limit: 2}), "c2@g1@test", "c3@s1")
		w.want("node", ids(broker.ClientQuery{Node: "s1"}), "c1@s1", "c3@s1")
		w.want("user", ids(broker.ClientQuery{Username: "user-c2"}), "c2@g1@test")
		w.want("exact", ids(broker.ClientQuery{ClientID: "c3"}), "c3@s1")
		w.want("part", ids(broker.ClientQuery{Contains: "4"}), "c4@g1@test")
		w.want("other tenant", ids(broker.ClientQuery{Tenant: "x"}))
		subs, err := w.store.SessionSubscriptions(w.t.Context(), broker.ClientQuery{Limit: 3})
		if err != nil || len(subs) != 3 || subs[0].Filter != "a" || subs[0].ClientID != "c0" {
			t.Fatalf("subscriptions %+v: %v", subs, err)
		}
		stats, err := w.store.SessionStats(w.t.Context())
		if err != nil || stats["sessions/count"] != 5 || stats["sessions/connected"] != 3 || stats["attachments/count"] != 4 || stats["subscriptions/count"] != 5 || stats["subscribers/count"] != 5 {
			t.Fatalf("stats %v: %v", stats, err)
		}
		ctx, cancel := context.WithCancel(w.t.Context())
		cancel()
		if _, err := w.store.Sessions(ctx, broker.ClientQuery{}); err == nil {
			t.Fatal("a cancelled context is not noticed")
		}
	})
}

func TestDropSession(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		d := g.connect("c", options{expiry: time.Hour, will: will(time.Minute)})
		d.subscribe("a", 1)
		w.wantKind("drop of nobody", w.store.Drop(w.t.Context(), "", "nobody"), broker.KindNotFound)
		if err := w.store.Drop(w.t.Context(), "", "c"); err != nil {
			t.Fatal(err)
		}
		w.want("pushes", g.take(), "kick c/1 kicked")
		if len(w.sessions(broker.ClientQuery{})) != 0 || w.router.route("a", "").Members != 0 {
			t.Fatal("the session is still there")
		}
		w.fail()
		g.open()
		w.want("pushes of the next owner", g.take(), "kick c/1 conflict")
		d.kicked()
		w.want("the session's end published the will", w.router.published(), "will=gone")
		d = g.connect("c", options{expiry: time.Hour, will: will(time.Minute)})
		d.detach(broker.Detach{Reason: "closed"})
		if err := w.store.Drop(w.t.Context(), "", "c"); err != nil {
			t.Fatal(err)
		}
		settle()
		w.want("a delayed will goes with its session", w.router.published(), "will=gone", "will=gone")
	})
}

func TestKickClient(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		g.connect("c", persistent)
		g.connect("clean", options{clean: true})
		for _, id := range []string{"c", "clean"} {
			if err := w.store.KickClient(w.t.Context(), "", id, ""); err != nil {
				t.Fatal(err)
			}
		}
		if got := g.take(); len(got) != 2 {
			t.Fatalf("pushes %v", got)
		}
		w.wantKind("kick of nobody", w.store.KickClient(w.t.Context(), "", "nobody", ""), broker.KindNotFound)
		g.streams[partitionOf("c")].Close()
		w.wantKind("kick without stream", w.store.KickClient(w.t.Context(), "", "c", ""), broker.KindUnavailable)
	})
}

// The settings are part of the log: each part is replayed under those it was written under.
func TestSettingsChangeWithTheOwner(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		d := g.connect("c", persistent)
		d.subscribe("a", 1)
		d.leave()
		s := w.sourceTo("c")
		for i := range 10 {
			s.must(message("a", fmt.Sprint(i), 1))
		}
		w.kill()
		w.cfg.Session.Queue.MaxLength = 3
		w.startStore()
		if rows := w.sessions(broker.ClientQuery{}); rows[0].Queued != 10 || rows[0].Dropped != 0 {
			t.Fatalf("session %+v: the shorter queue was applied to what was before", rows[0])
		}
		s = w.sourceTo("c")
		s.seq = 10
		s.must(message("a", "10", 1))
		if rows := w.sessions(broker.ClientQuery{}); rows[0].Queued != 3 {
			t.Fatalf("session %+v", rows[0])
		}
		w.fail()
		g.open()
		g.connect("c", persistent)
		w.want("pushes", g.take(), "publish a=8 qos1 id10", "publish a=9 qos1 id11", "publish a=10 qos1 id12")
	})
}
