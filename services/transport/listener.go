package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pando-mq/pando/services/transport/ws"
)

// Deps is what a Listener needs from the program around it.
type Deps struct {
	Log *slog.Logger
	// Accept makes the Handler of a connection whose handshakes are done; it must
	// not block. It may already use the Conn. nil closes it with ErrRefused.
	Accept func(Conn) Handler
	// Explain gives Accept connections above Config.MaxClients and Budget too, with
	// Info.Refused set, so that the protocol can say why before it closes. At most
	// MaxRefusals of them at once; the others, and without Explain all, are closed
	// at once.
	Explain bool
	// Admit decides whether a client may connect, before TLS and WebSocket and after
	// the PROXY header; its error is the reason of the end. nil admits all.
	Admit func(client netip.Addr) error
	// Trusted says whether a peer may send a header of the PROXY protocol. nil:
	// nobody may.
	Trusted func(peer netip.Addr) bool
	// Budget is shared with other listeners; nil: only Config.MaxClients counts.
	Budget *Budget
	// Loops are shared with other listeners; nil: the listener has its own. They are
	// not used in Config.Transport Goroutine.
	Loops *Loops
	// HTTP answers plain requests by path on ws and wss listeners; may be nil.
	HTTP map[string]HTTPFunc
}

// Listener accepts the connections of one address and owns them.
type Listener struct {
	cfg     Config
	deps    Deps
	upgrade ws.Options
	tls     atomic.Pointer[tls.Config]
	pool    *pool
	loops   *Loops        // nil: a goroutine per connection
	turns   chan struct{} // of TLS handshakes that compute

	handshakes atomic.Int64
	accepted   atomic.Uint64
	failed     atomic.Uint64 // accepts

	reload sync.Mutex // Reload and Refresh
	files  []stamp    // what was loaded last; under reload

	mu        sync.Mutex
	conns     map[member]Reason // in a handshake, or with a goroutine; with the reason for which it is being refused
	refusing  int               // of conns
	looped    int               // connections on event loops
	group     *loopGroup        // the loops, from Start until nothing needs them
	ending    *loopGroup        // what was group, if nobody else uses it
	shutdowns map[Reason]uint64
	empty     chan struct{} // closed by the last connection, if somebody waits
	socket    *net.TCPListener
	addr      netip.AddrPort // of the last socket
	stop      chan struct{}  // closed by Stop; made by Start
	rate      *Bucket        // of accepting; nil without a limit
	acceptors *sync.WaitGroup
}

// abortGrace is the time given to Handlers to return after an abort.
const abortGrace = 5 * time.Second

// MaxRefusals bounds the connections above a limit that are told why, per listener
// and per Budget (Deps.Explain). What they cost is bounded by it: as many file
// descriptors and, with Config.ReadLimit at its default, 4 MiB of input.
const MaxRefusals = 64

// maxReasons bounds the keys of Shutdowns; what comes later counts as "error".
const maxReasons = 64

// New checks cfg, loads its certificates and returns a Listener that Start opens.
func New(cfg Config, deps Deps) (*Listener, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Log == nil || deps.Accept == nil {
		return nil, errors.New("transport: Deps.Log and Deps.Accept are required")
	}
	l := &Listener{
		cfg: cfg, deps: deps, pool: new(pool), turns: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)-1)),
		conns: make(map[member]Reason), shutdowns: make(map[Reason]uint64),
		upgrade: ws.Options{
			Path: cfg.Path, Subprotocols: cfg.Subprotocols,
			RequireSubprotocol: cfg.RequireSubprotocol, AllowedOrigins: cfg.AllowedOrigins,
		},
	}
	if cfg.Transport.looping() {
		l.loops = deps.Loops
		if l.loops == nil {
			l.loops = NewLoops(0)
		}
	}
	if cfg.ConnRate > 0 {
		l.rate = NewBucket(cfg.ConnRate, cfg.ConnBurst, time.Now())
	}
	if err := l.Reload(); err != nil {
		return nil, err
	}
	return l, nil
}

// Start binds the address and accepts. ctx bounds the binding only. After Stop it
// may be called again.
func (l *Listener) Start(ctx context.Context) error {
	l.mu.Lock()
	running := l.socket != nil
	l.mu.Unlock()
	if running {
		return fmt.Errorf("listener %q: already started", l.cfg.Name)
	}
	socket, err := l.listen(ctx)
	if err != nil {
		return fmt.Errorf("listener %q: %w", l.cfg.Name, err)
	}
	stop, acceptors := make(chan struct{}), new(sync.WaitGroup)
	l.mu.Lock()
	if l.socket != nil {
		l.mu.Unlock()
		_ = socket.Close()
		return fmt.Errorf("listener %q: already started", l.cfg.Name)
	}
	if err := l.enlistLocked(); err != nil {
		l.mu.Unlock()
		_ = socket.Close()
		return fmt.Errorf("listener %q: start event loops: %w", l.cfg.Name, err)
	}
	l.socket, l.stop, l.acceptors, l.addr = socket, stop, acceptors, addrPort(socket.Addr())
	for range l.cfg.Acceptors {
		acceptors.Go(func() { l.accept(socket, stop) })
	}
	l.mu.Unlock()
	l.deps.Log.Info("listener started", slog.String("listener", l.cfg.Name), slog.String("kind", string(l.cfg.kind())),
		slog.String("addr", socket.Addr().String()))
	return nil
}

