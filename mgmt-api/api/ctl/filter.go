package ctl

import (
	"github.com/spf13/cobra"

	mgmtv1 "github.com/pando-mq/pando/proto/gen/pando/mgmt/v1"
)

// filter is what lists of clients, sessions and subscriptions can be narrowed by.
type filter struct {
	contains, username, node string
	limit                    int
}

func (f *filter) flags(c *cobra.Command) {
	c.Flags().StringVar(&f.contains, "contains", "", "only client ids with this part")
	c.Flags().StringVar(&f.username, "username", "", "only this user name")
	c.Flags().StringVar(&f.node, "node", "", "only this node")
	limitFlag(c, &f.limit)
}

func limitFlag(c *cobra.Command, limit *int) {
	c.Flags().IntVar(limit, "limit", 0, "this many rows at most (0: all)")
}

func (f *filter) proto(a *app) *mgmtv1.ClientFilter {
	return &mgmtv1.ClientFilter{Tenant: a.flags.tenant, Contains: f.contains, Username: f.username, Node: f.node}
}

// command makes a leaf command.
func command(use, short string, args cobra.PositionalArgs, run func(c *cobra.Command, args []string) error) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: usage(args), RunE: run}
}
