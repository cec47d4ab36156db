package authrpc

import (
	"context"

	"google.golang.org/grpc"

	authv1 "github.com/pando-mq/pando/proto/gen/pando/auth/v1"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/rpc"
	"github.com/pando-mq/pando/services/rpc/brokerrpc"
)

// Service is what an authsvc process implements.
type Service interface {
	broker.Auth
	broker.AuthAdmin
}

// LocalReloader is implemented by a Service that reads its ACL file again without telling the others: how one authsvc asks another one.
type LocalReloader interface {
	ReloadLocalACL(ctx context.Context) error
}

// Register serves an authsvc process. An impl that is a LocalReloader answers NodeClient.ReloadLocalACL with it.
func Register(reg grpc.ServiceRegistrar, impl Service) {
	authv1.RegisterAuthServiceServer(reg, &server{impl: impl})
}

type server struct {
	authv1.UnimplementedAuthServiceServer
	impl Service
}

func (s *server) Authenticate(ctx context.Context, p *authv1.AuthenticateRequest) (*authv1.AuthenticateResponse, error) {
	var c brokerrpc.Check
	cred := decodeCredentials(&c, p)
	if err := c.Invalid("authenticate"); err != nil {
		return nil, err
	}
	id, err := s.impl.Authenticate(ctx, cred)
	return &authv1.AuthenticateResponse{Identity: brokerrpc.EncodeIdentity(id)}, rpc.ToStatus(err)
}

func (s *server) Exchange(ctx context.Context, p *authv1.ExchangeRequest) (*authv1.ExchangeResponse, error) {
	var c brokerrpc.Check
	step := decodeStep(&c, p)
	if err := c.Invalid("exchange"); err != nil {
		return nil, err
	}
	answer, err := s.impl.Exchange(ctx, step)
	return encodeAnswer(answer), rpc.ToStatus(err)
}

func (s *server) Authorize(ctx context.Context, p *authv1.AuthorizeRequest) (*authv1.AuthorizeResponse, error) {
	var c brokerrpc.Check
	id, action := c.Identity(p.GetIdentity()), decodeAction(&c, p.GetAction())
	topics := brokerrpc.ReadAll(p.GetTopics(), c.Filter)
	if err := c.Invalid("authorize"); err != nil {
		return nil, err
	}
	decisions, err := s.impl.Authorize(ctx, id, action, topics)
	return &authv1.AuthorizeResponse{Decisions: brokerrpc.Map(decisions, encodeDecision)}, rpc.ToStatus(err)
}

func (s *server) WatchRules(_ *authv1.WatchRulesRequest, stream grpc.ServerStreamingServer[authv1.WatchRulesResponse]) error {
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	err := s.impl.WatchRules(ctx, func(generation uint64) {
		if err := stream.Send(&authv1.WatchRulesResponse{Generation: generation}); err != nil {
			cancel(err)
		}
	})
	return rpc.ToStatus(err)
}

func (s *server) PutUser(ctx context.Context, p *authv1.PutUserRequest) (*authv1.PutUserResponse, error) {
	var c brokerrpc.Check
	u, clientID := decodeUser(&c, p.GetUser()), isClientID(&c, p.GetKind())
	if err := c.Invalid("put user"); err != nil {
		return nil, err
	}
	put := s.impl.PutUser
	if clientID {
		put = s.impl.PutClientID
	}
	return &authv1.PutUserResponse{}, rpc.ToStatus(put(ctx, u))
}

func (s *server) DeleteUser(ctx context.Context, p *authv1.DeleteUserRequest) (*authv1.DeleteUserResponse, error) {
	var c brokerrpc.Check
	tenant, name, clientID := c.Text(p.GetTenant(), "tenant"), c.Text(p.GetName(), "name"), isClientID(&c, p.GetKind())
	if err := c.Invalid("delete user"); err != nil {
		return nil, err
	}
	del := s.impl.DeleteUser
	if clientID {
		del = s.impl.DeleteClientID
	}
	return &authv1.DeleteUserResponse{}, rpc.ToStatus(del(ctx, tenant, name))
}

func (s *server) ListUsers(ctx context.Context, p *authv1.ListUsersRequest) (*authv1.ListUsersResponse, error) {
	var c brokerrpc.Check
	tenant, after, clientID := c.Text(p.GetTenant(), "tenant"), c.Text(p.GetAfter(), "name"), isClientID(&c, p.GetKind())
	limit := c.Count(p.GetLimit())
	if err := c.Invalid("list users"); err != nil {
		return nil, err
	}
	list := s.impl.Users
	if clientID {
		list = s.impl.ClientIDs
	}
	users, err := list(ctx, tenant, after, limit)
	return &authv1.ListUsersResponse{Users: brokerrpc.Map(users, encodeUser)}, rpc.ToStatus(err)
}

func isClientID(c *brokerrpc.Check, k authv1.UserKind) bool {
	if k != authv1.UserKind_USER_KIND_USERNAME && k != authv1.UserKind_USER_KIND_CLIENT_ID {
		c.Fail("user kind %d", k)
	}
	return k == authv1.UserKind_USER_KIND_CLIENT_ID
}

func (s *server) PutRule(ctx context.Context, p *authv1.PutRuleRequest) (*authv1.PutRuleResponse, error) {
	var c brokerrpc.Check
	r := decodeRule(&c, p.GetRule())
	if err := c.Invalid("put rule"); err != nil {
		return nil, err
	}
	r, err := s.impl.PutRule(ctx, r)
	return &authv1.PutRuleResponse{Rule: encodeRule(&r)}, rpc.ToStatus(err)
}

func (s *server) DeleteRule(ctx context.Context, p *authv1.DeleteRuleRequest) (*authv1.DeleteRuleResponse, error) {
	var c brokerrpc.Check
	id := c.Text(p.GetId(), "id")
	if err := c.Invalid("delete rule"); err != nil {
		return nil, err
	}
	return &authv1.DeleteRuleResponse{}, rpc.ToStatus(s.impl.DeleteRule(ctx, id))
}

func (s *server) ListRules(ctx context.Context, _ *authv1.ListRulesRequest) (*authv1.ListRulesResponse, error) {
	rules, err := s.impl.Rules(ctx)
	return &authv1.ListRulesResponse{Rules: brokerrpc.Map(rules, encodeRule)}, rpc.ToStatus(err)
}

func (s *server) ReloadACL(ctx context.Context, p *authv1.ReloadACLRequest) (*authv1.ReloadACLResponse, error) {
	if !p.GetLocal() {
		return &authv1.ReloadACLResponse{}, rpc.ToStatus(s.impl.ReloadACL(ctx))
	}
	l, ok := s.impl.(LocalReloader)
	if !ok {
		return nil, rpc.ToStatus(broker.E(broker.KindInvalid, "this authsvc reloads only with all others", nil))
	}
	return &authv1.ReloadACLResponse{}, rpc.ToStatus(l.ReloadLocalACL(ctx))
}
