package authrpc

import (
	"math"

	authv1 "github.com/pando-mq/pando/proto/gen/pando/auth/v1"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/rpc"
	"github.com/pando-mq/pando/services/rpc/brokerrpc"
)

const (
	maxHeaders = 128
	maxMethods = 16 // of a user's keys
)

func encodeCredentials(c *broker.Credentials) *authv1.AuthenticateRequest {
	p := &authv1.AuthenticateRequest{
		Tenant: rpc.Text(c.Tenant), ClientId: rpc.Text(c.ClientID), Peer: brokerrpc.EncodePeer(c.Peer), Protocol: rpc.Text(c.Protocol),
		Version: uint32(c.Version), Listener: rpc.Text(c.Listener), CertCn: rpc.Text(c.CertCN), CertDn: rpc.Text(c.CertDN), Loopback: c.Loopback,
	}
	if c.HasUser {
		user := rpc.Text(c.Username)
		p.Username = &user
	}
	if c.HasPass {
		p.Password = append([]byte{}, c.Password...) // not nil: an empty password was sent too
	}
	for k, v := range c.Headers {
		if p.Headers == nil {
			p.Headers = make(map[string]string, len(c.Headers))
		}
		p.Headers[rpc.Text(k)] = rpc.Text(v)
	}
	return p
}

func decodeCredentials(c *brokerrpc.Check, p *authv1.AuthenticateRequest) *broker.Credentials {
	out := &broker.Credentials{
		Tenant: c.Text(p.GetTenant(), "tenant"), ClientID: c.Text(p.GetClientId(), "client id"), Username: c.Text(p.GetUsername(), "user name"),
		HasUser: p.Username != nil, HasPass: p.Password != nil, Peer: c.Peer(p.GetPeer()), Protocol: c.Text(p.GetProtocol(), "protocol"),
		Version: c.Uint8(p.GetVersion(), "version"), Listener: c.Text(p.GetListener(), "listener"), CertCN: c.Text(p.GetCertCn(), "common name"),
		CertDN: c.Text(p.GetCertDn(), "distinguished name"), Loopback: p.GetLoopback(),
	}
	if n := len(p.GetPassword()); n > brokerrpc.MaxText {
		c.Fail("password of %d bytes", n)
	} else if n > 0 {
		out.Password = p.GetPassword()
	}
	if n := len(p.GetHeaders()); n > maxHeaders {
		c.Fail("%d headers", n)
	} else if n > 0 {
		out.Headers = p.GetHeaders()
	}
	return out
}

// encodeStep leaves the password of CONNECT out: no method looks at it.
func encodeStep(s *broker.AuthStep) *authv1.ExchangeRequest {
	cred := broker.Credentials{}
	if s.Credentials != nil {
		cred = *s.Credentials
	}
	cred.Password, cred.HasPass = nil, false
	return &authv1.ExchangeRequest{Credentials: encodeCredentials(&cred), Method: rpc.Text(s.Method), Data: s.Data, State: s.State}
}

func decodeStep(c *brokerrpc.Check, p *authv1.ExchangeRequest) *broker.AuthStep {
	cred := p.GetCredentials()
	if cred == nil {
		cred = &authv1.AuthenticateRequest{}
	}
	return &broker.AuthStep{
		Credentials: decodeCredentials(c, cred), Method: c.Text(p.GetMethod(), "method"), Data: bounded(c, p.GetData(), "data"), State: bounded(c, p.GetState(), "state"),
	}
}

func encodeAnswer(a *broker.AuthAnswer) *authv1.ExchangeResponse {
	if a == nil {
		return &authv1.ExchangeResponse{}
	}
	p := &authv1.ExchangeResponse{Data: a.Data, State: a.State}
	if a.Identity != nil {
		p.Identity = brokerrpc.EncodeIdentity(a.Identity)
	}
	return p
}

func decodeAnswer(c *brokerrpc.Check, p *authv1.ExchangeResponse) *broker.AuthAnswer {
	a := &broker.AuthAnswer{Data: bounded(c, p.GetData(), "data"), State: bounded(c, p.GetState(), "state")}
	if p.GetIdentity() != nil {
		a.Identity = c.Identity(p.GetIdentity())
	}
	return a
}

// bounded is a field of bytes, nil if it is empty.
func bounded(c *brokerrpc.Check, b []byte, what string) []byte {
	if len(b) > brokerrpc.MaxText {
		c.Fail("%s of %d bytes", what, len(b))
		return nil
	}
	if len(b) == 0 {
		return nil
	}
	return b
}

