package api

import (
	"context"
	"net/netip"
	"slices"

	mgmtv1 "github.com/pando-mq/pando/proto/gen/pando/mgmt/v1"

	"github.com/pando-mq/pando/mgmt-api/fleet"
	"github.com/pando-mq/pando/services/broker"
)

// book is the part of AuthAdmin for one kind of user.
type book struct {
	put    func(context.Context, broker.User) error
	remove func(ctx context.Context, tenant, name string) error
	list   func(ctx context.Context, tenant, after string, limit int) ([]broker.User, error)
}

func (s *service) bookOf(kind mgmtv1.UserKind) (book, error) {
	a := s.fleet.Auth()
	switch kind {
	case mgmtv1.UserKind_USER_KIND_USERNAME:
		return book{a.PutUser, a.DeleteUser, a.Users}, nil
	case mgmtv1.UserKind_USER_KIND_CLIENT_ID:
		return book{a.PutClientID, a.DeleteClientID, a.ClientIDs}, nil
	}
	return book{}, broker.Errorf(broker.KindInvalid, "kind must be USERNAME or CLIENT_ID")
}

func (s *service) ListUsers(ctx context.Context, r *mgmtv1.ListUsersRequest) (*mgmtv1.ListUsersResponse, error) {
	b, err := s.bookOf(r.GetKind())
	if err != nil {
		return nil, err
	}
	limit := pageSize(r.GetPageSize())
	users, err := b.list(ctx, r.GetTenant(), r.GetPageToken(), limit)
	next := ""
	if len(users) >= limit {
		next = users[len(users)-1].Name
	}
	return &mgmtv1.ListUsersResponse{Users: convert(users, userOf), NextPageToken: next}, err
}

func (s *service) PutUser(ctx context.Context, r *mgmtv1.PutUserRequest) (*mgmtv1.PutUserResponse, error) {
	b, err := s.bookOf(r.GetKind())
	if err == nil {
		err = needed("user.name", r.GetUser().GetName())
	}
	if err == nil && (len(r.GetPassword()) == 0) == (r.GetHash() == "") {
		err = broker.Errorf(broker.KindInvalid, "one of password and hash must be set")
	}
	if err != nil {
		return nil, err
	}
	u := broker.User{
		Tenant: r.GetUser().GetTenant(), Name: r.GetUser().GetName(), Password: r.GetPassword(), Hash: r.GetHash(), Salt: r.GetSalt(), Method: r.GetMethod(),
		Superuser: r.GetUser().GetSuperuser(), Create: r.GetCreate(),
	}
	if r.GetOnlyPassword() {
		old, err := find(ctx, b, u.Tenant, u.Name)
		if err != nil {
			return nil, err
		}
		u.Superuser, u.Create = old.Superuser, false
	}
	return &mgmtv1.PutUserResponse{}, b.put(ctx, u)
}

// find reads the list up to a name.
func find(ctx context.Context, b book, tenant, name string) (broker.User, error) {
	for after := ""; ; {
		users, err := b.list(ctx, tenant, after, fleet.MaxPage)
		if err != nil {
			return broker.User{}, err
		}
		if i := slices.IndexFunc(users, func(u broker.User) bool { return u.Name == name }); i >= 0 {
			return users[i], nil
		}
		if len(users) < fleet.MaxPage || users[len(users)-1].Name > name {
			return broker.User{}, broker.E(broker.KindNotFound, "find user", nil)
		}
		after = users[len(users)-1].Name
	}
}

func (s *service) DeleteUser(ctx context.Context, r *mgmtv1.DeleteUserRequest) (*mgmtv1.DeleteUserResponse, error) {
	b, err := s.bookOf(r.GetKind())
	if err == nil {
		err = needed("name", r.GetName())
	}
	if err != nil {
		return nil, err
	}
	return &mgmtv1.DeleteUserResponse{}, b.remove(ctx, r.GetTenant(), r.GetName())
}

func (s *service) ListRules(ctx context.Context, _ *mgmtv1.ListRulesRequest) (*mgmtv1.ListRulesResponse, error) {
	rules, err := s.fleet.Auth().Rules(ctx)
	return &mgmtv1.ListRulesResponse{Rules: convert(rules, ruleOf)}, err
}

func (s *service) PutRule(ctx context.Context, r *mgmtv1.PutRuleRequest) (*mgmtv1.PutRuleResponse, error) {
	in := r.GetRule()
	if err := checkRule(in); err != nil {
		return nil, err
	}
	rule, err := s.fleet.Auth().PutRule(ctx, broker.Rule{
		ID: in.GetId(), Index: int(in.GetIndex()), Allow: in.GetAllow(), Username: in.GetUsername(), ClientID: in.GetClientId(), CIDR: in.GetCidr(),
		Access: uint8(in.GetAccess()), Topic: in.GetTopic(),
	})
	return &mgmtv1.PutRuleResponse{Rule: ruleOf(rule)}, err
}

func checkRule(r *mgmtv1.Rule) error {
	if a := r.GetAccess(); a < mgmtv1.Access_ACCESS_SUBSCRIBE || a > mgmtv1.Access_ACCESS_BOTH {
		return broker.Errorf(broker.KindInvalid, "rule.access must be SUBSCRIBE, PUBLISH or BOTH")
	}
	if c := r.GetCidr(); c != "" {
		if _, err := netip.ParsePrefix(c); err != nil {
			if _, err := netip.ParseAddr(c); err != nil {
				return broker.Errorf(broker.KindInvalid, "rule.cidr %q is neither an address nor a network", c)
			}
		}
	}
	return needed("rule.topic", r.GetTopic())
}

func (s *service) DeleteRule(ctx context.Context, r *mgmtv1.DeleteRuleRequest) (*mgmtv1.DeleteRuleResponse, error) {
	if err := needed("id", r.GetId()); err != nil {
		return nil, err
	}
	return &mgmtv1.DeleteRuleResponse{}, s.fleet.Auth().DeleteRule(ctx, r.GetId())
}

func (s *service) ReloadACL(ctx context.Context, _ *mgmtv1.ReloadACLRequest) (*mgmtv1.ReloadACLResponse, error) {
	return &mgmtv1.ReloadACLResponse{}, s.fleet.Auth().ReloadACL(ctx)
}
