package ctl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	mgmtv1 "github.com/pando-mq/pando/proto/gen/pando/mgmt/v1"
)

// naming puts the name of what was asked for into an answer that it does not exist.
func naming(what, name string, err error) error {
	if status.Code(err) == codes.NotFound {
		return status.Errorf(codes.NotFound, "there is no %s %q", what, name)
	}
	return err
}

func (a *app) subscriptionsCommand() *cobra.Command {
	var f filter
	all := command("list [CLIENT]", "List subscriptions, ordered by client id; of one client or of all", cobra.MaximumNArgs(1), func(c *cobra.Command, args []string) error {
		in := f.proto(a)
		if len(args) == 1 {
			in.ClientId = args[0]
		}
		return list(c.Context(), a, f.limit, func(ctx context.Context, size uint32, token string) (page[*mgmtv1.Subscription], error) {
			r, err := call(ctx, a, client.ListSubscriptions, &mgmtv1.ListSubscriptionsRequest{Filter: in, PageSize: size, PageToken: token})
			return page[*mgmtv1.Subscription]{r.GetSubscriptions(), r.GetNextPageToken(), r.GetMissing()}, err
		}, subscriptionColumns()...)
	})
	f.flags(all)
	var qos uint32
	add := command("add CLIENT FILTER", "Subscribe a connected client", cobra.ExactArgs(2), func(c *cobra.Command, args []string) error {
		_, err := call(c.Context(), a, client.AddSubscription, &mgmtv1.AddSubscriptionRequest{Tenant: a.flags.tenant, ClientId: args[0], Filter: args[1], Qos: qos})
		if err != nil {
			return naming("connected client", args[0], err)
		}
		return a.done("%s is subscribed to %s", args[0], args[1])
	})
	add.Flags().Uint32Var(&qos, "qos", 0, "quality of service: 0, 1 or 2")
	del := command("del CLIENT FILTER", "Remove a subscription of a connected client", cobra.ExactArgs(2), func(c *cobra.Command, args []string) error {
		_, err := call(c.Context(), a, client.DeleteSubscription, &mgmtv1.DeleteSubscriptionRequest{Tenant: a.flags.tenant, ClientId: args[0], Filter: args[1]})
		if err != nil {
			return naming("connected client with that subscription:", args[0], err)
		}
		return a.done("%s is no longer subscribed to %s", args[0], args[1])
	})
	return group("subscriptions", "Subscriptions: list, add, del", []string{"subscription", "subs"}, all, add, del)
}

func subscriptionColumns() []column[*mgmtv1.Subscription] {
	type row = *mgmtv1.Subscription
	return []column[row]{
		{"CLIENT", row.GetClientId},
		{"NODE", row.GetNode},
		{"QOS", func(s row) string { return number(s.GetQos()) }},
		{"OPTIONS", func(s row) string {
			var list []string
			if s.GetNoLocal() {
				list = append(list, "no-local")
			}
			if s.GetRetainAsPublished() {
				list = append(list, "retain-as-published")
			}
			if n := s.GetRetainHandling(); n > 0 {
				list = append(list, fmt.Sprintf("retain-handling=%d", n))
			}
			if n := s.GetId(); n > 0 {
				list = append(list, fmt.Sprintf("id=%d", n))
			}
			return strings.Join(list, " ")
		}},
		{"FILTER", row.GetFilter},
	}
}

func (a *app) routesCommand() *cobra.Command {
	var limit int
	type row = *mgmtv1.Route
	all := command("list [FILTER]", "List routes: which filter leads to which nodes", cobra.MaximumNArgs(1), func(c *cobra.Command, args []string) error {
		in := strings.Join(args, "")
		return list(c.Context(), a, limit, func(ctx context.Context, size uint32, token string) (page[row], error) {
			r, err := call(ctx, a, client.ListRoutes, &mgmtv1.ListRoutesRequest{Tenant: a.flags.tenant, Filter: in, PageSize: size, PageToken: token})
			return page[row]{r.GetRoutes(), r.GetNextPageToken(), r.GetMissing()}, err
		}, column[row]{"FILTER", row.GetFilter}, column[row]{"GROUP", row.GetGroup},
			column[row]{"NODES", func(r row) string { return strings.Join(r.GetNodes(), " ") }})
	})
	limitFlag(all, &limit)
	return group("routes", "Routes: which filter leads to which nodes", []string{"route"}, all)
}

// maxPayload is the largest payload that is read from standard input, as MQTT has it.
const maxPayload = 256 << 20

func (a *app) publishCommand() *cobra.Command {
	r := &mgmtv1.PublishRequest{}
	var expiry time.Duration
	c := command("publish TOPIC [PAYLOAD]", "Publish a message", cobra.RangeArgs(1, 2), func(c *cobra.Command, args []string) error {
		r.Tenant, r.Topic, r.ExpiryMs = a.flags.tenant, args[0], expiry.Milliseconds()
		if len(args) == 2 && args[1] != "-" {
			r.Payload = []byte(args[1])
		} else if len(args) == 2 {
			var in bytes.Buffer
			n, err := io.Copy(&in, io.LimitReader(a.In, maxPayload+1))
			if err != nil {
				return err
			}
			if n > maxPayload {
				return errors.New("the payload is larger than 256 MB")
			}
			r.Payload = in.Bytes()
		}
		got, err := call(c.Context(), a, client.Publish, r)
		if err != nil {
			return err
		}
		if a.flags.output == "json" {
			return a.object(got)
		}
		if !got.GetMatched() {
			return a.done("acknowledged; nobody is subscribed to %s", r.GetTopic())
		}
		return a.done("acknowledged")
	})
	c.Long = "publish publishes one message and returns when it is acknowledged as it would be for a client. PAYLOAD - reads it from standard input; without\n" +
		"PAYLOAD it is empty (with --retain that removes the retained message)."
	c.Flags().Uint32Var(&r.Qos, "qos", 0, "quality of service: 0, 1 or 2")
	c.Flags().BoolVar(&r.Retain, "retain", false, "retain the message")
	c.Flags().StringVar(&r.ClientId, "client", "", "publish in the name of this client id (default \"http\")")
	c.Flags().BoolVar(&r.CheckAcl, "check-acl", false, "ask the ACL whether that client id may")
	c.Flags().DurationVar(&expiry, "expiry", 0, "message expiry interval (0: never)")
	return c
}
