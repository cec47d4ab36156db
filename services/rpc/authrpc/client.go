package authrpc

import (
	"cmp"
	"context"
	"errors"
	"io"
	"sync/atomic"

	"google.golang.org/grpc"

	authv1 "github.com/pando-mq/pando/proto/gen/pando/auth/v1"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/rpc"
	"github.com/pando-mq/pando/services/rpc/brokerrpc"
)

// Options of a Client. The zero value is useful.
type Options struct {
	// Local gives the authsvc of this very process when node is it, otherwise nil; it is then called directly.
	Local func(node cluster.Node) Service
}

// Client is any authsvc: a broker.Auth and a broker.AuthAdmin.
type Client struct {
	admin
	dialer  *rpc.Dialer
	options Options
	turn    atomic.Uint32 // which authsvc of the view is asked; moves on when it is unavailable
}

// NewClient makes a client; it ends with the dialer.
func NewClient(d *rpc.Dialer, o Options) *Client {
	c := &Client{dialer: d, options: o}
	c.admin = admin{read: c.ask, write: c.tell}
	return c
}

// Node is one authsvc process. It costs nothing to make and holds nothing.
func (c *Client) Node(n cluster.Node) *NodeClient {
	call := func(_ context.Context, fn func(authv1.AuthServiceClient) error) error { return c.call(n, fn) }
	return &NodeClient{admin{read: call, write: call}}
}

// NodeClient is one authsvc process: a broker.AuthAdmin and a LocalReloader.
type NodeClient struct{ admin }

// ReloadLocalACL makes this process alone read its ACL file again.
func (n *NodeClient) ReloadLocalACL(ctx context.Context) error { return n.reload(ctx, true) }

func (c *Client) call(n cluster.Node, fn func(authv1.AuthServiceClient) error) error {
	return c.dialer.Call(n, func(conn grpc.ClientConnInterface) error { return fn(authv1.NewAuthServiceClient(conn)) })
}

// each calls fn with one authsvc after the other, beginning with the one that answered last, until one is available.
func (c *Client) each(fn func(cluster.Node) error) error {
	nodes := c.dialer.Cluster().View().Nodes(cluster.Auth)
	err := error(broker.E(broker.KindUnavailable, "no authsvc is alive", nil))
	first := c.turn.Load()
	for i := range len(nodes) {
		turn := first + uint32(i)
		if err = fn(nodes[turn%uint32(len(nodes))]); err == nil || broker.KindOf(err) != broker.KindUnavailable {
			return err
		}
		c.turn.CompareAndSwap(turn, turn+1)
	}
	return err
}

// ask asks a question: it may be asked twice.
func (c *Client) ask(_ context.Context, fn func(authv1.AuthServiceClient) error) error {
	return c.each(func(n cluster.Node) error { return c.call(n, fn) })
}

// tell makes a change, once, over a connection that stands.
func (c *Client) tell(ctx context.Context, fn func(authv1.AuthServiceClient) error) error {
	var told bool
	var outcome error
	err := c.each(func(n cluster.Node) error {
		if err := c.dialer.Ready(ctx, n); err != nil {
			return err
		}
		told, outcome = true, c.call(n, fn)
		return nil
	})
	if told {
		return outcome
	}
	return err
}

func (c *Client) local(n cluster.Node) Service {
	if c.options.Local == nil {
		return nil
	}
	return c.options.Local(n)
}

// Authenticate asks any authsvc. See broker.Auth.
func (c *Client) Authenticate(ctx context.Context, cred *broker.Credentials) (id *broker.Identity, err error) {
	err = c.each(func(n cluster.Node) (err error) {
		if l := c.local(n); l != nil {
			id, err = l.Authenticate(ctx, cred)
			return err
		}
		return c.call(n, func(a authv1.AuthServiceClient) error {
			p, err := a.Authenticate(ctx, encodeCredentials(cred))
			if err != nil {
				return err
			}
			var check brokerrpc.Check
			id = check.Identity(p.GetIdentity())
			return check.Garbled("identity")
		})
	})
	if err != nil {
		return nil, err
	}
	return id, nil
}

