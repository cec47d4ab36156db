package boot

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/config"
	"github.com/pando-mq/pando/services/log"
	"github.com/pando-mq/pando/services/run"
)

// Reloader reads the configuration of a running process again, from where it came from, and puts the keys that are hot into force. Make it with
// Process.Reloader. Safe for use by many goroutines.
type Reloader struct {
	options Options
	fresh   func() any
	use     func(any) error
	process *Process

	mu   sync.Mutex
	base *Loaded // what is in force
}

// Reloader makes a reloader of a process and has the admin port and SIGHUP ask it, the latter once the service that it returns runs. fresh makes a new
// configuration, a pointer to a struct with Common embedded, as the process's own one was before it was loaded from o. use takes a whole one whose hot keys may
// have changed; nil: none but log.level is hot.
func (p *Process) Reloader(o Options, fresh func() any, use func(any) error) (run.Service, error) {
	if fresh == nil {
		fresh = func() any { return &Common{} }
	}
	base, err := Load(fresh(), o)
	if err != nil {
		return nil, err
	}
	r := &Reloader{options: o, fresh: fresh, use: use, process: p, base: base}
	p.reload.Store(r)
	p.Ops.OnReload(func(context.Context) ([]string, error) {
		changes, err := r.Reload()
		return inWords(changes), err
	})
	return run.OnHangup(func() { _, _ = r.Reload() }), nil // it is in the log
}

// shared is promoted to every configuration of a process.
func (c *Common) shared() *Common { return c }

// Reload reads everything again. It lists each key that differs: those that are hot are in force, of the others the old value stays until the next start. An
// error, of KindInvalid, changes nothing. Both are logged.
func (r *Reloader) Reload() ([]broker.ConfigChange, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := r.fresh()
	changes, err := r.take(next)
	if err != nil {
		r.process.Log.Error("the configuration was not read again, the old one stays", slog.Any(log.KeyError, err))
		return nil, broker.E(broker.KindInvalid, "the old configuration stays", err)
	}
	var list []broker.ConfigChange
	for _, c := range changes {
		if c.Hot {
			r.process.Log.Info("configuration changed", slog.String("key", c.Key), slog.String("value", c.To))
		} else {
			r.process.Log.Warn("a key cannot change while running, its old value stays until the next start", slog.String("key", c.Key), slog.String("value", c.From))
		}
		list = append(list, broker.ConfigChange(c))
	}
	if len(changes) == 0 {
		r.process.Log.Info("the configuration was read again, nothing changed")
	}
	return list, nil
}

// inWords is a line for each change.
func inWords(changes []broker.ConfigChange) []string {
	if len(changes) == 0 {
		return []string{"nothing changed"}
	}
	var lines []string
	for _, c := range changes {
		line := fmt.Sprintf("%s: %s becomes %s", c.Key, orNothing(c.From), orNothing(c.To))
		if !c.Hot {
			line += " at the next start, not now"
		}
		lines = append(lines, line)
	}
	return lines
}

// take loads a configuration and puts it into force.
func (r *Reloader) take(next any) ([]config.Change, error) {
	loaded, err := Load(next, r.options)
	if err != nil {
		return nil, err
	}
	changes, err := r.base.Succeed(loaded.Loaded)
	if err != nil {
		return nil, fmt.Errorf("configuration refused:\n%w", err)
	}
	for _, c := range changes {
		if c.Key == "log.level" {
			if err := r.process.Level.SetLevel(next.(interface{ shared() *Common }).shared().Log.Level); err != nil {
				return nil, err
			}
		}
	}
	if r.use != nil {
		if err := r.use(next); err != nil {
			return nil, err
		}
	}
	r.base = loaded
	return changes, nil
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}
