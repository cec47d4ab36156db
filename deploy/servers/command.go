package servers

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/pando-mq/pando/services/run"
)

// Command is `pando internal`, hidden: it is for pando-cluster and for tests.
func Command() *cobra.Command {
	c := &cobra.Command{
		Use: "internal", Hidden: true, Short: "run one embedded etcd or NATS server as a process of its own",
		Long: "For pando-cluster and for tests. A cluster that matters runs etcd and NATS as their makers ship them.",
	}
	c.AddCommand(etcdCommand(), natsCommand())
	return c
}

func etcdCommand() *cobra.Command {
	var e Etcd
	c := &cobra.Command{
		Use: "etcd", Short: "run one etcd server", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return e.Run(c.Context(), c.ErrOrStderr()) },
	}
	e.Common.flags(c)
	c.Flags().StringVar(&e.Client, "client", "", "address for clients, http://host:port")
	c.Flags().StringVar(&e.Peer, "peer", "", "address for the other servers, http://host:port")
	c.Flags().StringVar(&e.Initial, "initial", "", "all servers, name=http://host:port with commas")
	require(c, "client", "peer", "initial")
	return c
}

func natsCommand() *cobra.Command {
	var n NATS
	var routes string
	c := &cobra.Command{
		Use: "nats", Short: "run one NATS server with JetStream", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if routes != "" {
				n.Routes = strings.Split(routes, ",")
			}
			return n.Run(c.Context(), c.ErrOrStderr())
		},
	}
	n.Common.flags(c)
	c.Flags().StringVar(&n.Level, "durability", "fsync", "when a write is acknowledged: memory, disk, fsync")
	c.Flags().StringVar(&n.Listen, "listen", "", "address for clients, host:port")
	c.Flags().StringVar(&n.Cluster, "cluster", "", "address for the other servers, host:port; without it the server is alone")
	c.Flags().StringVar(&routes, "routes", "", "all servers, nats://host:port with commas")
	require(c, "listen")
	return c
}

func (s *Common) flags(c *cobra.Command) {
	c.Flags().StringVar(&s.Name, "name", "", "name of the server, unique in its cluster")
	c.Flags().StringVar(&s.Dir, "dir", "", "data directory")
	c.Flags().StringVar(&s.Ops, "ops", "127.0.0.1:9880", "address of the admin port")
	require(c, "name", "dir")
}

func require(c *cobra.Command, flags ...string) {
	for _, f := range flags {
		if err := c.MarkFlagRequired(f); err != nil {
			panic(err) // the flag was not declared: a mistake of the lines above
		}
	}
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return run.WithCode(run.CodeUsage, err) })
}
