package gatewaymqtt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/log"
)

// Serving reports whether every listener accepts connections that nobody has stopped.
func (g *Gateway) Serving() bool {
	for _, l := range g.listeners {
		if !l.Running() && !l.halted.Load() {
			return false
		}
	}
	return true
}

// Listeners describes the listeners that are not disabled, ordered by name.
func (g *Gateway) Listeners() []broker.ListenerInfo {
	out := make([]broker.ListenerInfo, len(g.listeners))
	for i, l := range g.listeners {
		out[i] = l.info()
	}
	return out
}

// Addr is the address a listener is bound to; invalid before Start and for unknown names.
func (g *Gateway) Addr(name string) netip.AddrPort {
	if l := g.listener(name); l != nil {
		return l.Addr()
	}
	return netip.AddrPort{}
}

// ControlListener does what an operator asks of one listener, while everything else goes on; see broker.ListenerAction. KindNotFound: there is none of that
// name. KindInvalid: an unknown action, or certificate files that cannot be used.
func (g *Gateway) ControlListener(ctx context.Context, name string, do broker.ListenerAction) error {
	op := fmt.Sprintf("%s listener %q", do, name)
	if name == "" && do == broker.ReloadListener {
		return invalid("reload listeners", g.Reload())
	}
	l := g.listener(name)
	if l == nil {
		return broker.E(broker.KindNotFound, op, nil)
	}
	switch do {
	case broker.StopListener:
		return l.halt(ctx)
	case broker.StartListener:
		return l.resume(ctx)
	case broker.RestartListener:
		return errors.Join(l.halt(ctx), l.resume(ctx))
	case broker.ReloadListener:
		return invalid(op, l.Reload())
	}
	return broker.E(broker.KindInvalid, op, nil)
}

func invalid(op string, err error) error {
	if err == nil {
		return nil
	}
	return broker.E(broker.KindInvalid, op, err)
}

// halt closes a listener; its connections stay.
func (l *listener) halt(ctx context.Context) error {
	l.halted.Store(true)
	return l.Stop(ctx)
}

// resume opens it again; one that runs stays as it is. KindUnavailable: its address cannot be bound now.
func (l *listener) resume(ctx context.Context) error {
	l.gw.mu.Lock()
	stopping := l.gw.stopping
	l.gw.mu.Unlock()
	switch {
	case stopping:
		return broker.E(broker.KindUnavailable, "start listener: the gateway stops", nil)
	case l.Running():
		return nil
	}
	if err := l.Start(ctx); err != nil {
		return broker.E(broker.KindUnavailable, "start listener", err)
	}
	l.halted.Store(false)
	return nil
}

// Reload reads the certificates of all listeners again; new connections use them. A listener whose files are broken keeps the old ones and is named in
// the error.
func (g *Gateway) Reload() error {
	var errs []error
	for _, l := range g.listeners {
		errs = append(errs, l.Reload())
	}
	return errors.Join(errs...)
}

// lookEvery is the time between two looks at the files of certificates, authorities and revocation lists.
const lookEvery = 10 * time.Second

// watch is the goroutine that looks whether these files have changed.
type watch struct {
	cancel context.CancelFunc
	done   chan struct{}
}

func (w *watch) start(g *Gateway) {
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel, w.done = cancel, make(chan struct{})
	go func() {
		defer close(w.done)
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				g.refresh()
			}
		}
	}()
}

// stop waits for the goroutine; without one it does nothing.
func (w *watch) stop() {
	if w.cancel != nil {
		w.cancel()
		<-w.done
	}
}

// refresh reads what has changed. A broken file is named once for each change of it.
func (g *Gateway) refresh() {
	for _, l := range g.listeners {
		switch changed, err := l.Refresh(); {
		case err != nil:
			g.log.Error("the changed certificate files of a listener cannot be used, it keeps the old ones", log.KeyListener, l.name, slog.Any(log.KeyError, err))
		case changed:
			g.log.Info("the certificate files of a listener were read again", log.KeyListener, l.name)
		}
	}
}

// full is told by the budget: one line when the process has no room for more connections, and one when it has again.
func (g *Gateway) full(on bool, deps Deps) {
	if on {
		g.log.Warn("the process holds as many connections as it may, more are refused", log.KeyLimit, deps.MaxConnections, log.KeyConfigKey, "limits.max_connections")
	} else {
		g.log.Info("the process has room for connections again", log.KeyLimit, deps.MaxConnections)
	}
	if deps.Full != nil {
		deps.Full(on)
	}
}