func (l *Listener) listen(ctx context.Context) (*net.TCPListener, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", l.cfg.Bind)
	if err != nil {
		return nil, err
	}
	socket := ln.(*net.TCPListener)
	if l.cfg.Backlog > 0 {
		rc, err := socket.SyscallConn()
		if err == nil {
			err = setBacklog(rc, l.cfg.Backlog)
		}
		if err != nil {
			_ = socket.Close()
			return nil, fmt.Errorf("set backlog: %w", err)
		}
	}
	return socket, nil
}

// accept runs until the socket is closed by Stop. A lack of file descriptors
// passes: it waits and tries again, and says so once.
func (l *Listener) accept(socket *net.TCPListener, stop <-chan struct{}) {
	const shortest, longest = 5 * time.Millisecond, time.Second
	pause := shortest
	for {
		raw, err := socket.AcceptTCP()
		switch {
		case err == nil:
			pause = shortest
			if wait := l.admit(raw); wait > 0 && !sleep(wait, stop) {
				return
			}
			continue
		case errors.Is(err, net.ErrClosed):
			return
		}
		l.failed.Add(1)
		if pause == shortest {
			l.deps.Log.Warn("accept failed, trying again", slog.String("listener", l.cfg.Name), slog.Any("error", err))
		}
		if !sleep(pause, stop) {
			return
		}
		pause = min(2*pause, longest)
	}
}

// sleep waits; false: stop came first.
func sleep(d time.Duration, stop <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-stop:
		return false
	case <-timer.C:
		return true
	}
}

// Stop closes the listening socket and waits until nothing more is accepted.
// Connections stay. It is a no-op on a listener that is not started.
func (l *Listener) Stop(context.Context) error {
	l.mu.Lock()
	socket, stop, acceptors := l.socket, l.stop, l.acceptors
	l.socket = nil
	l.mu.Unlock()
	if socket == nil {
		return nil
	}
	close(stop)
	err := socket.Close()
	acceptors.Wait() // they only wait for the socket and for stop
	l.mu.Lock()
	l.restLocked()
	l.mu.Unlock()
	l.settle()
	l.deps.Log.Info("listener stopped", slog.String("listener", l.cfg.Name))
	return err
}

// Drain stops accepting and waits until every connection has ended by itself.
// The error is ctx's.
func (l *Listener) Drain(ctx context.Context) error {
	return errors.Join(l.Stop(ctx), l.wait(ctx))
}

// Close stops accepting and closes every connection with ErrShutdown, which sends
// what is queued. Connections left when ctx ends are aborted; then the error is
// ctx's. When it returns no goroutine of the listener is left, unless a Handler
// blocks, which the error then says.
func (l *Listener) Close(ctx context.Context) error {
	err := l.Stop(ctx)
	for _, c := range l.snapshot() {
		c.Close(ErrShutdown)
	}
	waitErr := l.wait(ctx)
	if waitErr != nil {
		for _, c := range l.snapshot() {
			c.Abort(ErrShutdown)
		}
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortGrace)
		defer cancel()
		if l.wait(grace) != nil {
			waitErr = fmt.Errorf("listener %q: %d handlers block: %w", l.cfg.Name, len(l.snapshot()), waitErr)
		}
	}
	return errors.Join(err, waitErr)
}

// Addr is the bound address, also after Stop; invalid before the first Start.
func (l *Listener) Addr() netip.AddrPort {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.addr
}

// Config returns the listener's configuration.
func (l *Listener) Config() Config { return l.cfg }

// Running reports whether the listener accepts.
func (l *Listener) Running() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.socket != nil
}

// Count is the number of connections, those in a handshake included, those that
// only hear why they are refused not.
func (l *Listener) Count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.conns) + l.looped - l.refusing
}

// Accepted is the number of connections accepted since New, refused ones included.
func (l *Listener) Accepted() uint64 { return l.accepted.Load() }

// AcceptErrors is how often accepting failed, as it does without a free file
// descriptor.
func (l *Listener) AcceptErrors() uint64 { return l.failed.Load() }

// Shutdowns returns how many connections ended, by reason.
func (l *Listener) Shutdowns() map[Reason]uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.shutdowns)
}

// addrPort converts a TCP address; an IPv4 address is never IPv6-mapped.
func addrPort(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := t.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
