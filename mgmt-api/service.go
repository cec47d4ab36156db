package mgmtapi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/pando-mq/pando/services/boot"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/run"
)

// Deps is what a Server stands on. Cluster, Gateways, Stores, Routers, Auth, DataDir and Status must be set.
type Deps struct {
	Cluster  cluster.Cluster
	Gateways func(cluster.Node) broker.GatewayAdmin // of the role gateway; in one process the gateway itself
	Stores   func(cluster.Node) broker.SessionAdmin // of the role session
	Routers  func(cluster.Node) broker.RouterAdmin  // of the role router
	Auth     broker.AuthAdmin

	DataDir    string                           // pandoctl.sock, pandoctl.token and the generated administrator are kept there
	PortOffset int                              // added to the port of Config.Listen
	GRPC       string                           // address of the gRPC port, port offset included; "" opens none (all-in-one)
	TLS        *tls.Config                      // of the gRPC port; nil: plaintext
	Status     func() (text string, serve bool) // the text of /status, and whether listeners serve (200) or not (503)
	Announce   func(string)                     // takes the lines an operator must see once: the generated password; nil: the log has where to look, not the password

	Log        *slog.Logger
	Registerer Registerer // nil: no metrics
}

// Server is the management service of one process. It is a run.Failer.
type Server struct {
	cfg  Config
	deps Deps
	rest string // address of REST, offset included, "" for none

	failed chan error
}

var _ run.Failer = (*Server)(nil)

// New makes a Server. It starts nothing.
func New(cfg Config, deps Deps) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Cluster == nil || deps.Gateways == nil || deps.Stores == nil || deps.Routers == nil || deps.Auth == nil || deps.Status == nil || deps.DataDir == "" {
		return nil, errors.New("mgmt: Cluster, Gateways, Stores, Routers, Auth, Status and DataDir must be set")
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{cfg: cfg, deps: deps, failed: make(chan error, 1)}
	if cfg.Listen != "" {
		addr, err := boot.Offset(cfg.Listen, deps.PortOffset)
		if err != nil {
			return nil, fmt.Errorf("mgmt.listen: %w", err)
		}
		s.rest = addr
	}
	return s, nil
}

// Start opens the doors. When it returns nil all of them serve.
func (s *Server) Start(ctx context.Context) error {
	return ctx.Err()
}

// Stop closes the doors and waits until the requests under way are answered, or ctx ends.
func (s *Server) Stop(context.Context) error {
	return nil
}

// Failed delivers the error of a door that broke while it served.
func (s *Server) Failed() <-chan error { return s.failed }

// drain is how long requests under way get at Stop, if its context leaves so much.
const drain = 5 * time.Second
