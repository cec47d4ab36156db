package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"github.com/pando-mq/pando/deploy/allinone"
	"github.com/pando-mq/pando/deploy/cluster"
	"github.com/pando-mq/pando/services/run"
)

func (o *options) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "say whether it runs and serves, and what listens where", Args: noArgs,
		Long: fmt.Sprintf("Exit codes: %d it serves, %d it runs and does not serve, %d it does not run.", run.CodeOK, run.CodeFailure, run.CodeNotRunning),
		RunE: func(c *cobra.Command, _ []string) error { return o.status(c.Context(), c.OutOrStdout()) },
	}
}

func (o *options) pingCommand() *cobra.Command {
	return &cobra.Command{
		Use: "ping", Short: "print pong if it serves", Args: noArgs,
		Long: fmt.Sprintf("Exit codes: %d it serves, %d it runs and does not serve, %d it does not run.", run.CodeOK, run.CodeFailure, run.CodeNotRunning),
		RunE: func(c *cobra.Command, _ []string) error {
			if _, err := o.ask(c.Context()); err != nil {
				return err
			}
			_, err := fmt.Fprintln(c.OutOrStdout(), "pong")
			return err
		},
	}
}

// ask finds the process and asks whether it serves.
func (o *options) ask(ctx context.Context) (allinone.Info, error) {
	dir, err := o.dataDir()
	if err != nil {
		return allinone.Info{}, err
	}
	pid, err := run.Running(pidFile(dir))
	if errors.Is(err, run.ErrNotRunning) {
		return allinone.Info{}, run.WithCode(run.CodeNotRunning, fmt.Errorf("%w in %s; start it with: pando start", err, dir))
	}
	if err != nil {
		return allinone.Info{}, err
	}
	i, err := allinone.ReadInfo(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && i.PID != pid {
		return allinone.Info{}, fmt.Errorf("process %d is starting or stopping", pid)
	}
	if err != nil {
		return allinone.Info{}, err
	}
	if err := cluster.Ready(ctx, i.Ops); err != nil {
		return i, fmt.Errorf("process %d runs and does not serve: %s", pid, oneLine(err.Error()))
	}
	return i, nil
}

func (o *options) status(ctx context.Context, w io.Writer) error {
	i, err := o.ask(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "Node %s is started, for %s\n", i.Node, time.Since(i.Started).Round(time.Second))
	i.Tell(w)
	return nil
}
