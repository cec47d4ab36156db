package ctl

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	mgmtv1 "github.com/pando-mq/pando/proto/gen/pando/mgmt/v1"
)

func (a *app) listenersCommand() *cobra.Command {
	var node string
	nodeFlag := func(c *cobra.Command) *cobra.Command {
		c.Flags().StringVar(&node, "node", "", "only this node")
		return c
	}
	all := command("list", "List the listeners of all nodes", cobra.NoArgs, func(c *cobra.Command, _ []string) error {
		return list(c.Context(), a, 0, func(ctx context.Context, _ uint32, _ string) (page[*mgmtv1.Listener], error) {
			r, err := call(ctx, a, client.ListNodes, &mgmtv1.ListNodesRequest{Name: node})
			return page[*mgmtv1.Listener]{rows: listenersOf(r.GetNodes()), missing: r.GetMissing()}, err
		}, listenerColumns...)
	})
	control := func(action mgmtv1.ListenerAction, use, short, done string, args cobra.PositionalArgs) *cobra.Command {
		return nodeFlag(command(use, short, args, func(c *cobra.Command, args []string) error {
			name := strings.Join(args, "")
			r, err := call(c.Context(), a, client.ControlListener, &mgmtv1.ControlListenerRequest{Name: name, Action: action, Node: node})
			if err != nil {
				return naming("listener", name, err)
			}
			a.note(map[string]bool{}, r.GetMissing())
			return a.done("%s on %s", strings.TrimSpace(done+" "+name), strings.Join(r.GetNodes(), ", "))
		}))
	}
	stop := control(mgmtv1.ListenerAction_LISTENER_ACTION_STOP, "stop NAME", "Close a listener; its connections stay", "stopped", cobra.ExactArgs(1))
	start := control(mgmtv1.ListenerAction_LISTENER_ACTION_START, "start NAME", "Open a listener that was stopped", "started", cobra.ExactArgs(1))
	restart := control(mgmtv1.ListenerAction_LISTENER_ACTION_RESTART, "restart NAME", "Close a listener and open it again", "restarted", cobra.ExactArgs(1))
	reload := control(mgmtv1.ListenerAction_LISTENER_ACTION_RELOAD, "reload [NAME]", "Read certificates, authorities and revocation lists again, of one listener or of all",
		"read the certificate files again", cobra.MaximumNArgs(1))
	return group("listeners", "Listeners: list, stop, start, restart, reload", []string{"listener"}, nodeFlag(all), stop, start, restart, reload)
}

func listenersOf(nodes []*mgmtv1.Node) []*mgmtv1.Listener {
	var rows []*mgmtv1.Listener
	for _, n := range nodes {
		rows = append(rows, n.GetListeners()...)
	}
	return rows
}

var listenerColumns = []column[*mgmtv1.Listener]{
	{"NODE", (*mgmtv1.Listener).GetNode},
	{"LISTENER", (*mgmtv1.Listener).GetName},
	{"PROTOCOL", (*mgmtv1.Listener).GetProtocol},
	{"BIND", (*mgmtv1.Listener).GetBind},
	{"RUNNING", func(r *mgmtv1.Listener) string { return yes(r.GetRunning()) }},
	{"CLIENTS", func(r *mgmtv1.Listener) string { return fmt.Sprintf("%d/%d", r.GetCurrentClients(), r.GetMaxClients()) }},
	{"ENDED", func(r *mgmtv1.Listener) string {
		var list []string
		for _, reason := range slices.Sorted(maps.Keys(r.GetShutdowns())) {
			list = append(list, fmt.Sprintf("%s %d", reason, r.GetShutdowns()[reason]))
		}
		return strings.Join(list, ", ")
	}},
}
