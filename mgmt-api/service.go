package mgmtapi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/pando-mq/pando/mgmt-api/account"
	"github.com/pando-mq/pando/mgmt-api/api"
	"github.com/pando-mq/pando/mgmt-api/door"
	"github.com/pando-mq/pando/mgmt-api/fleet"
	"github.com/pando-mq/pando/mgmt-api/v2"
	"github.com/pando-mq/pando/services/boot"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/log"
	"github.com/pando-mq/pando/services/run"
)

// Deps is what a Server stands on. Cluster, Gateways, Stores, Routers, Processes, Auth, DataDir and Status must be set.
type Deps struct {
	Cluster  cluster.Cluster
	Gateways func(cluster.Node) broker.GatewayAdmin // of the role gateway; in one process the gateway itself
	Stores   func(cluster.Node) broker.SessionAdmin // of the role session
	Routers  func(cluster.Node) broker.RouterAdmin  // of the role router
	Auth     broker.AuthAdmin
	// Processes are those of any role; nil for one that cannot be asked.
	Processes func(cluster.Node) broker.ProcessAdmin

	DataDir    string                           // pandoctl.sock, pandoctl.token and the generated administrator are kept there
	PortOffset int                              // added to the port of Config.Listen
	GRPC       string                           // address of the gRPC port, port offset included; "" opens none (all-in-one)
	TLS        *tls.Config                      // of the gRPC port; nil: plaintext
	Status     func() (text string, serve bool) // the text of /status, and whether listeners serve (200) or not (503)
	Announce   func(string)                     // shows an operator the generated password, once; nil: nobody watches, it waits in a file and the log names that

	Log        *slog.Logger
	Registerer Registerer // nil: no metrics
}

// Server is the management service of one process. It is a run.Failer.
type Server struct {
	cfg     Config
	deps    Deps
	rest    string // address of REST, offset included, "" for none
	fleet   *fleet.Fleet
	metrics *metrics
	failed  chan error

	web   *http.Server
	doors []*api.Server
	addrs struct{ rest, grpc net.Addr }
	done  sync.WaitGroup // the goroutines that serve
}

var _ run.Failer = (*Server)(nil)

// New makes a Server. It starts nothing.
func New(cfg Config, deps Deps) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Cluster == nil || deps.Gateways == nil || deps.Stores == nil || deps.Routers == nil || deps.Processes == nil || deps.Auth == nil || deps.Status == nil ||
		deps.DataDir == "" {
		return nil, errors.New("mgmt: Cluster, Gateways, Stores, Routers, Processes, Auth, Status and DataDir must be set")
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{cfg: cfg, deps: deps, metrics: newMetrics(deps.Registerer), failed: make(chan error, 3)}
	if cfg.Listen != "" {
		addr, err := boot.Offset(cfg.Listen, deps.PortOffset)
		if err != nil {
			return nil, fmt.Errorf("mgmt.listen: %w", err)
		}
		s.rest = addr
	}
	s.fleet = fleet.New(fleet.Deps{
		Cluster: deps.Cluster, Gateways: deps.Gateways, Stores: deps.Stores, Routers: deps.Routers, Processes: deps.Processes, Auth: deps.Auth,
		Timeout: cfg.Timeout, Asked: s.metrics.question,
	})
	return s, nil
}

// Start opens the doors. When it returns nil all of them serve.
func (s *Server) Start(ctx context.Context) error {
	if err := os.MkdirAll(s.deps.DataDir, 0o750); err != nil {
		return fmt.Errorf("mgmt: %w", err)
	}
	for _, open := range []func(context.Context) error{s.openREST, s.openSocket, s.openPort} {
		if err := open(ctx); err != nil {
			return errors.Join(fmt.Errorf("mgmt: %w", err), s.close(context.WithoutCancel(ctx)))
		}
	}
	return nil
}

