package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/pando-mq/pando/deploy/allinone"
	"github.com/pando-mq/pando/deploy/cluster"
	"github.com/pando-mq/pando/mgmt-api/account"
	"github.com/pando-mq/pando/services/boot"
	"github.com/pando-mq/pando/services/run"
)

func (o *options) runCommand() *cobra.Command {
	return &cobra.Command{
		Use: "run", Short: "run in the foreground (this is what pando alone does)", Args: noArgs,
		Long: "Runs everything in the foreground until Ctrl-C or SIGTERM, then drains in reverse order. A second signal does not wait.\n" +
			"The log goes to standard error unless log.file says otherwise.",
		RunE: func(c *cobra.Command, _ []string) error { return o.run(c.Context(), c.OutOrStdout(), c.ErrOrStderr()) },
	}
}

func (o *options) startCommand() *cobra.Command {
	return &cobra.Command{
		Use: "start", Short: "run in the background and wait until it serves", Args: noArgs,
		Long: "Starts the suite in the background with the same flags, waits until it serves, and tells what listens where. Its log is <data-dir>/pando.log.",
		RunE: func(c *cobra.Command, _ []string) error { return o.start(c) },
	}
}

func (o *options) stopCommand() *cobra.Command {
	return &cobra.Command{
		Use: "stop", Short: "drain and stop the process in the background", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return o.stop(c.Context(), c.OutOrStdout())
		},
	}
}

func (o *options) restartCommand() *cobra.Command {
	return &cobra.Command{
		Use: "restart", Short: "stop it if it runs, and start it in the background", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.couldRestart(c.Context()); err != nil { // a mistake in the configuration must not stop what runs
				return err
			}
			if err := o.stop(c.Context(), c.OutOrStdout()); err != nil && !errors.Is(err, run.ErrNotRunning) {
				return err
			}
			return o.start(c)
		},
	}
}

func (o *options) run(ctx context.Context, stdout, stderr io.Writer) error {
	l, err := o.load()
	if err != nil {
		return err
	}
	if err := l.settle(); err != nil {
		return err
	}
	p, err := boot.OpenProcess("", &l.config.Common, stderr)
	if err != nil {
		return err
	}
	if err := p.Answer(ctx, l.Notices); err != nil {
		return errors.Join(err, p.Close())
	}
	return errors.Join(allinone.Run(ctx, l.config, p, allinone.Options{Files: l.Files, Tell: stdout, Watch: isTerminal(stdout)}), p.Close())
}

// isTerminal reports whether a person reads w.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// start makes a process that does `run` with the flags of this command.
func (o *options) start(c *cobra.Command) error {
	w := c.OutOrStdout()
	l, err := o.load()
	if err == nil {
		err = l.settle()
	}
	if err != nil {
		return err
	}
	dir := l.config.DataDir
	if pid, err := run.Running(pidFile(dir)); err == nil {
		return run.WithCode(run.CodeRunning, fmt.Errorf("already running as process %d in %s", pid, dir))
	}
	ctx, cancel := context.WithTimeout(c.Context(), o.timeout)
	defer cancel()
	_, err = run.StartDaemon(ctx, run.Daemon{
		Args: append([]string{"run"}, flags(c)...), Env: os.Environ(), LogFile: filepath.Join(dir, "pando.log"),
		Ready: func(ctx context.Context) error {
			i, err := allinone.ReadInfo(dir)
			if err != nil {
				return errors.New("it does not say that it is ready")
			}
			return cluster.Ready(ctx, i.Ops)
		},
	})
	if err != nil {
		return err
	}
	i, err := allinone.ReadInfo(dir)
	if err != nil {
		return err
	}
	i.Tell(w)
	i.Next(w)
	fmt.Fprintf(w, "Log:     %s\n", filepath.Join(dir, "pando.log"))
	password, err := account.TakePassword(dir)
	if password != "" {
		fmt.Fprintf(w, "REST API: administrator \"admin\", password %s (shown only this once)\n", password)
	}
	return err
}

// flags are those that a command was given, as arguments for another one.
func flags(c *cobra.Command) []string {
	var args []string
	c.Flags().Visit(func(f *pflag.Flag) {
		values := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		for _, v := range values {
			args = append(args, "--"+f.Name+"="+v)
		}
	})
	return args
}

func (o *options) stop(ctx context.Context, w io.Writer) error {
	dir, err := o.dataDir()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	err = run.Shutdown(ctx, pidFile(dir))
	if errors.Is(err, run.ErrNotRunning) {
		return run.WithCode(run.CodeNotRunning, fmt.Errorf("%w in %s", err, dir))
	}
	if err == nil {
		fmt.Fprintln(w, "stopped")
	}
	return err
}

// dataDir is where the process keeps its things. It is all that stop, status and ping need to know: they read the rest there.
func (o *options) dataDir() (string, error) {
	if o.DataDir != "" && o.File == "" && len(o.Set) == 0 {
		return o.DataDir, nil
	}
	l, err := o.load()
	if err != nil {
		return "", err
	}
	return l.config.DataDir, nil
}

func pidFile(dataDir string) string { return filepath.Join(dataDir, boot.PidFile) }

// oneLine is a text without line breaks.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
