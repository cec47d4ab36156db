package boot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"time"

	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/run"
)

// Incarnation is one life of the services of a process: the members they stand on, and what runs on them. Life makes it, Build fills it.
type Incarnation struct {
	Metrics *Scope // takes the metrics of the services of this life, and gives them up with it

	members  []cluster.Member
	services []named // started in order, stopped in reverse
	fences   []func()
	checks   []check
	started  int // services that are started
}

type named struct {
	name string
	run.Service
}

// drainNotice is how long announcing a drain may take: it saves time, nothing depends on it.
const drainNotice = time.Second

type check struct {
	name string
	fn   func(context.Context) error
}

// Register joins the cluster as n. The member is left when this life ends, and this life ends when the member is lost.
func (in *Incarnation) Register(ctx context.Context, c cluster.Cluster, n cluster.Node) (cluster.Member, error) {
	m, err := c.Register(ctx, n)
	if err != nil {
		return nil, fmt.Errorf("register as %s %q: %w", n.Role, n.ID, err)
	}
	in.members = append(in.members, m)
	return m, nil
}

// Add appends a service. One that is a run.Failer and fails ends this life.
func (in *Incarnation) Add(name string, s run.Service) {
	in.services = append(in.services, named{name, s})
}

// OnLoss adds what must happen at once when a lease is lost, before anything is stopped: connections are dropped.
func (in *Incarnation) OnLoss(fn func()) { in.fences = append(in.fences, fn) }

// Check adds a condition of being ready.
func (in *Incarnation) Check(name string, fn func(context.Context) error) {
	in.checks = append(in.checks, check{name, fn})
}

func (in *Incarnation) fence() {
	for _, fn := range in.fences {
		fn()
	}
}

// errOver says that a life was over before it had begun.
var errOver = errors.New("over while it started")

// start starts the services in order. It gives up as soon as this life is over: a service that waits for what a lost lease will never bring does not hold it.
func (in *Incarnation) start(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if why, over := in.wait(ctx, nil); over {
			cancel(fmt.Errorf("%w: %w", errOver, why))
		}
	}()
	defer func() { cancel(nil); <-done }()
	for in.started < len(in.services) {
		if err := in.services[in.started].Start(ctx); err != nil {
			if cause := context.Cause(ctx); cause != nil {
				return fmt.Errorf("start %s: %w", in.services[in.started].name, cause)
			}
			return fmt.Errorf("start %s: %w", in.services[in.started].name, err)
		}
		in.started++
	}
	if errors.Is(context.Cause(ctx), errOver) {
		return context.Cause(ctx)
	}
	return nil
}

// announceDrain tells the cluster that this process is going, so that others take its partitions as it gives them up.
func (in *Incarnation) announceDrain(ctx context.Context, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainNotice)
	defer cancel()
	for _, m := range in.members {
		if err := m.SetState(ctx, cluster.StateDraining); err != nil && !errors.Is(err, cluster.ErrLost) {
			log.Warn("the drain could not be announced", slog.Any("error", err))
		}
	}
}

// ready gives the first reason not to be.
func (in *Incarnation) ready(ctx context.Context) error {
	for _, c := range in.checks {
		if err := c.fn(ctx); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return nil
}

// errFailed says that a service ended by itself, without a word.
var errFailed = errors.New("ended by itself")

// wait returns why this life is over, a lost lease or the failure of one of services; false: ctx ended before.
func (in *Incarnation) wait(ctx context.Context, services []named) (error, bool) {
	var cases []reflect.SelectCase
	var why []func(v reflect.Value) error
	add := func(ch any, fn func(reflect.Value) error) {
		cases = append(cases, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(ch)})
		why = append(why, fn)
	}
	add(ctx.Done(), nil)
	for _, m := range in.members {
		n := m.Node()
		add(m.Lost(), func(reflect.Value) error { return fmt.Errorf("the lease of %s %q was lost", n.Role, n.ID) })
	}
	for _, s := range services {
		if f, ok := s.Service.(run.Failer); ok {
			add(f.Failed(), func(v reflect.Value) error {
				err, _ := v.Interface().(error)
				if err == nil {
					err = errFailed
				}
				return fmt.Errorf("%s: %w", s.name, err)
			})
		}
	}
	for {
		i, v, ok := reflect.Select(cases)
		if i == 0 {
			return nil, false
		}
		if ok || i <= len(in.members) { // a closed Failed has nothing to report
			return why[i](v), true
		}
		cases[i].Chan = reflect.Value{}
	}
}
