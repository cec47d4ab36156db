package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/pando-mq/pando/deploy/cluster"
	"github.com/pando-mq/pando/services/boot"
	"github.com/pando-mq/pando/services/run"
)

type options struct {
	dir, bin   string
	offset     int
	durability string
	timeout    time.Duration
}

func command() *cobra.Command {
	var o options
	root := &cobra.Command{
		Use: "pando-cluster", Short: "run a cluster of separate processes on this machine", SilenceErrors: true, SilenceUsage: true,
		Version: run.Version(),
		Long: `pando-cluster runs 3 etcd, 3 NATS servers, 2 routers, 2 session-stores, 2 authsvc, 2 gateways and 1 mgmt-api on loopback, from the same binaries
that run anywhere else. Stop, kill or restart any of them while clients are connected, and see what happens.

Exit codes: 0 done, 1 failed, 2 wrong arguments, 3 no cluster in the directory (stop, status, ...).`,
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return run.WithCode(run.CodeUsage, err) })
	f := root.PersistentFlags()
	f.StringVar(&o.dir, "dir", ".cluster", "directory of the cluster: configuration, data, pid files, logs")
	f.DurationVar(&o.timeout, "timeout", 3*time.Minute, "longest wait for processes to be ready or gone")
	start := &cobra.Command{
		Use: "start [PROCESS...]", Short: "start the cluster, or single processes of it, and wait until they serve",
		RunE: func(c *cobra.Command, args []string) error { return o.start(c.Context(), c.OutOrStdout(), args) },
	}
	start.Flags().StringVar(&o.bin, "bin", ownDir(), "directory of the binaries, for a new cluster")
	start.Flags().IntVar(&o.offset, "port-offset", 0, fmt.Sprintf("offset of the first process, for a new cluster (%d, or what is free)", cluster.UsualOffset))
	start.Flags().StringVar(&o.durability, "durability", "", "memory, disk or fsync, for a new cluster (fsync)")
	root.AddCommand(start,
		o.each("stop", "stop the cluster in reverse order, or single processes of it, gracefully", (*cluster.Cluster).Stop, (*cluster.Cluster).StopProcess),
		o.each("restart", "stop and start gracefully", restart, (*cluster.Cluster).RestartProcess),
		o.each("kill", "end processes with SIGKILL", (*cluster.Cluster).KillAll, (*cluster.Cluster).KillProcess),
		&cobra.Command{
			Use: "status", Short: "show what runs where", Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error { return o.status(c.Context(), c.OutOrStdout()) },
		})
	return root
}

// ownDir is where this binary lies: the others lie beside it.
func ownDir() string {
	self, err := os.Executable()
	if err != nil {
		return "bin"
	}
	return filepath.Dir(self)
}

// each is a command for all processes, or for those that are named.
func (o *options) each(name, short string, all func(*cluster.Cluster, context.Context) error, one func(*cluster.Cluster, context.Context, string) error) *cobra.Command {
	return &cobra.Command{
		Use: name + " [PROCESS...]", Short: short,
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := o.open(c.OutOrStdout())
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(c.Context(), o.timeout)
			defer cancel()
			if len(args) == 0 {
				return all(cl, ctx)
			}
			for _, name := range args {
				if err := one(cl, ctx, name); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func (o *options) open(w io.Writer) (*cluster.Cluster, error) {
	c, err := cluster.Open(o.dir, w)
	if errors.Is(err, cluster.ErrNone) {
		return nil, run.WithCode(run.CodeNotRunning, fmt.Errorf("%w; start one with: pando-cluster start --dir %s", err, o.dir))
	}
	return c, err
}

func restart(c *cluster.Cluster, ctx context.Context) error {
	if err := c.Stop(ctx); err != nil {
		return err
	}
	return c.Start(ctx)
}

func (o *options) start(ctx context.Context, w io.Writer, names []string) error {
	wanted := *o
	if o.offset == 0 && cluster.Free(cluster.DefaultTopology(), cluster.UsualOffset) == nil {
		o.offset = cluster.UsualOffset
	}
	c, err := cluster.Create(cluster.Options{Dir: o.dir, Bin: o.bin, Offset: o.offset, Durability: o.durability, Progress: w})
	if err != nil {
		return err
	}
	if err := wanted.fit(c); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	for _, name := range names {
		if err := c.StartProcess(ctx, name); err != nil {
			return err
		}
	}
	if len(names) > 0 {
		return nil
	}
	if err := c.Start(ctx); err != nil {
		return err
	}
	tell(w, c, o.dir)
	return nil
}

// fit refuses wishes that a cluster made earlier cannot fulfil.
func (o *options) fit(c *cluster.Cluster) error {
	if (o.offset == 0 || o.offset == c.Offset) && (o.durability == "" || o.durability == c.Durability) {
		return nil
	}
	return run.WithCode(run.CodeUsage, fmt.Errorf("the cluster in %s has --port-offset %d and --durability %s, which stay as they are; give another --dir, or stop it and remove that directory",
		o.dir, c.Offset, c.Durability))
}

// tell says what there is to try.
func tell(w io.Writer, c *cluster.Cluster, dir string) {
	gateways, mgmt := c.Kind(cluster.KindGateway), c.Kind(cluster.KindMgmt)
	fmt.Fprintf(w, "\nThe cluster runs: durability %s, logs and data in %s.\n", c.Durability, dir)
	for _, g := range gateways {
		fmt.Fprintf(w, "  %-16s MQTT %s   WebSocket ws://%s/mqtt   TLS %s\n", g.Name, g.Addr(1883), g.Addr(8083), g.Addr(8883))
	}
	for _, m := range mgmt {
		fmt.Fprintf(w, "  %-16s REST http://%s/api/v2/   user admin, password in %s\n", m.Name, m.Addr(8080), filepath.Join(dir, filepath.Base(c.PasswordFile())))
	}
	if len(gateways) < 2 {
		return
	}
	fmt.Fprintf(w, "Try: mosquitto_sub -p %s -t 'hello/#' -v\n     mosquitto_pub -p %s -t hello/world -m hi -q 1\n     pando-cluster kill router-1 --dir %s\n",
		port(gateways[0].Addr(1883)), port(gateways[1].Addr(1883)), dir)
}

func (o *options) status(ctx context.Context, w io.Writer) error {
	c, err := o.open(nil)
	if err != nil {
		return err
	}
	down := 0
	for _, p := range c.Processes() {
		state, id := "ready", ""
		pid, err := c.Pid(p)
		switch {
		case errors.Is(err, run.ErrNotRunning):
			state, down = "stopped", down+1
		case err != nil:
			return err
		default:
			id = fmt.Sprint(pid)
			if err := c.Ready(ctx, p); err != nil {
				state, down = err.Error(), down+1
			}
		}
		fmt.Fprintf(w, "%-18s %-8s ops http://%s  %s\n", p.Name, id, p.Addr(boot.PortOps), state)
	}
	if down > 0 {
		return run.WithCode(run.CodeFailure, fmt.Errorf("%d of %d processes do not serve", down, len(c.Processes())))
	}
	return nil
}

func port(addr string) string {
	_, p, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	return p
}
