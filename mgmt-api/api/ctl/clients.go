package ctl

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	mgmtv1 "github.com/pando-mq/pando/proto/gen/pando/mgmt/v1"
)

func (a *app) clientsCommand() *cobra.Command {
	var f filter
	all := command("list", "List connections, ordered by client id", cobra.NoArgs, func(c *cobra.Command, _ []string) error {
		return list(c.Context(), a, f.limit, func(ctx context.Context, size uint32, token string) (page[*mgmtv1.Client], error) {
			r, err := call(ctx, a, client.ListClients, &mgmtv1.ListClientsRequest{Filter: f.proto(a), PageSize: size, PageToken: token})
			return page[*mgmtv1.Client]{r.GetClients(), r.GetNextPageToken(), r.GetMissing()}, err
		}, clientColumns()[:8]...)
	})
	f.flags(all)
	one := command("show CLIENT", "Show one connection with its counters", cobra.ExactArgs(1), func(c *cobra.Command, args []string) error {
		r, err := call(c.Context(), a, client.GetClient, &mgmtv1.GetClientRequest{Tenant: a.flags.tenant, ClientId: args[0]})
		if err != nil {
			return naming("client", args[0], err)
		}
		return show(a, r.GetClient(), clientColumns()...)
	})
	var reason string
	kick := command("kick CLIENT", "End a connection; its session and will follow their own rules", cobra.ExactArgs(1), func(c *cobra.Command, args []string) error {
		_, err := call(c.Context(), a, client.KickClient, &mgmtv1.KickClientRequest{Tenant: a.flags.tenant, ClientId: args[0], Reason: reason})
		if err != nil {
			return naming("client", args[0], err)
		}
		return a.done("kicked %s", args[0])
	})
	kick.Flags().StringVar(&reason, "reason", "", "reason for logs and events (default \"kicked\")")
	return group("clients", "Connections: list, show, kick", []string{"client"}, all, one, kick)
}

func clientColumns() []column[*mgmtv1.Client] {
	type row = *mgmtv1.Client
	return []column[row]{
		{"CLIENT", row.GetClientId},
		{"USER", row.GetUsername},
		{"NODE", row.GetNode},
		{"ADDRESS", row.GetPeer},
		{"PROTOCOL", func(c row) string { return protocol(c.GetProtocol(), c.GetVersion()) }},
		{"SESSION", func(c row) string {
			if c.GetPersistent() {
				return "persistent"
			}
			return "clean"
		}},
		{"KEEPALIVE", func(c row) string { return span(c.GetKeepAliveMs()) }},
		{"CONNECTED", func(c row) string { return moment(c.GetConnectedMs()) }},
		{"LISTENER", row.GetListener},
		{"EXPIRY", func(c row) string { return span(c.GetExpiryMs()) }},
		{"RECEIVED", func(c row) string { return traffic(c.GetRecvMsgs(), c.GetRecvPackets(), c.GetRecvBytes()) }},
		{"SENT", func(c row) string { return traffic(c.GetSentMsgs(), c.GetSentPackets(), c.GetSentBytes()) }},
	}
}

// protocol names a protocol with its version as people do.
func protocol(name string, version uint32) string {
	if name == "mqtt" {
		return name + map[uint32]string{3: " 3.1", 4: " 3.1.1", 5: " 5.0"}[version]
	}
	return name
}

func traffic(messages, packets, bytes uint64) string {
	return fmt.Sprintf("%d messages, %d packets, %s", messages, packets, size(bytes))
}

func (a *app) sessionsCommand() *cobra.Command {
	var f filter
	all := command("list [persistent|transient]", "List sessions, ordered by client id", cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		func(c *cobra.Command, args []string) error {
			var kind mgmtv1.SessionKind
			if len(args) == 1 {
				kind = sessionKinds[args[0]]
			}
			return list(c.Context(), a, f.limit, func(ctx context.Context, size uint32, token string) (page[*mgmtv1.Session], error) {
				r, err := call(ctx, a, client.ListSessions, &mgmtv1.ListSessionsRequest{Filter: f.proto(a), Kind: kind, PageSize: size, PageToken: token})
				return page[*mgmtv1.Session]{r.GetSessions(), r.GetNextPageToken(), r.GetMissing()}, err
			}, sessionColumns()[:9]...)
		})
	all.ValidArgs = []string{"persistent", "transient"}
	f.flags(all)
	one := command("show CLIENT", "Show one session", cobra.ExactArgs(1), func(c *cobra.Command, args []string) error {
		r, err := call(c.Context(), a, client.GetSession, &mgmtv1.GetSessionRequest{Tenant: a.flags.tenant, ClientId: args[0]})
		if err != nil {
			return naming("session", args[0], err)
		}
		return show(a, r.GetSession(), sessionColumns()...)
	})
	drop := command("drop CLIENT", "End a session for good, with its queue, its subscriptions and its connection", cobra.ExactArgs(1), func(c *cobra.Command, args []string) error {
		_, err := call(c.Context(), a, client.DropSession, &mgmtv1.DropSessionRequest{Tenant: a.flags.tenant, ClientId: args[0]})
		if err != nil {
			return naming("session", args[0], err)
		}
		return a.done("dropped the session of %s", args[0])
	})
	return group("sessions", "Sessions: list, show, drop", []string{"session"}, all, one, drop)
}

var sessionKinds = map[string]mgmtv1.SessionKind{
	"persistent": mgmtv1.SessionKind_SESSION_KIND_PERSISTENT, "transient": mgmtv1.SessionKind_SESSION_KIND_CLEAN,
}

func sessionColumns() []column[*mgmtv1.Session] {
	type row = *mgmtv1.Session
	return []column[row]{
		{"CLIENT", row.GetClientId},
		{"USER", row.GetUsername},
		{"NODE", row.GetNode},
		{"CONNECTED", func(s row) string { return yes(s.GetConnected()) }},
		{"PERSISTENT", func(s row) string { return yes(s.GetPersistent()) }},
		{"SUBSCRIPTIONS", func(s row) string { return number(s.GetSubscriptions()) }},
		{"QUEUED", func(s row) string { return number(s.GetQueued()) }},
		{"INFLIGHT", func(s row) string { return fmt.Sprintf("%d/%d", s.GetInflight(), s.GetWindow()) }},
		{"DROPPED", func(s row) string { return number(s.GetDropped()) }},
		{"QUEUED BYTES", func(s row) string { return size(s.GetQueuedBytes()) }},
		{"AWAITING REL", func(s row) string { return number(s.GetAwaitingRel()) }},
		{"DELIVERED", func(s row) string { return number(s.GetDelivered()) }},
		{"ENQUEUED", func(s row) string { return number(s.GetEnqueued()) }},
		{"CREATED", func(s row) string { return moment(s.GetCreatedMs()) }},
		{"EXPIRES", func(s row) string {
			if s.GetExpiresMs() == 0 {
				return "not while connected"
			}
			return moment(s.GetExpiresMs()) + " (in " + time.Until(time.UnixMilli(s.GetExpiresMs())).Round(time.Second).String() + ")"
		}},
	}
}
