package ops

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pando-mq/pando/services/log"
	"github.com/pando-mq/pando/services/run"
)

const (
	readTimeout    = 5 * time.Second
	writeTimeout   = 2 * time.Minute // a CPU profile of 30 s, or a trace, is one response
	idleTimeout    = time.Minute
	maxHeaderBytes = 16 << 10
)

// Deps of a server.
type Deps struct {
	Logger   *slog.Logger         // Logger; nil means silence.
	Registry *prometheus.Registry // Registry shown by /metrics; nil means NewRegistry(run.Version()).
}

// Server is the admin port. It is a run.Service and a run.Failer.
type Server struct {
	config Config
	logger *slog.Logger
	checks checks
	reload atomic.Pointer[func(context.Context) ([]string, error)]
	http   *http.Server

	listener net.Listener // set by Start
	failed   chan error
	done     chan struct{} // closed when Serve has returned
}

var _ run.Failer = (*Server)(nil)

// New makes a server that does not listen yet. It returns the error of
// Config.Validate.
func New(c Config, d Deps) (*Server, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	if d.Registry == nil {
		d.Registry = NewRegistry(run.Version())
	}
	s := &Server{config: c, logger: d.Logger, failed: make(chan error, 1), done: make(chan struct{})}
	s.http = &http.Server{
		Handler:        s.guard(s.routes(d.Registry)),
		ReadTimeout:    readTimeout,
		WriteTimeout:   writeTimeout,
		IdleTimeout:    idleTimeout,
		MaxHeaderBytes: maxHeaderBytes,
		ErrorLog:       slog.NewLogLogger(d.Logger.Handler(), slog.LevelDebug),
	}
	return s, nil
}

func (s *Server) routes(r *prometheus.Registry) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.Handle("GET /readyz", &s.checks)
	mux.Handle("GET /metrics", metricsHandler(r, s.logger))
	mux.Handle("POST /reload", http.NewCrossOriginProtection().Handler(http.HandlerFunc(s.serveReload)))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

// serveReload has the configuration read again and answers with a line per key that differs.
func (s *Server) serveReload(w http.ResponseWriter, r *http.Request) {
	reload := s.reload.Load()
	if reload == nil {
		http.Error(w, "nothing can be read again yet", http.StatusServiceUnavailable)
		return
	}
	lines, err := (*reload)(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	fmt.Fprintln(w, strings.Join(lines, "\n"))
}

// OnReload says what POST /reload does. It may be called at any time.
func (s *Server) OnReload(fn func(context.Context) ([]string, error)) { s.reload.Store(&fn) }

// guard refuses domain names in Host while the port is for loopback only.
func (s *Server) guard(next http.Handler) http.Handler {
	if s.config.AllowRemote {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if _, err := netip.ParseAddr(host); err != nil && host != "localhost" {
			http.Error(w, "use an address or localhost as the host", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// AddCheck adds a named check to /readyz, or replaces the one of that name. It
// may be called at any time.
func (s *Server) AddCheck(name string, c Check) { s.checks.set(name, c) }

// Start listens and serves.
func (s *Server) Start(ctx context.Context) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", s.config.Listen)
	if err != nil {
		return fmt.Errorf("listen on ops.listen: %w", err)
	}
	s.listener = l
	go func() {
		defer close(s.done)
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.failed <- err
		}
	}()
	s.logger.Info("admin port is open", log.KeyAddr, l.Addr().String())
	return nil
}

// Stop lets running requests end until the context does, then cuts them.
func (s *Server) Stop(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	<-s.done
	return err
}

// Failed reports that the server stopped serving by itself.
func (s *Server) Failed() <-chan error { return s.failed }

// Addr is the address it listens on; only after Start.
func (s *Server) Addr() string { return s.listener.Addr().String() }
