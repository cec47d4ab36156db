package authrpc

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	authv1 "github.com/pando-mq/pando/proto/gen/pando/auth/v1"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/rpc/brokerrpc"
	"github.com/pando-mq/pando/services/rpc/rpctest"
)

func read[P, T any](get func(*brokerrpc.Check, P) T) func(P) (T, error) {
	return func(p P) (T, error) {
		var c brokerrpc.Check
		v := get(&c, p)
		return v, c.Err()
	}
}

// anyCredentials makes credentials whose user name and password exist only where they were sent.
func anyCredentials(t *rapid.T) broker.Credentials {
	c := rpctest.Fill[broker.Credentials](t)
	if !c.HasUser {
		c.Username = ""
	}
	if !c.HasPass {
		c.Password = nil
	}
	return c
}

// anyStep makes a step of somebody who sent no password: it stays behind.
func anyStep(t *rapid.T) broker.AuthStep {
	s := rpctest.Fill[broker.AuthStep](t)
	c := anyCredentials(t)
	c.Password, c.HasPass = nil, false
	s.Credentials = &c
	return s
}

func TestThePasswordStaysBehindInAnExchange(t *testing.T) {
	t.Parallel()
	p := encodeStep(&broker.AuthStep{Credentials: &broker.Credentials{ClientID: "c", Password: broker.Secret("secret"), HasPass: true}, Method: "X"})
	if p.GetCredentials().Password != nil || p.GetCredentials().GetClientId() != "c" {
		t.Errorf("a step carries %v", p.GetCredentials())
	}
}

func TestConversionIsTheIdentity(t *testing.T) {
	t.Parallel()
	rpctest.Identity(t, "credentials", anyCredentials, encodeCredentials, func(p *authv1.AuthenticateRequest) (broker.Credentials, error) {
		var c brokerrpc.Check
		return *decodeCredentials(&c, p), c.Err()
	})
	rpctest.Identity(t, "step", anyStep, encodeStep, func(p *authv1.ExchangeRequest) (broker.AuthStep, error) {
		var c brokerrpc.Check
		return *decodeStep(&c, p), c.Err()
	})
	rpctest.Identity(t, "answer", rpctest.Fill[broker.AuthAnswer], encodeAnswer, func(p *authv1.ExchangeResponse) (broker.AuthAnswer, error) {
		var c brokerrpc.Check
		return *decodeAnswer(&c, p), c.Err()
	})
	rpctest.Identity(t, "decision", rpctest.Fill[broker.Decision], encodeDecision, read(decodeDecision))
	rpctest.Identity(t, "user", rpctest.Fill[broker.User], encodeUser, read(decodeUser))
	rpctest.Identity(t, "rule", rpctest.Fill[broker.Rule], encodeRule, read(decodeRule))
	for _, a := range []broker.Action{broker.ActionPublish, broker.ActionSubscribe} {
		if got, err := read(decodeAction)(encodeAction(a)); got != a || err != nil {
			t.Errorf("action %v came back as %v, error %v", a, got, err)
		}
	}
}

func TestEmptyUsernameAndPasswordAreKept(t *testing.T) {
	t.Parallel()
	for _, want := range []broker.Credentials{{HasUser: true}, {HasPass: true}, {}} {
		b, err := proto.Marshal(encodeCredentials(&want))
		if err != nil {
			t.Fatal(err)
		}
		var p authv1.AuthenticateRequest
		if err := proto.Unmarshal(b, &p); err != nil {
			t.Fatal(err)
		}
		var c brokerrpc.Check
		if got := decodeCredentials(&c, &p); got.HasUser != want.HasUser || got.HasPass != want.HasPass {
			t.Errorf("sent %+v, came %+v", want, got)
		}
	}
}

func TestHostileCredentialsAreRefused(t *testing.T) {
	t.Parallel()
	many := map[string]string{}
	for i := range maxHeaders + 1 {
		many[fmt.Sprint(i)] = ""
	}
	for name, p := range map[string]*authv1.AuthenticateRequest{
		"long password": {Password: make([]byte, 65536)},
		"many headers":  {Headers: many},
		"peer":          {Peer: "1.2.3.4"},
		"version":       {Version: 1000},
	} {
		var c brokerrpc.Check
		decodeCredentials(&c, p)
		if c.Err() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := read(decodeAction)(0); err == nil {
		t.Error("no action was accepted")
	}
}

func FuzzDecodeAuth(f *testing.F) {
	for _, m := range []proto.Message{
		encodeCredentials(&broker.Credentials{ClientID: "c", HasUser: true, Username: "u", HasPass: true, Password: broker.Secret("p"), Headers: map[string]string{"Cookie": "x"}}),
		encodeUser(&broker.User{Name: "u", Hash: "h", Method: "sha256"}),
		encodeRule(&broker.Rule{Index: -1, Topic: "a/%c", Access: 3}),
		encodeDecision(&broker.Decision{Allow: true, Generation: 4}),
	} {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		rpctest.Stable(t, data, encodeCredentials, read(decodeCredentials))
		rpctest.Stable(t, data, func(u broker.User) *authv1.User { return encodeUser(&u) }, read(decodeUser))
		rpctest.Stable(t, data, func(r broker.Rule) *authv1.Rule { return encodeRule(&r) }, read(decodeRule))
		rpctest.Stable(t, data, func(d broker.Decision) *authv1.Decision { return encodeDecision(&d) }, read(decodeDecision))
	})
}
