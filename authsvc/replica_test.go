package authsvc_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pando-mq/pando/authsvc"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/run"
)

var (
	_ broker.Auth           = (*authsvc.Service)(nil)
	_ broker.AuthAdmin      = (*authsvc.Service)(nil)
	_ cluster.PartitionHost = (*authsvc.Service)(nil)
	_ run.Service           = (*authsvc.Service)(nil)
)

// knows waits until a user can log in.
func (s *suite) knows(n *node, name, password string) {
	s.t.Helper()
	s.eventually(name+" can log in", func() bool {
		_, err := n.login(s.t, "c", name, password)
		return err == nil
	})
}

func TestUserAddedThroughOneLogsInThroughTheOtherWithinASecond(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	a, b := s.start("a", config()), s.start("b", config())
	owner := s.owner(a, b)
	best := time.Hour // of some: a busy machine may delay one
	for i, through := range []*node{owner, other(owner, a, b), owner, other(owner, a, b)} {
		name := fmt.Sprint("user", i)
		start := time.Now()
		must(t, through.PutUser(t.Context(), broker.User{Name: name, Password: broker.Secret("secret"), Create: true}))
		if _, err := owner.login(t, "c", name, "secret"); err != nil {
			t.Errorf("%s at the owner, right after PutUser returned: %v", name, err)
		}
		s.knows(a, name, "secret")
		s.knows(b, name, "secret")
		best = min(best, time.Since(start))
	}
	if best > time.Second {
		t.Errorf("the fastest user took %v", best)
	}
	must(t, other(owner, a, b).DeleteUser(t.Context(), "", "user0"))
	for _, n := range []*node{a, b} {
		s.eventually("the deleted user is refused", func() bool {
			_, err := n.login(t, "c", "user0", "secret")
			return err != nil
		})
	}
}

// The one that took the user is gone at once; nobody writes the journal yet, and those who read it let the user in all the same.
func TestUserLogsInThroughTheOtherAfterTheFirstWasKilled(t *testing.T) {
	t.Parallel()
	best := time.Hour // of some: a busy machine may delay one
	for range 3 {
		s := newSuite(t)
		a, b := s.start("a", config()), s.start("b", config())
		owner := s.owner(a, b)
		rest := other(owner, a, b)
		start := time.Now()
		must(t, owner.PutUser(t.Context(), broker.User{Name: "ann", Password: broker.Secret("secret"), Create: true}))
		s.kill(owner)
		s.knows(rest, "ann", "secret")
		best = min(best, time.Since(start))
		_, err := rest.login(t, "c", "ann", "wrong")
		wantKind(t, err, broker.KindUnauthenticated)
	}
	if best > time.Second {
		t.Errorf("the fastest user took %v", best)
	}
}

func TestUsersOutliveTheirOwner(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	a, b := s.start("a", config()), s.start("b", config())
	owner := s.owner(a, b)
	rest := other(owner, a, b)
	must(t, owner.PutUser(t.Context(), broker.User{Name: "before", Password: broker.Secret("1")}))
	dir := owner.dir
	s.kill(owner)
	if _, err := owner.login(t, "c", "before", "1"); err == nil {
		t.Error("a stopped authsvc lets a client in")
	}
	s.eventually("the other one takes changes", func() bool {
		return rest.PutUser(t.Context(), broker.User{Name: "after", Password: broker.Secret("2")}) == nil
	})
	s.knows(rest, "before", "1")
	s.knows(rest, "after", "2")

	must(t, os.RemoveAll(dir))
	again := s.start("again", config())
	for name, password := range map[string]string{"before": "1", "after": "2"} {
		if _, err := again.login(t, "c", name, password); err != nil {
			t.Errorf("%s at an authsvc with an empty directory, right after its start: %v", name, err)
		}
	}
	must(t, again.PutUser(t.Context(), broker.User{Name: "third", Password: broker.Secret("3")}))
	s.knows(rest, "third", "3")
	s.knows(again, "third", "3")
}

