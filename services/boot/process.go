package boot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"path/filepath"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/config/emq"
	"github.com/pando-mq/pando/services/log"
	"github.com/pando-mq/pando/services/ops"
	"github.com/pando-mq/pando/services/run"
)

// PidFile is the name of the lock of a data directory, with the id of the process that uses it.
const PidFile = "pando.pid"

// Process is what a process has whatever it serves: its data directory, its log, its metrics and its admin port. Common.Ops is already moved by the offset.
type Process struct {
	Common   *Common
	Log      *slog.Logger
	Level    *log.Log // to change the level while running
	Registry *Registry
	Ops      *ops.Server

	lock   *run.PidFile
	reload atomic.Pointer[Reloader]
}

// ReloadConfig implements broker.ProcessAdmin.
func (p *Process) ReloadConfig(context.Context) ([]broker.ConfigChange, error) {
	r := p.reload.Load()
	if r == nil {
		return nil, broker.Errorf(broker.KindUnavailable, "reload configuration: the process starts")
	}
	return r.Reload()
}

// OpenProcess locks the data directory and opens the log, written to w unless log.file says otherwise, with the service's name on each line unless that is "". It offsets ops.listen. Close must follow.
func OpenProcess(service string, c *Common, w io.Writer) (*Process, error) {
	if err := c.OffsetAddr(&c.Ops.Listen); err != nil {
		return nil, run.WithCode(run.CodeUsage, fmt.Errorf("ops.listen: %w", err))
	}
	p := &Process{Common: c}
	var err error
	if p.lock, err = run.LockPid(filepath.Join(c.DataDir, PidFile)); err != nil {
		return nil, err
	}
	attrs := []slog.Attr{slog.String(log.KeyNode, c.NodeName())}
	if service != "" {
		attrs = append(attrs, slog.String(log.KeyService, service))
	}
	p.Level, err = log.Open(c.Log, w, attrs...)
	if err != nil {
		return nil, errors.Join(err, p.lock.Close())
	}
	p.Log, p.Registry = p.Level.Logger(), ops.NewRegistry(run.Version())
	if p.Ops, err = ops.New(c.Ops, ops.Deps{Logger: p.Log, Registry: p.Registry}); err != nil {
		return nil, errors.Join(err, p.Level.Close(), p.lock.Close())
	}
	if c.Limits.Memory > 0 {
		debug.SetMemoryLimit(c.Limits.Memory)
	}
	return p, nil
}

// Answer writes what became of the keys of an emq.conf, one line each, whatever log.level is: an emq.conf sets log.console.level = error as a rule, and its
// keys are answered all the same.
func (p *Process) Answer(ctx context.Context, notices []emq.Notice) error {
	for _, n := range notices {
		r := slog.NewRecord(time.Now(), slog.LevelInfo, "emq.conf: "+n.String(), 0)
		r.AddAttrs(slog.String(log.KeyFile, n.Origin.String()))
		if err := p.Log.Handler().Handle(ctx, r); err != nil {
			return fmt.Errorf("write the log: %w", err)
		}
	}
	return nil
}

// Group is an empty group of services with the process's log; a service has the time to drain its parts one after the other. What the start left behind, 40 MiB
// in the all-in-one process, goes back to the system when all are ready.
func (p *Process) Group() *run.Group {
	return run.NewGroup(run.Options{Logger: p.Log, StartTimeout: 2 * time.Minute, StopTimeout: 2 * time.Minute, Ready: debug.FreeOSMemory})
}

// Close gives the data directory free.
func (p *Process) Close() error { return errors.Join(p.Level.Close(), p.lock.Close()) }

// spareFiles are the files and sockets that a process needs beside its clients.
const spareFiles = 1024

// Connections is limits.max_connections, or what the limit of open files leaves.
func (c LimitsConfig) Connections() int {
	if c.MaxConnections > 0 {
		return c.MaxConnections
	}
	files := min(openFiles(), math.MaxInt32)
	return int(max(files-spareFiles, files/2))
}
