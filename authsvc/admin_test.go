package authsvc_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pando-mq/pando/services/broker"
)

func TestPutAndDelete(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	a, b := s.start("a", config()), s.start("b", config())
	owner := s.owner(a, b)
	for _, n := range []*node{owner, other(owner, a, b)} {
		x := "x"
		if n == owner {
			x = "y"
		}
		user := broker.User{Name: x, Password: broker.Secret("1"), Create: true}
		must(t, n.PutUser(t.Context(), user))
		must(t, n.PutClientID(t.Context(), user))
		wantKind(t, n.PutUser(t.Context(), user), broker.KindConflict)
		wantKind(t, n.PutClientID(t.Context(), user), broker.KindConflict)
		must(t, n.PutUser(t.Context(), broker.User{Name: x, Password: broker.Secret("2")}))
		must(t, n.PutUser(t.Context(), broker.User{Name: x, Superuser: true})) // keeps its password
		if id, err := owner.login(t, "c", x, "2"); err != nil || !id.Superuser {
			t.Errorf("%+v, %v", id, err)
		}
		must(t, n.DeleteUser(t.Context(), "", x))
		must(t, n.DeleteClientID(t.Context(), "", x))
		wantKind(t, n.DeleteUser(t.Context(), "", x), broker.KindNotFound)
		wantKind(t, n.DeleteClientID(t.Context(), "", x), broker.KindNotFound)
		for name, u := range map[string]broker.User{
			"no name":           {Password: broker.Secret("x")},
			"no password":       {Name: "new"},
			"password and hash": {Name: "new", Password: broker.Secret("x"), Hash: "x", Method: "plain"},
			"NUL in the name":   {Name: "a\x00b", Password: broker.Secret("x")},
			"long password":     {Name: "new", Password: make(broker.Secret, 65536)},
		} {
			if err := n.PutUser(t.Context(), u); err == nil || broker.KindOf(err) != broker.KindInvalid {
				t.Errorf("user, %s: %v", name, err)
			}
			if err := n.PutClientID(t.Context(), u); err == nil || broker.KindOf(err) != broker.KindInvalid {
				t.Errorf("client id, %s: %v", name, err)
			}
		}
		wantKind(t, n.PutClientID(t.Context(), broker.User{Name: "new", Password: broker.Secret("x"), Superuser: true}), broker.KindInvalid)
	}
}

func TestListsShowNoPasswords(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	n := s.start("a", config())
	var wg sync.WaitGroup
	for i := range 25 {
		wg.Go(func() {
			u := broker.User{Tenant: "acme", Name: fmt.Sprintf("n%02d", i), Password: broker.Secret("secret"), Superuser: i == 7}
			if err := n.PutUser(t.Context(), u); err != nil {
				t.Error(err)
			}
			u.Superuser = false
			if err := n.PutClientID(t.Context(), u); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for name, list := range map[string]func(after string, limit int) ([]broker.User, error){
		"users": func(after string, limit int) ([]broker.User, error) {
			return n.Users(t.Context(), "acme", after, limit)
		},
		"clients": func(after string, limit int) ([]broker.User, error) {
			return n.ClientIDs(t.Context(), "acme", after, limit)
		},
	} {
		var names []string
		for after := ""; ; {
			page, err := list(after, 10)
			must(t, err)
			for _, u := range page {
				names = append(names, u.Name)
				if u.Password != nil || u.Hash != "" || u.Salt != "" || u.Method != "argon2id,64,1,1" || u.Tenant != "acme" || time.Since(u.Created) > time.Minute {
					t.Errorf("%s: %+v", name, u)
				}
				if want := name == "users" && u.Name == "n07"; u.Superuser != want {
					t.Errorf("%s: %s superuser %v", name, u.Name, u.Superuser)
				}
			}
			if len(page) < 10 {
				break
			}
			after = names[len(names)-1]
		}
		if len(names) != 25 || !slices.IsSorted(names) {
			t.Errorf("%s: %q", name, names)
		}
		if all, err := list("", 0); err != nil || len(all) != 25 {
			t.Errorf("%s without a limit: %d, %v", name, len(all), err)
		}
	}
	if none, err := n.Users(t.Context(), "", "", 10); err != nil || len(none) != 0 {
		t.Errorf("users of another tenant: %v, %v", none, err)
	}
}

// Many writers of one name, who all wait for the same append: each change is planned on what was there before it.
func TestCreateIsGrantedOnce(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	a, b := s.start("a", config()), s.start("b", config())
	owner := s.owner(a, b)
	must(t, owner.PutUser(t.Context(), broker.User{Name: "zero", Hash: "x", Method: "plain"}))
	held, release := s.faults.Hold("AU")
	first := make(chan error, 1)
	go func() { first <- owner.PutUser(t.Context(), broker.User{Name: "first", Hash: "x", Method: "plain"}) }()
	<-held
	results := make(chan error, 20)
	for i := range cap(results) {
		go func() {
			results <- []*node{a, b}[i%2].PutUser(t.Context(), broker.User{Name: "one", Password: broker.Secret(fmt.Sprint(i)), Create: true})
		}()
	}
	s.eventually("all passwords are hashed", func() bool {
		const computed = "pando_auth_password_computations_total"
		return values(t, a.metrics)[computed]+values(t, b.metrics)[computed] == float64(cap(results))
	})
	release()
	must(t, <-first)
	granted := 0
	for range cap(results) {
		if err := <-results; err == nil {
			granted++
		} else {
			wantKind(t, err, broker.KindConflict)
		}
	}
	if granted != 1 {
		t.Errorf("%d created the user", granted)
	}
}

func TestChangeWithoutAnOwner(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	n := s.join("a", config()) // never started, so it never owns the journal
	done := make(chan error, 1)
	go func() { done <- n.PutUser(t.Context(), broker.User{Name: "ann", Password: broker.Secret("x")}) }()
	b := s.start("b", config())
	must(t, <-done) // it waited for an owner
	s.knows(b, "ann", "x")
}