func encodeSCRAM(k *broker.SCRAM) *authv1.SCRAM {
	return &authv1.SCRAM{
		Method: rpc.Text(k.Method), Iterations: brokerrpc.EncodeCount(k.Iterations), Salt: k.Salt, StoredKey: k.StoredKey, ServerKey: k.ServerKey,
	}
}

func decodeSCRAM(c *brokerrpc.Check, p *authv1.SCRAM) broker.SCRAM {
	return broker.SCRAM{
		Method: c.Text(p.GetMethod(), "method"), Iterations: c.Count(p.GetIterations()), Salt: bounded(c, p.GetSalt(), "salt"),
		StoredKey: bounded(c, p.GetStoredKey(), "stored key"), ServerKey: bounded(c, p.GetServerKey(), "server key"),
	}
}

func encodeAction(a broker.Action) authv1.Action { return authv1.Action(a) }

func decodeAction(c *brokerrpc.Check, p authv1.Action) broker.Action {
	if p != authv1.Action_ACTION_PUBLISH && p != authv1.Action_ACTION_SUBSCRIBE {
		c.Fail("action %d", p)
		return 0
	}
	return broker.Action(p)
}

func encodeDecision(d *broker.Decision) *authv1.Decision {
	return &authv1.Decision{Allow: d.Allow, Generation: d.Generation, TtlMs: brokerrpc.EncodeDuration(d.TTL), Rule: rpc.Text(d.Rule)}
}

func decodeDecision(c *brokerrpc.Check, p *authv1.Decision) broker.Decision {
	return broker.Decision{
		Allow: p.GetAllow(), Generation: p.GetGeneration(), TTL: brokerrpc.DecodeDuration(p.GetTtlMs()), Rule: c.Filter(p.GetRule()),
	}
}

func encodeUser(u *broker.User) *authv1.User {
	return &authv1.User{
		Tenant: rpc.Text(u.Tenant), Name: rpc.Text(u.Name), Password: u.Password, Hash: rpc.Text(u.Hash), Salt: rpc.Text(u.Salt), Method: rpc.Text(u.Method),
		Superuser: u.Superuser, Create: u.Create, CreatedMs: brokerrpc.EncodeTime(u.Created),
		Scram: brokerrpc.Map(u.SCRAM, encodeSCRAM),
	}
}

func decodeUser(c *brokerrpc.Check, p *authv1.User) broker.User {
	u := broker.User{
		Tenant: c.Text(p.GetTenant(), "tenant"), Name: c.Text(p.GetName(), "name"), Hash: c.Text(p.GetHash(), "hash"), Salt: c.Text(p.GetSalt(), "salt"),
		Method: c.Text(p.GetMethod(), "method"), Superuser: p.GetSuperuser(), Create: p.GetCreate(), Created: brokerrpc.DecodeTime(p.GetCreatedMs()),
	}
	if n := len(p.GetPassword()); n > brokerrpc.MaxText {
		c.Fail("password of %d bytes", n)
	} else if n > 0 {
		u.Password = p.GetPassword()
	}
	if n := len(p.GetScram()); n > maxMethods {
		c.Fail("keys of %d methods", n)
	} else {
		u.SCRAM = brokerrpc.ReadAll(p.GetScram(), func(p *authv1.SCRAM) broker.SCRAM { return decodeSCRAM(c, p) })
	}
	return u
}

func encodeRule(r *broker.Rule) *authv1.Rule {
	return &authv1.Rule{
		Id: rpc.Text(r.ID), Index: int32(min(max(r.Index, math.MinInt32), math.MaxInt32)), Allow: r.Allow, Username: rpc.Text(r.Username),
		ClientId: rpc.Text(r.ClientID), Cidr: rpc.Text(r.CIDR), Access: uint32(r.Access), Topic: rpc.Text(r.Topic),
	}
}

func decodeRule(c *brokerrpc.Check, p *authv1.Rule) broker.Rule {
	return broker.Rule{
		ID: c.Text(p.GetId(), "id"), Index: int(p.GetIndex()), Allow: p.GetAllow(), Username: c.Text(p.GetUsername(), "user name"),
		ClientID: c.Text(p.GetClientId(), "client id"), CIDR: c.Text(p.GetCidr(), "cidr"), Access: c.Uint8(p.GetAccess(), "access"), Topic: c.Filter(p.GetTopic()),
	}
}
