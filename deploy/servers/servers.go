package servers

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/pando-mq/pando/deploy/embedded"
	"github.com/pando-mq/pando/services/journal"
	"github.com/pando-mq/pando/services/log"
	"github.com/pando-mq/pando/services/ops"
	"github.com/pando-mq/pando/services/run"
)

// Common is what both servers are told.
type Common struct {
	Name string // unique among the servers of its kind
	Dir  string // data directory, one process uses it at a time
	Ops  string // admin port; /readyz says when the server is part of a working cluster
}

// Etcd is one etcd server.
type Etcd struct {
	Common
	Client  string // "http://127.0.0.1:2379"
	Peer    string // "http://127.0.0.1:2380"
	Initial string // "a=http://127.0.0.1:2380,b=..."
}

// NATS is one NATS server with JetStream.
type NATS struct {
	Common
	Level   string // memory, disk, fsync: when a write is acknowledged
	Listen  string
	Cluster string
	Routes  []string
}

// Run serves until ctx ends.
func (e Etcd) Run(ctx context.Context, stderr io.Writer) error {
	return e.run(ctx, "etcd", stderr, func(l *slog.Logger) (run.Service, ops.Check) {
		s := &etcdService{config: embedded.EtcdConfig{
			Dir: filepath.Join(e.Dir, "etcd"), Name: e.Name, Client: e.Client, Peer: e.Peer, Initial: e.Initial, Log: l,
		}}
		return s, s.ready
	})
}

// Run serves until ctx ends.
func (n NATS) Run(ctx context.Context, stderr io.Writer) error {
	return n.run(ctx, "nats", stderr, func(l *slog.Logger) (run.Service, ops.Check) {
		s := &natsService{config: embedded.NATSConfig{
			Dir: filepath.Join(n.Dir, "nats"), Name: n.Name, Level: journal.Level(n.Level), Listen: n.Listen, Cluster: n.Cluster, Routes: n.Routes, Log: l,
		}}
		return s, s.ready
	})
}

func (c Common) run(ctx context.Context, kind string, stderr io.Writer, server func(*slog.Logger) (run.Service, ops.Check)) (err error) {
	lock, err := run.LockPid(filepath.Join(c.Dir, "pando.pid"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	out, err := log.Open(log.Default(), stderr, slog.String(log.KeyService, kind), slog.String(log.KeyNode, c.Name))
	if err != nil {
		return err
	}
	admin, err := ops.New(ops.Config{Listen: c.Ops}, ops.Deps{Logger: out.Logger()})
	if err != nil {
		return err
	}
	service, ready := server(out.Logger())
	admin.AddCheck(kind, ready)
	g := run.NewGroup(run.Options{Logger: out.Logger(), StartTimeout: 5 * time.Minute, StopTimeout: time.Minute})
	g.Add("ops", admin)
	g.Add(kind, service)
	return g.Run(ctx)
}

type etcdService struct {
	config embedded.EtcdConfig
	server atomic.Pointer[embedded.Etcd] // nil until started; the admin port asks meanwhile
}

// Start waits until the server is part of a quorum, which needs the others, however late they come.
func (s *etcdService) Start(ctx context.Context) error {
	s.config.Start = 5 * time.Minute
	server, err := embedded.StartEtcd(ctx, s.config)
	s.server.Store(server)
	return err
}

func (s *etcdService) Stop(context.Context) error {
	s.server.Load().Close()
	return nil
}

// Failed implements run.Failer.
func (s *etcdService) Failed() <-chan error { return s.server.Load().Err() }

// ready reads through the quorum.
func (s *etcdService) ready(ctx context.Context) error {
	server := s.server.Load()
	if server == nil {
		return errStarting
	}
	_, err := server.Client().Get(ctx, "ready")
	return err
}

var errStarting = errors.New("starting")

type natsService struct {
	config embedded.NATSConfig
	server atomic.Pointer[embedded.NATS] // nil until started; the admin port asks meanwhile
}

func (s *natsService) Start(ctx context.Context) error {
	server, err := embedded.StartNATS(ctx, s.config)
	s.server.Store(server)
	return err
}

func (s *natsService) Stop(context.Context) error {
	s.server.Load().Close()
	return nil
}

func (s *natsService) ready(context.Context) error {
	server := s.server.Load()
	if server == nil {
		return errStarting
	}
	if !server.Ready() {
		return errors.New("JetStream has no leader for its metadata yet")
	}
	return nil
}
