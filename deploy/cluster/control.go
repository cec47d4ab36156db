package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pando-mq/pando/services/boot"
	"github.com/pando-mq/pando/services/run"
)

// pollEvery is how often the end of a process is looked for.
const pollEvery = 20 * time.Millisecond

// Start starts every process that does not run, phase by phase, and returns when all are ready.
func (c *Cluster) Start(ctx context.Context) error {
	for phase := range 3 {
		group, ctx := errgroup.WithContext(ctx)
		for _, p := range c.list {
			if p.phase == phase {
				group.Go(func() error { return c.start(ctx, p) })
			}
		}
		if err := group.Wait(); err != nil {
			return err
		}
	}
	return nil
}

// Stop ends every process gracefully, one after the other in the reverse order of their start: each hands over to those that are still there.
func (c *Cluster) Stop(ctx context.Context) error {
	var errs []error
	for _, p := range slices.Backward(c.list) {
		errs = append(errs, c.stop(ctx, p))
	}
	return errors.Join(errs...)
}

// StartProcess starts one process and waits until it is ready. One that runs already is waited for.
func (c *Cluster) StartProcess(ctx context.Context, name string) error {
	p, err := c.Process(name)
	if err != nil {
		return err
	}
	return c.start(ctx, p)
}

// StopProcess ends one process gracefully and waits until it is gone. One that does not run is no error.
func (c *Cluster) StopProcess(ctx context.Context, name string) error {
	p, err := c.Process(name)
	if err != nil {
		return err
	}
	return c.stop(ctx, p)
}

// RestartProcess stops one process gracefully and starts it again.
func (c *Cluster) RestartProcess(ctx context.Context, name string) error {
	if err := c.StopProcess(ctx, name); err != nil {
		return err
	}
	return c.StartProcess(ctx, name)
}

// KillProcess ends one process with SIGKILL and waits until it is gone. One that does not run is an error.
func (c *Cluster) KillProcess(ctx context.Context, name string) error {
	p, err := c.Process(name)
	if err != nil {
		return err
	}
	pid, err := c.Pid(p)
	if err != nil {
		return fmt.Errorf("kill %s: %w", name, err)
	}
	if err := run.Kill(pid); err != nil {
		return fmt.Errorf("kill %s: %w", name, err)
	}
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		if _, err := c.Pid(p); errors.Is(err, run.ErrNotRunning) {
			c.report("%-18s killed", p.Name)
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("kill %s: process %d is still there: %w", name, pid, ctx.Err())
		}
	}
}

// KillAll ends whatever runs with SIGKILL: for tests that failed.
func (c *Cluster) KillAll(ctx context.Context) error {
	var errs []error
	for _, p := range slices.Backward(c.list) {
		if _, err := c.Pid(p); err == nil {
			errs = append(errs, c.KillProcess(ctx, p.Name))
		}
	}
	return errors.Join(errs...)
}

// Pid is the process id of a process, run.ErrNotRunning if it does not run.
func (c *Cluster) Pid(p Process) (int, error) { return run.Running(c.pidFile(p)) }

func (c *Cluster) pidFile(p Process) string { return filepath.Join(c.DataDir(p), boot.PidFile) }

// Ready asks a process whether it serves.
func (c *Cluster) Ready(ctx context.Context, p Process) error {
	return Ready(ctx, p.Addr(portOps))
}

// Ready asks the admin port at addr whether its process serves.
func Ready(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/readyz", nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 4096))
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("not ready: %s", strings.TrimSpace(string(body)))
	}
	return err
}

func (c *Cluster) start(ctx context.Context, p Process) error {
	begin := time.Now()
	if _, err := c.Pid(p); err == nil {
		return c.await(ctx, p)
	}
	path, args := c.command(p)
	_, err := run.StartDaemon(ctx, run.Daemon{
		Path: path, Args: args, Dir: c.dir, LogFile: c.LogFile(p), Ready: func(ctx context.Context) error { return c.Ready(ctx, p) },
	})
	if err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	c.report("%-18s ready after %.1f s", p.Name, time.Since(begin).Seconds())
	return nil
}

// await waits until a process that runs already is ready.
func (c *Cluster) await(ctx context.Context, p Process) error {
	tick := time.NewTicker(5 * pollEvery)
	defer tick.Stop()
	for {
		err := c.Ready(ctx, p)
		if err == nil {
			c.report("%-18s runs already", p.Name)
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s: %w (%w)", p.Name, ctx.Err(), err)
		}
	}
}

func (c *Cluster) stop(ctx context.Context, p Process) error {
	begin := time.Now()
	switch err := run.Shutdown(ctx, c.pidFile(p)); {
	case errors.Is(err, run.ErrNotRunning):
		return nil
	case err != nil:
		return fmt.Errorf("stop %s: %w", p.Name, err)
	}
	c.report("%-18s stopped after %.1f s", p.Name, time.Since(begin).Seconds())
	return nil
}

func (c *Cluster) report(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.progress != nil {
		fmt.Fprintf(c.progress, format+"\n", args...)
	}
}

// command is the command line of a process.
func (c *Cluster) command(p Process) (path string, args []string) {
	dir := c.DataDir(p)
	switch p.Kind {
	case KindEtcd:
		var initial []string
		for _, e := range c.Kind(KindEtcd) {
			initial = append(initial, e.Name+"=http://"+e.Addr(portEtcdPeer))
		}
		return filepath.Join(c.Bin, "pando"), []string{
			"internal", "etcd", "--name", p.Name, "--dir", dir, "--ops", p.Addr(portOps),
			"--client", "http://" + p.Addr(portEtcd), "--peer", "http://" + p.Addr(portEtcdPeer), "--initial", strings.Join(initial, ","),
		}
	case KindNATS:
		return filepath.Join(c.Bin, "pando"), []string{
			"internal", "nats", "--name", p.Name, "--dir", dir, "--ops", p.Addr(portOps), "--durability", c.Durability,
			"--listen", p.Addr(portNATS), "--cluster", p.Addr(portRoutes), "--routes", strings.Join(c.urls(KindNATS, "nats://", portRoutes), ","),
		}
	}
	return filepath.Join(c.Bin, p.Kind), []string{
		"--config", c.ConfigFile(), "--data-dir", dir, "--port-offset", fmt.Sprint(p.Offset), "--set", "node.name=" + p.Name + "@127.0.0.1",
	}
}
