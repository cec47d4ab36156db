package ctl

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	mgmtv1 "github.com/pando-mq/pando/proto/gen/pando/mgmt/v1"

	"github.com/pando-mq/pando/services/run"
)

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "The suite at a glance: nodes, services, counts", Args: usage(cobra.NoArgs),
		Long: "status shows whether listeners serve, each node with its load, each service with the partitions it owns, and the sums of the cluster.\n" +
			"Its exit code is 1 when listeners do not serve.",
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := call(c.Context(), a, client.GetStatus, &mgmtv1.GetStatusRequest{})
			if err != nil {
				return err
			}
			if err := a.printStatus(s); err != nil {
				return err
			}
			if !s.GetServing() {
				return run.WithCode(run.CodeFailure, errors.New("listeners do not serve"))
			}
			return nil
		},
	}
}

func (a *app) printStatus(s *mgmtv1.GetStatusResponse) error {
	if a.flags.output == "json" {
		return a.object(s)
	}
	for line := range strings.SplitSeq(strings.TrimSpace(s.GetText()), "\n") {
		fmt.Fprintln(a.Out, clean(line))
	}
	fmt.Fprintln(a.Out)
	if err := newListing(a, nodeColumns).rows(s.GetNodes()); err != nil {
		return err
	}
	fmt.Fprintln(a.Out)
	if err := newListing(a, serviceColumns).rows(s.GetServices()); err != nil {
		return err
	}
	var counts []string
	for _, name := range [...]string{"clients", "sessions", "subscriptions", "routes", "topics", "retained"} {
		if n, ok := s.GetStats()[name+"/count"]; ok {
			counts = append(counts, fmt.Sprintf("%s %d", name, n))
		}
	}
	if len(counts) > 0 {
		fmt.Fprintf(a.Out, "\n%s\n", strings.Join(counts, ", "))
	}
	a.note(map[string]bool{}, s.GetMissing())
	return nil
}

var nodeColumns = []column[*mgmtv1.Node]{
	{"NODE", (*mgmtv1.Node).GetName},
	{"VERSION", (*mgmtv1.Node).GetVersion},
	{"UPTIME", func(n *mgmtv1.Node) string { return span(n.GetUptimeMs()) }},
	{"CLIENTS", func(n *mgmtv1.Node) string { return number(n.GetClients()) }},
	{"MEMORY", func(n *mgmtv1.Node) string { return size(n.GetMemoryUsed()) }},
	{"LOAD1", func(n *mgmtv1.Node) string { return fmt.Sprintf("%.2f", n.GetLoad1()) }},
	{"DURABILITY", (*mgmtv1.Node).GetDurability},
	{"LISTENERS", func(n *mgmtv1.Node) string {
		var list []string
		for _, l := range n.GetListeners() {
			text := l.GetProtocol() + ":" + l.GetBind()
			if !l.GetRunning() {
				text += "(stopped)"
			}
			list = append(list, text)
		}
		return strings.Join(list, " ")
	}},
}

var serviceColumns = []column[*mgmtv1.Service]{
	{"SERVICE", (*mgmtv1.Service).GetRole},
	{"ID", (*mgmtv1.Service).GetId},
	{"STATE", (*mgmtv1.Service).GetState},
	{"PARTITIONS", func(s *mgmtv1.Service) string {
		var list []string
		for _, space := range slices.Sorted(maps.Keys(s.GetPartitions())) {
			list = append(list, fmt.Sprintf("%s %d", space, s.GetPartitions()[space]))
		}
		return strings.Join(list, ", ")
	}},
	{"ADDRESS", (*mgmtv1.Service).GetAddr},
}

func (a *app) nodesCommand() *cobra.Command {
	var name string
	c := &cobra.Command{
		Use: "list", Short: "List the processes that hold client connections", Args: usage(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			return list(c.Context(), a, 0, func(ctx context.Context, _ uint32, _ string) (page[*mgmtv1.Node], error) {
				r, err := call(ctx, a, client.ListNodes, &mgmtv1.ListNodesRequest{Name: name})
				return page[*mgmtv1.Node]{rows: r.GetNodes(), missing: r.GetMissing()}, err
			}, nodeColumns...)
		},
	}
	c.Flags().StringVar(&name, "node", "", "only this node")
	return group("nodes", "The processes that hold client connections", []string{"node"}, c)
}
