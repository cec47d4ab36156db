package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/pando-mq/pando/services/cluster"
)

// Deps are what a Server or a Dialer is given by code.
type Deps struct {
	Log        *slog.Logger // nil: discards
	Registerer Registerer   // nil: no metrics are published
	// Busy hears of each stream to another process that takes messages slowly: its queue passed half of QueueBytes. Of clients; nil: nobody does. It must not
	// block.
	Busy func(node cluster.Node, queued int)
}

func (d Deps) withDefaults() Deps {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	return d
}

// Server is the gRPC server of a process. Register services on it, then Start it. Health and reflection are registered already.
type Server struct {
	cfg     ServerConfig
	deps    Deps
	metrics *metrics
	grpc    *grpc.Server
	health  *health.Server
	failed  chan error // one error of the listener, then closed
	serving sync.WaitGroup
	streams sync.WaitGroup  // readers of multiplexed streams
	ctx     context.Context // ends at Stop: streams end with it, unary calls do not
	cancel  context.CancelFunc

	mu       sync.Mutex
	listener net.Listener
}

// NewServer makes a server; it starts no goroutine.
func NewServer(cfg ServerConfig, deps Deps) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg.withDefaults(), deps: deps.withDefaults(), health: health.NewServer(), failed: make(chan error, 1)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	secure, err := s.cfg.TLS.server()
	if err != nil {
		return nil, fmt.Errorf("rpc server: %w", err)
	}
	if s.metrics, err = newMetrics("server", deps.Registerer); err != nil {
		return nil, fmt.Errorf("rpc server: register metrics: %w", err)
	}
	options := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(s.cfg.MaxMessage),
		grpc.MaxSendMsgSize(s.cfg.MaxMessage),
		grpc.MaxConcurrentStreams(10_000),
		grpc.InitialWindowSize(windowStream),
		grpc.InitialConnWindowSize(windowConn),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: s.cfg.KeepAlive, Timeout: s.cfg.KeepAliveWait}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: s.cfg.KeepAlive / 2, PermitWithoutStream: true}),
		grpc.WaitForHandlers(true),
		grpc.UnaryInterceptor(s.aroundUnary),
		grpc.StreamInterceptor(s.aroundStream),
	}
	if secure != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(secure)))
	}
	s.grpc = grpc.NewServer(options...)
	healthv1.RegisterHealthServer(s.grpc, s.health)
	reflection.Register(s.grpc)
	return s, nil
}

// RegisterService makes Server a grpc.ServiceRegistrar. Before Start only.
func (s *Server) RegisterService(d *grpc.ServiceDesc, impl any) {
	s.grpc.RegisterService(d, impl)
	s.health.SetServingStatus(d.ServiceName, healthv1.HealthCheckResponse_SERVING)
}

// Start listens on cfg.Listen and serves.
func (s *Server) Start(ctx context.Context) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", s.cfg.Listen)
	if err != nil {
		return fmt.Errorf("rpc server: %w", err)
	}
	s.StartOn(l)
	return nil
}

// StartOn serves on a listener of the caller's, which Stop closes.
func (s *Server) StartOn(l net.Listener) {
	s.mu.Lock()
	s.listener = l
	s.mu.Unlock()
	s.serving.Go(func() {
		defer close(s.failed)
		if err := s.grpc.Serve(l); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			s.failed <- fmt.Errorf("rpc server: %w", err)
		}
	})
}

// Addr is the address it listens on, with the port that was chosen for port 0; "" before Start.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return ""
	}
	return s.listener.Addr().String()
}

// Failed delivers the error of a listener that broke.
func (s *Server) Failed() <-chan error { return s.failed }

// Stop reports itself as not serving, refuses new calls, ends streams, lets unary calls end while ctx lives, and waits for all handlers. The services
// are stopped first, so that what their streams carry is settled.
func (s *Server) Stop(ctx context.Context) error {
	s.health.Shutdown()
	s.cancel()
	stopped := make(chan struct{})
	s.serving.Go(func() {
		defer close(stopped)
		s.grpc.GracefulStop()
		s.streams.Wait()
	})
	select {
	case <-stopped:
	case <-ctx.Done():
		s.serving.Go(s.grpc.Stop)
		return fmt.Errorf("rpc server: handlers still run: %w", ctx.Err())
	}
	s.serving.Wait()
	s.metrics.unregister(s.deps.Registerer)
	return nil
}

// environment is what multiplexed streams need of their server.
type environment struct {
	cfg     ServerConfig
	log     *slog.Logger
	metrics *metrics
	readers *sync.WaitGroup
}

func (s *Server) environment() environment {
	return environment{cfg: s.cfg, log: s.deps.Log, metrics: s.metrics, readers: &s.streams}
}

// environmentOf is the environment of a registrar; defaults for one that is not a *Server.
func environmentOf(reg grpc.ServiceRegistrar) environment {
	if s, ok := reg.(*Server); ok {
		return s.environment()
	}
	m, _ := newMetrics("server", nil) // registers nothing, so it cannot fail
	return environment{cfg: ServerConfig{}.withDefaults(), log: Deps{}.withDefaults().Log, metrics: m, readers: new(sync.WaitGroup)}
}