// Exchange asks any authsvc, with each step another one perhaps. See broker.Auth.
func (c *Client) Exchange(ctx context.Context, s *broker.AuthStep) (answer *broker.AuthAnswer, err error) {
	err = c.each(func(n cluster.Node) (err error) {
		if l := c.local(n); l != nil {
			answer, err = l.Exchange(ctx, s)
			return err
		}
		return c.call(n, func(a authv1.AuthServiceClient) error {
			p, err := a.Exchange(ctx, encodeStep(s))
			if err != nil {
				return err
			}
			var check brokerrpc.Check
			answer = decodeAnswer(&check, p)
			return check.Garbled("answer")
		})
	})
	if err != nil {
		return nil, err
	}
	return answer, nil
}

// Authorize asks any authsvc. See broker.Auth.
func (c *Client) Authorize(ctx context.Context, id *broker.Identity, action broker.Action, topics []string) (decisions []broker.Decision, err error) {
	err = c.each(func(n cluster.Node) (err error) {
		if l := c.local(n); l != nil {
			decisions, err = l.Authorize(ctx, id, action, topics)
			return err
		}
		return c.call(n, func(a authv1.AuthServiceClient) error {
			p, err := a.Authorize(ctx, &authv1.AuthorizeRequest{
				Identity: brokerrpc.EncodeIdentity(id), Action: encodeAction(action),
				Topics: brokerrpc.Map(topics, func(t *string) string { return rpc.Text(*t) }),
			})
			if err != nil {
				return err
			}
			var check brokerrpc.Check
			decisions = brokerrpc.ReadAll(p.GetDecisions(), func(p *authv1.Decision) broker.Decision { return decodeDecision(&check, p) })
			if len(decisions) != len(topics) {
				check.Fail("%d decisions for %d topics", len(decisions), len(topics))
			}
			return check.Garbled("decision")
		})
	})
	if err != nil {
		return nil, err
	}
	return decisions, nil
}

// WatchRules follows the generation at one authsvc. When that is lost the error is KindUnavailable and the next call goes to the next one. See broker.Auth.
func (c *Client) WatchRules(ctx context.Context, fn func(generation uint64)) error {
	nodes := c.dialer.Cluster().View().Nodes(cluster.Auth)
	if len(nodes) == 0 {
		return broker.E(broker.KindUnavailable, "no authsvc is alive", nil)
	}
	turn := c.turn.Load()
	n := nodes[turn%uint32(len(nodes))]
	err := c.watch(ctx, n, fn)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	c.turn.CompareAndSwap(turn, turn+1)
	return broker.E(broker.KindUnavailable, "watch rules at "+n.ID, err)
}

func (c *Client) watch(ctx context.Context, n cluster.Node, fn func(generation uint64)) error {
	if l := c.local(n); l != nil {
		return l.WatchRules(ctx, fn)
	}
	return c.call(n, func(a authv1.AuthServiceClient) error {
		stream, err := a.WatchRules(ctx, &authv1.WatchRulesRequest{})
		if err != nil {
			return err
		}
		for {
			p, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return errors.New("closed by the server")
			}
			if err != nil {
				return err
			}
			fn(p.GetGeneration())
		}
	})
}

// admin is broker.AuthAdmin over one way to make calls that read and one for calls that change.
type admin struct {
	read, write func(context.Context, func(authv1.AuthServiceClient) error) error
}

const (
	username = authv1.UserKind_USER_KIND_USERNAME
	clientID = authv1.UserKind_USER_KIND_CLIENT_ID
)

// PutUser adds or replaces a user. See broker.AuthAdmin.
func (a *admin) PutUser(ctx context.Context, u broker.User) error { return a.put(ctx, username, u) }

// PutClientID adds or replaces a client id. See broker.AuthAdmin.
func (a *admin) PutClientID(ctx context.Context, u broker.User) error { return a.put(ctx, clientID, u) }

