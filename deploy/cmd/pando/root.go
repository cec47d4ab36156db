package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pando-mq/pando/deploy/servers"
	"github.com/pando-mq/pando/services/boot"
	"github.com/pando-mq/pando/services/run"
)

const teach = `Pando is a clustered messaging suite for devices. This program runs all of it in one process: no other server and no configuration is needed.

  pando                      run here, in the foreground; Ctrl-C drains and stops
  pando start                run in the background; pando status, pando stop
  pando config print         what is configured, and where each value comes from
  pando config explain KEY   what a key means
  pando run --port-offset 100 --data-dir ./other      a second one beside the first

Everything it keeps is in the data directory (./data). Keys are set, each over the one before, by an EMQ 2 installation (--emq DIR, or an etc/emq.conf
beside the data directory when there is no --config), a YAML file (--config), PANDO_A__B=value in the environment, and --set a.b=value.

Exit codes: %d done or stopped as asked; %d failed; %d wrong arguments or configuration; %d not running (stop, status, ping); %d the data directory is in
use by another process; %d stopped at once by a second signal.`

// options are the flags that all commands share.
type options struct {
	boot.Options
	timeout time.Duration
}

func execute(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	root := command()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return root.ExecuteContext(ctx)
}

func command() *cobra.Command {
	o := &options{}
	root := &cobra.Command{
		Use: "pando", Short: "the whole messaging suite in one process", SilenceErrors: true, SilenceUsage: true, Version: run.Version(), Args: noArgs,
		Long: fmt.Sprintf(teach, run.CodeOK, run.CodeFailure, run.CodeUsage, run.CodeNotRunning, run.CodeRunning, run.CodeForced),
		RunE: func(c *cobra.Command, _ []string) error { return o.run(c.Context(), c.OutOrStdout(), c.ErrOrStderr()) },
	}
	root.SuggestionsMinimumDistance = 2
	root.SetVersionTemplate("pando {{.Version}}\n")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return run.WithCode(run.CodeUsage, fmt.Errorf("%w; see %s --help", err, c.CommandPath()))
	})
	f := root.PersistentFlags()
	f.StringVarP(&o.File, "config", "c", "", "configuration file, YAML (PANDO_CONFIG)")
	f.StringVar(&o.EMQ, "emq", "", "read an EMQ 2 installation: its directory or its emq.conf; none: not even the one beside the data directory (PANDO_EMQ)")
	f.StringVarP(&o.DataDir, "data-dir", "d", "", "directory of everything the process keeps (data_dir, "+boot.DefaultDataDir+")")
	f.Var((*offset)(&o.Offset), "port-offset", "added to every port, 0 to 45000 (port_offset)")
	f.StringArrayVarP(&o.Set, "set", "s", nil, "set a.b=value, over everything else; may be repeated")
	f.DurationVar(&o.timeout, "timeout", 2*time.Minute, "longest wait of start, stop and restart")
	root.AddCommand(o.runCommand(), o.startCommand(), o.stopCommand(), o.restartCommand(), o.statusCommand(), o.pingCommand(),
		o.configCommand(), versionCommand(), servers.Command())
	return root
}

// noArgs refuses arguments, and unknown commands with the nearest one.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	text := fmt.Sprintf("unexpected argument %q of %s", args[0], c.CommandPath())
	if near := c.SuggestionsFor(args[0]); c.HasSubCommands() && len(near) > 0 {
		text = fmt.Sprintf("unknown command %q; did you mean %s?", args[0], strings.Join(near, " or "))
	}
	return run.WithCode(run.CodeUsage, fmt.Errorf("%s; see %s --help", text, c.CommandPath()))
}

// offset is --port-offset: a number in bounds, kept as text because "not given" matters.
type offset string

// String is the value as it was given.
func (o *offset) String() string { return string(*o) }

// Type is the word in the usage.
func (o *offset) Type() string { return "int" }

// Set takes a number from 0 to 45000.
func (o *offset) Set(s string) error {
	if n, err := strconv.Atoi(s); err != nil || n < 0 || n > boot.MaxPortOffset {
		return errors.New("expected a number from 0 to " + strconv.Itoa(boot.MaxPortOffset))
	}
	*o = offset(s)
	return nil
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "print the version", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(c.OutOrStdout(), "pando", run.Version())
			return err
		},
	}
}
