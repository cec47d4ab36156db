package authsvc_test

import (
	"strings"
	"testing"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/scram"
)

// prove is a whole exchange.
func prove(t *testing.T, n broker.Auth, method, clientID, user, password string) (*broker.Identity, error) {
	t.Helper()
	c := scram.NewClient(method, user, password)
	step := broker.AuthStep{Credentials: credentials(clientID, "", ""), Method: method, Data: c.First()}
	answer, err := n.Exchange(t.Context(), &step)
	if err != nil {
		return nil, err
	}
	step.State = answer.State
	if step.Data, err = c.Last(answer.Data); err != nil {
		return nil, err
	}
	if answer, err = n.Exchange(t.Context(), &step); err != nil {
		return nil, err
	}
	return answer.Identity, c.Verify(answer.Data)
}

func TestExchangeOfStaticUsersAndAfterRestart(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	cfg := config()
	cfg.SCRAM.Iterations = 5000
	n := s.start("a", cfg)
	must(t, n.PutUser(t.Context(), broker.User{Name: "ann", Password: broker.Secret("pencil")}))
	for range 2 {
		for _, method := range scram.Methods() {
			id, err := prove(t, n, method, "c", "ann", "pencil")
			if err != nil || id == nil || id.Username != "ann" || id.ClientID != "c" {
				t.Fatalf("%s: %+v, %v", method, id, err)
			}
		}
		answer, err := n.Exchange(t.Context(), &broker.AuthStep{Credentials: credentials("c", "", ""), Method: scram.SHA256, Data: []byte("n,,n=ann,r=x")})
		if err != nil || !strings.HasSuffix(string(answer.Data), ",i=5000") {
			t.Errorf("challenge %+v, %v", answer, err)
		}
		s.stop(n)
		n = s.start("a", cfg)
	}
}

// TestExchangeKeepsKeysWithoutANewPassword: a change of something else leaves a user's keys.
func TestExchangeKeepsKeysWithoutANewPassword(t *testing.T) {
	t.Parallel()
	n := newSuite(t).start("a", config())
	must(t, n.PutUser(t.Context(), broker.User{Name: "ann", Password: broker.Secret("pencil")}))
	must(t, n.PutUser(t.Context(), broker.User{Name: "ann", Superuser: true}))
	id, err := prove(t, n, scram.SHA256, "c", "ann", "pencil")
	if err != nil || !id.Superuser {
		t.Errorf("%+v, %v", id, err)
	}
}

func TestExchangeIsOff(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	off := config()
	off.SCRAM.Enable = false
	n := s.start("a", off)
	must(t, n.PutUser(t.Context(), broker.User{Name: "ann", Password: broker.Secret("pencil")}))
	if _, err := prove(t, n, scram.SHA256, "c", "ann", "pencil"); broker.KindOf(err) != broker.KindNotFound {
		t.Errorf("while it is off: %v", err)
	}
	s.stop(n)
	n = s.start("a", config())
	if _, err := prove(t, n, scram.SHA256, "c", "ann", "pencil"); broker.KindOf(err) != broker.KindUnauthenticated {
		t.Errorf("a user whose password was set while it was off: %v", err)
	}
	must(t, n.PutUser(t.Context(), broker.User{Name: "ann", Password: broker.Secret("pencil")}))
	if _, err := prove(t, n, scram.SHA256, "c", "ann", "pencil"); err != nil {
		t.Error(err)
	}
}

// TestExchangeRespectsTheChain: what the chain asks first is not got around.
func TestExchangeRespectsTheChain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		chain []string
		want  broker.Kind
	}{
		"client ids first": {[]string{"client", "user"}, broker.KindUnauthenticated},
		"no users":         {[]string{"client"}, broker.KindNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config()
			cfg.Chain = c.chain
			n := newSuite(t).start("a", cfg)
			must(t, n.PutUser(t.Context(), broker.User{Name: "ann", Password: broker.Secret("pencil")}))
			must(t, n.PutClientID(t.Context(), broker.User{Name: "mine", Password: broker.Secret("x")}))
			if _, err := prove(t, n, scram.SHA256, "mine", "ann", "pencil"); broker.KindOf(err) != c.want {
				t.Errorf("error %v, want %s", err, c.want)
			}
		})
	}
	cfg := config()
	cfg.Chain = []string{"user", "client"}
	n := newSuite(t).start("a", cfg)
	must(t, n.PutUser(t.Context(), broker.User{Name: "ann", Password: broker.Secret("pencil")}))
	must(t, n.PutClientID(t.Context(), broker.User{Name: "mine", Password: broker.Secret("x")}))
	if _, err := prove(t, n, scram.SHA256, "mine", "ann", "pencil"); err != nil {
		t.Errorf("users first: %v", err)
	}
}

// TestDecoysAgree: an unknown user is told the same salt by every replica, also after a restart.
func TestDecoysAgree(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	a := s.start("a", config())
	must(t, a.PutUser(t.Context(), broker.User{Name: "ann", Password: broker.Secret("pencil")}))
	b := s.start("b", config())
	salt := func(n broker.Auth) string {
		answer, err := n.Exchange(t.Context(), &broker.AuthStep{Credentials: credentials("c", "", ""), Method: scram.SHA512, Data: []byte("n,,n=nobody,r=x")})
		must(t, err)
		_, rest, _ := strings.Cut(string(answer.Data), ",")
		return rest
	}
	if one, two := salt(a), salt(b); one != two {
		t.Errorf("%s and %s", one, two)
	}
}