// openREST listens for HTTP.
func (s *Server) openREST(ctx context.Context) error {
	if s.rest == "" {
		return nil
	}
	book, err := s.administrators()
	if err != nil {
		return err
	}
	l, err := listen(ctx, s.rest, "mgmt.listen")
	if err != nil {
		return err
	}
	s.addrs.rest = l.Addr()
	if a, ok := l.Addr().(*net.TCPAddr); ok && !a.IP.IsLoopback() {
		s.deps.Log.Warn("the REST API is open to other machines, and passwords go to it in the clear", log.KeyAddr, l.Addr().String())
	}
	s.web = &http.Server{
		Handler: v2.New(v2.Deps{
			Fleet: s.fleet, Book: book, Status: s.deps.Status, MaxPage: s.cfg.MaxPageSize, MaxBody: s.cfg.MaxBody, MaxRequests: s.cfg.MaxRequests,
			Log: s.deps.Log, Served: s.metrics.servedHTTP,
		}),
		ReadHeaderTimeout: readHeader, ReadTimeout: readBody, WriteTimeout: writeAnswer, IdleTimeout: idle, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(s.deps.Log.Handler(), slog.LevelDebug),
	}
	s.serve("REST", func() error {
		if err := s.web.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	return nil
}

// administrators are those of the configuration, or that of the file, which is made at the first start.
func (s *Server) administrators() (*account.Book, error) {
	if len(s.cfg.Administrators) > 0 {
		passwords := map[string]string{}
		for name, a := range s.cfg.Administrators {
			passwords[name] = a.Password.Value()
		}
		return account.New(passwords), nil
	}
	book, made, err := account.Open(s.deps.DataDir)
	if err != nil || made == nil {
		return book, err
	}
	if s.deps.Announce != nil {
		s.deps.Announce(fmt.Sprintf("REST API: administrator %q, password %s (shown only this once; its hash is in %s)", made.Name, made.Password, made.File))
		return book, nil
	}
	file, err := made.Keep()
	if err != nil {
		return nil, err
	}
	s.deps.Log.Warn("an administrator of the REST API was made: read its password in the file, then remove that", log.KeyUsername, made.Name, log.KeyFile, file)
	return book, nil
}

// openSocket listens for pandoctl on this machine.
func (s *Server) openSocket(context.Context) error {
	l, err := door.Listen(s.deps.DataDir)
	if err != nil {
		return fmt.Errorf("socket for pandoctl: %w", err)
	}
	s.serveGRPC("pandoctl", l, api.Deps{})
	return nil
}

// openPort listens for pandoctl on other machines.
func (s *Server) openPort(ctx context.Context) error {
	if s.deps.GRPC == "" {
		return nil
	}
	token, err := account.OpenToken(s.deps.DataDir)
	if err != nil {
		return err
	}
	l, err := listen(ctx, s.deps.GRPC, "cluster.listen")
	if err != nil {
		return err
	}
	s.addrs.grpc = l.Addr()
	s.serveGRPC("gRPC", l, api.Deps{Token: &token, TLS: s.deps.TLS})
	return nil
}

// listen explains which key is behind an address that cannot be used.
func listen(ctx context.Context, addr, key string) (net.Listener, error) {
	var c net.ListenConfig
	l, err := c.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%w (set %s, or port_offset for all ports)", err, key)
	}
	return l, nil
}

func (s *Server) serveGRPC(name string, l net.Listener, d api.Deps) {
	d.Fleet, d.Status, d.MaxBody, d.Log, d.Served = s.fleet, s.deps.Status, s.cfg.MaxBody, s.deps.Log, s.metrics.servedGRPC
	door := api.New(d)
	s.doors = append(s.doors, door)
	s.serve(name, func() error { return door.Serve(l) })
}

// serve runs fn until its door is closed; its error makes the process drain.
func (s *Server) serve(name string, fn func() error) {
	s.done.Go(func() {
		if err := fn(); err != nil {
			s.failed <- fmt.Errorf("mgmt: %s: %w", name, err)
		}
	})
}

// Stop closes the doors and waits until the requests under way are answered, or ctx ends.
func (s *Server) Stop(ctx context.Context) error { return s.close(ctx) }

func (s *Server) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, drain)
	defer cancel()
	var errs []error
	if s.web != nil {
		if err := s.web.Shutdown(ctx); err != nil {
			errs = append(errs, err, s.web.Close())
		}
	}
	for _, d := range s.doors {
		errs = append(errs, d.Stop(ctx))
	}
	s.done.Wait()
	return errors.Join(errs...)
}

// Failed delivers the error of a door that broke while it served.
func (s *Server) Failed() <-chan error { return s.failed }

// Addr is the address of the REST API after Start, nil if there is none.
func (s *Server) Addr() net.Addr { return s.addrs.rest }

// GRPCAddr is the address of the gRPC port after Start, nil if there is none.
func (s *Server) GRPCAddr() net.Addr { return s.addrs.grpc }

// The bounds of the HTTP server.
const (
	readHeader  = 5 * time.Second
	readBody    = 15 * time.Second
	writeAnswer = time.Minute
	idle        = 2 * time.Minute
	maxHeader   = 16 << 10
	drain       = 5 * time.Second // requests under way get this at Stop, if its context leaves so much
)