func TestProjectionIsRebuilt(t *testing.T) {
	t.Parallel()
	damage := func(t *testing.T, path string) {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		must(t, err)
		fi, err := f.Stat()
		must(t, err)
		_, err = f.WriteAt(slices.Repeat([]byte{0xa5}, int(fi.Size())-100), 100)
		must(t, err)
		must(t, f.Close())
	}
	for name, spoil := range map[string]func(t *testing.T, path string){
		"kept":    func(*testing.T, string) {},
		"deleted": func(t *testing.T, path string) { must(t, os.Remove(path)) },
		"damaged": damage,
		"of another journal": func(t *testing.T, path string) {
			elsewhere := newSuite(t)
			n := elsewhere.start("a", config())
			for i := range 9 {
				must(t, n.PutUser(t.Context(), broker.User{Name: fmt.Sprint("stranger", i), Password: broker.Secret("x")}))
			}
			elsewhere.stop(n)
			b, err := os.ReadFile(n.dir + "/auth.db")
			must(t, err)
			must(t, os.WriteFile(path, b, 0o600))
		},
		"of a shorter other journal": func(t *testing.T, path string) {
			elsewhere := newSuite(t)
			n := elsewhere.start("a", config())
			must(t, n.PutUser(t.Context(), broker.User{Name: "stranger0", Password: broker.Secret("x")}))
			elsewhere.stop(n)
			b, err := os.ReadFile(n.dir + "/auth.db")
			must(t, err)
			must(t, os.WriteFile(path, b, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSuite(t)
			n := s.start("a", config())
			for i := range 3 {
				must(t, n.PutUser(t.Context(), broker.User{Name: fmt.Sprint("user", i), Password: broker.Secret("x")}))
			}
			s.stop(n)
			spoil(t, n.dir+"/auth.db")
			n = s.start("a", config())
			users, err := n.Users(t.Context(), "", "", 0)
			must(t, err)
			var names []string
			for _, u := range users {
				names = append(names, u.Name)
			}
			if want := []string{"user0", "user1", "user2"}; !slices.Equal(names, want) {
				t.Errorf("users %q, want %q", names, want)
			}
		})
	}
}

// What is in the file turns to garbage while the service runs.
func TestProjectionIsRebuiltWhileItRuns(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	n := s.start("a", config())
	var wg sync.WaitGroup
	for i := range 300 { // more than a few pages
		wg.Go(func() {
			if err := n.PutUser(t.Context(), broker.User{Name: fmt.Sprintf("user%03d", i), Hash: "x", Method: "plain"}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, suffix := range []string{"", "-wal"} {
		f, err := os.OpenFile(n.dir+"/auth.db"+suffix, os.O_RDWR, 0)
		must(t, err)
		fi, err := f.Stat()
		must(t, err)
		if size := int(fi.Size()) - 200; size > 0 {
			_, err = f.WriteAt(slices.Repeat([]byte{0xa5}, size), 200)
			must(t, err)
		}
		must(t, f.Close())
	}
	damaged := false
	s.eventually("all users are there again", func() bool {
		err := n.PutUser(t.Context(), broker.User{Name: "more", Hash: "x", Method: "plain"})
		users, listErr := n.Users(t.Context(), "", "", 0)
		damaged = damaged || err != nil || listErr != nil
		return err == nil && listErr == nil && len(users) == 301
	})
	if !damaged {
		t.Error("nobody noticed the damage: the test shows nothing")
	}
	if _, err := n.login(t, "c", "user299", "x"); err != nil {
		t.Error(err)
	}
}

func TestForeignFileStopsTheStart(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	n := s.join("a", config())
	write(t, n.dir+"/auth.db", "somebody's precious notes")
	if err := n.Start(t.Context()); err == nil {
		t.Fatal("started")
	}
	if b, err := os.ReadFile(n.dir + "/auth.db"); err != nil || string(b) != "somebody's precious notes" {
		t.Errorf("the file holds %q, error %v", b, err)
	}
}

// A snapshot is due every few users here, so that most of the journal is purged.
func TestReplicasStartFromSnapshots(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	a := s.start("a", config())
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			if err := a.PutUser(t.Context(), broker.User{Name: fmt.Sprintf("user%02d", i), Password: broker.Secret("x")}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s.eventually("a purge", func() bool {
		must(t, a.PutUser(t.Context(), broker.User{Name: "user00", Password: broker.Secret("x")}))
		info, err := s.faults.Info(t.Context(), "AU")
		must(t, err)
		return info.First > 1
	})
	b := s.start("b", config())
	users, err := b.Users(t.Context(), "", "", 0)
	if err != nil || len(users) != 60 {
		t.Errorf("%d users, error %v, want 60", len(users), err)
	}
	s.stop(a)
	s.eventually("the other one takes changes", func() bool {
		return b.PutUser(t.Context(), broker.User{Name: "user99", Password: broker.Secret("x")}) == nil
	})
	s.knows(b, "user59", "x")
}

func TestOwnerSurvivesFaultsOfTheJournal(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	a := s.start("a", config())
	put := func(ctx context.Context, name string) error {
		return a.PutUser(ctx, broker.User{Name: name, Password: broker.Secret("x")})
	}
	must(t, put(t.Context(), "one"))
	s.faults.LoseAnswer("AU")
	must(t, put(t.Context(), "two"))
	s.faults.Drop("AU")
	must(t, put(t.Context(), "three"))
	for _, name := range []string{"one", "two", "three"} {
		s.knows(a, name, "x")
	}
}

func TestStopAnswersThoseWhoWait(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	a := s.start("a", config())
	must(t, a.PutUser(t.Context(), broker.User{Name: "one", Password: broker.Secret("x")}))
	watch, changes := make(chan error, 1), make(chan error, 8)
	go func() { watch <- a.WatchRules(t.Context(), func(uint64) {}) }()
	held, release := s.faults.Hold("AU")
	for i := range cap(changes) {
		go func() {
			changes <- a.PutUser(t.Context(), broker.User{Name: fmt.Sprint(i), Password: broker.Secret("x")})
		}()
	}
	<-held
	stopped := make(chan struct{})
	go func() { defer close(stopped); s.stop(a) }()
	release()
	<-stopped
	wantKind(t, <-watch, broker.KindUnavailable)
	for range cap(changes) {
		if err := <-changes; err != nil {
			wantKind(t, err, broker.KindUnavailable)
		}
	}
	wantKind(t, a.PutUser(t.Context(), broker.User{Name: "late", Password: broker.Secret("x")}), broker.KindUnavailable)
}
