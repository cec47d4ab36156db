package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pando-mq/pando/deploy/allinone"
	"github.com/pando-mq/pando/services/run"
)

// reloadTimeout bounds the wait for the answer.
const reloadTimeout = 30 * time.Second

func (o *options) reloadCommand() *cobra.Command {
	return &cobra.Command{
		Use: "reload", Short: "have the running process read its configuration again", Args: noArgs,
		Long: "The process reads its configuration from where it came from: the same file, environment and flags. Keys that may change while it runs do (see\n" +
			"pando config reference); of the others the old value stays until the next start, and they are named. A configuration that is refused changes nothing.\n" +
			"SIGHUP does the same and writes the answer into the log.",
		RunE: func(c *cobra.Command, _ []string) error { return o.reload(c.Context(), c.OutOrStdout()) },
	}
}

func (o *options) reload(ctx context.Context, w io.Writer) error {
	dir := o.DataDir
	if dir == "" {
		var err error
		if dir, err = o.dataDir(); err != nil {
			return err
		}
	}
	pid, err := run.Running(pidFile(dir))
	if errors.Is(err, run.ErrNotRunning) {
		return run.WithCode(run.CodeNotRunning, fmt.Errorf("%w in %s", err, dir))
	}
	if err != nil {
		return err
	}
	i, err := allinone.ReadInfo(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && i.PID != pid {
		return fmt.Errorf("process %d is starting or stopping", pid)
	}
	if err != nil {
		return err
	}
	return askReload(ctx, w, i.Ops)
}

// askReload asks at an admin port and writes the answer.
func askReload(ctx context.Context, w io.Writer, ops string) error {
	ctx, cancel := context.WithTimeout(ctx, reloadTimeout)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+ops+"/reload", http.NoBody)
	if err != nil {
		return err
	}
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	text, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return err
	}
	if r.StatusCode != http.StatusOK {
		return run.WithCode(run.CodeUsage, errors.New(strings.TrimSpace(string(text))))
	}
	_, err = w.Write(text)
	return err
}