func (a *admin) put(ctx context.Context, kind authv1.UserKind, u broker.User) error {
	return a.write(ctx, func(c authv1.AuthServiceClient) error {
		_, err := c.PutUser(ctx, &authv1.PutUserRequest{Kind: kind, User: encodeUser(&u)})
		return err
	})
}

// DeleteUser removes a user. See broker.AuthAdmin.
func (a *admin) DeleteUser(ctx context.Context, tenant, name string) error {
	return a.delete(ctx, username, tenant, name)
}

// DeleteClientID removes a client id. See broker.AuthAdmin.
func (a *admin) DeleteClientID(ctx context.Context, tenant, id string) error {
	return a.delete(ctx, clientID, tenant, id)
}

func (a *admin) delete(ctx context.Context, kind authv1.UserKind, tenant, name string) error {
	return a.write(ctx, func(c authv1.AuthServiceClient) error {
		_, err := c.DeleteUser(ctx, &authv1.DeleteUserRequest{Kind: kind, Tenant: rpc.Text(tenant), Name: rpc.Text(name)})
		return err
	})
}

// Users lists users. See broker.AuthAdmin.
func (a *admin) Users(ctx context.Context, tenant, after string, limit int) ([]broker.User, error) {
	return a.list(ctx, username, tenant, after, limit)
}

// ClientIDs lists client ids. See broker.AuthAdmin.
func (a *admin) ClientIDs(ctx context.Context, tenant, after string, limit int) ([]broker.User, error) {
	return a.list(ctx, clientID, tenant, after, limit)
}

func (a *admin) list(ctx context.Context, kind authv1.UserKind, tenant, after string, limit int) (users []broker.User, err error) {
	err = a.read(ctx, func(c authv1.AuthServiceClient) error {
		p, err := c.ListUsers(ctx, &authv1.ListUsersRequest{
			Kind: kind, Tenant: rpc.Text(tenant), After: rpc.Text(after), Limit: brokerrpc.EncodeCount(limit),
		})
		var check brokerrpc.Check
		users = brokerrpc.ReadAll(p.GetUsers(), func(p *authv1.User) broker.User { return decodeUser(&check, p) })
		return cmp.Or(err, check.Garbled("users"))
	})
	return users, err
}

// PutRule adds or replaces a rule. See broker.AuthAdmin.
func (a *admin) PutRule(ctx context.Context, r broker.Rule) (stored broker.Rule, err error) {
	err = a.write(ctx, func(c authv1.AuthServiceClient) error {
		p, err := c.PutRule(ctx, &authv1.PutRuleRequest{Rule: encodeRule(&r)})
		var check brokerrpc.Check
		stored = decodeRule(&check, p.GetRule())
		return cmp.Or(err, check.Garbled("rule"))
	})
	return stored, err
}

// DeleteRule removes a rule. See broker.AuthAdmin.
func (a *admin) DeleteRule(ctx context.Context, id string) error {
	return a.write(ctx, func(c authv1.AuthServiceClient) error {
		_, err := c.DeleteRule(ctx, &authv1.DeleteRuleRequest{Id: rpc.Text(id)})
		return err
	})
}

// Rules lists the rules in order. See broker.AuthAdmin.
func (a *admin) Rules(ctx context.Context) (rules []broker.Rule, err error) {
	err = a.read(ctx, func(c authv1.AuthServiceClient) error {
		p, err := c.ListRules(ctx, &authv1.ListRulesRequest{})
		var check brokerrpc.Check
		rules = brokerrpc.ReadAll(p.GetRules(), func(p *authv1.Rule) broker.Rule { return decodeRule(&check, p) })
		return cmp.Or(err, check.Garbled("rules"))
	})
	return rules, err
}

// ReloadACL makes every authsvc read its ACL file again. See broker.AuthAdmin.
func (a *admin) ReloadACL(ctx context.Context) error { return a.reload(ctx, false) }

func (a *admin) reload(ctx context.Context, local bool) error {
	return a.write(ctx, func(c authv1.AuthServiceClient) error {
		_, err := c.ReloadACL(ctx, &authv1.ReloadACLRequest{Local: local})
		return err
	})
}
