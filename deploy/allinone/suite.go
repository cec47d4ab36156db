package allinone

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"github.com/pando-mq/pando/deploy/embedded"
	gatewaymqtt "github.com/pando-mq/pando/gateway-mqtt"
	"github.com/pando-mq/pando/services/boot"
	"github.com/pando-mq/pando/services/journal"
	"github.com/pando-mq/pando/services/log"
	"github.com/pando-mq/pando/services/run"
)

// Options of a run.
type Options struct {
	Files []string     // configuration files that were read, to be told
	From  boot.Options // where the configuration came from, to be read again
	Tell  io.Writer    // takes the dozen lines of the start; nil: nobody reads them
	Watch bool         // somebody reads Tell as it comes, so it may show a password once; false: that waits in a file
	Ready func(Info)   // is called once everything serves; nil: nobody waits
}

// suite is the process: the embedded servers, and on them the lives of the services.
type suite struct {
	config  *Config
	process *boot.Process
	options Options

	info  Info
	cert  gatewaymqtt.Certificate
	etcd  *embedded.Etcd
	nats  *embedded.NATS
	infra *boot.Infra
	life  *boot.Life
	live  *boot.Live[hot]
	graph *graph   // of the first life, for what is told
	once  []string // lines that an operator must see once
}

// Run runs the suite until ctx ends, and drains it in reverse order. The configuration is loaded and settled; the process belongs to the caller.
func Run(ctx context.Context, c *Config, p *boot.Process, o Options) error {
	s := &suite{config: c, process: p, options: o}
	s.live = boot.NewLive(c.hot())
	reload, err := p.Reloader(o.From, func() any { return Default() }, func(cfg any) error { return s.live.Set(cfg.(*Config).hot()) })
	if err != nil {
		return err
	}
	s.life = &boot.Life{Log: p.Log, Metrics: p.Registry, Build: s.build}
	s.info = Info{
		PID: os.Getpid(), Node: c.NodeName(), Version: run.Version(), Started: time.Now(), DataDir: c.DataDir, Files: o.Files,
	}
	p.Ops.AddCheck("services", s.life.Ready)
	g := p.Group()
	g.Add("reload", reload)
	g.Add("ops", p.Ops)
	g.Add("etcd and NATS", run.Func{OnStart: s.startServers, OnStop: s.stopServers})
	g.Add("infrastructure", run.Func{OnStart: s.openInfra, OnStop: func(context.Context) error { return s.infra.Close() }})
	g.Add("services", s.life)
	g.Add("announcement", run.Func{OnStart: s.announce, OnStop: func(context.Context) error { return s.info.remove() }})
	return g.Run(ctx)
}

// path is a place under the data directory.
func (c *Config) path(name string) string { return filepath.Join(c.DataDir, name) }

// startServers starts etcd and NATS side by side. They open no port.
func (s *suite) startServers(ctx context.Context) error {
	cert, ca, err := s.config.MQTT.Certify(s.config.path("certs"))
	if err != nil {
		return err
	}
	s.cert, s.info.CAFile, s.info.Fingerprint = cert, ca.File, ca.Fingerprint
	group, start := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		s.etcd, err = embedded.StartEtcd(start, embedded.EtcdConfig{Dir: s.config.path("etcd"), Log: s.serverLog("etcd")})
		return err
	})
	group.Go(func() (err error) {
		s.nats, err = embedded.StartNATS(start, embedded.NATSConfig{
			Dir: s.config.path("nats"), Level: journal.Level(s.config.Journal.Durability), Log: s.serverLog("nats"),
		})
		return err
	})
	err = group.Wait()
	if err != nil {
		err = errors.Join(err, s.stopServers(ctx))
	}
	return err
}

func (s *suite) serverLog(name string) *slog.Logger {
	return s.process.Log.With(slog.String(log.KeyService, name))
}

func (s *suite) stopServers(context.Context) error {
	if s.nats != nil {
		s.nats.Close()
	}
	if s.etcd != nil {
		s.etcd.Close()
	}
	return nil
}

func (s *suite) openInfra(ctx context.Context) error {
	var err error
	s.infra, err = boot.Open(ctx, &s.config.Common, boot.Deps{
		Etcd: s.etcd.Client(), Sole: true, Log: s.process.Log, Metrics: s.process.Registry,
		Dial: func() (*nats.Conn, error) {
			return s.nats.Connect(boot.NATSOptions(&s.config.Common, s.process.Log)...)
		},
	})
	return err
}

// build makes one life of the services.
func (s *suite) build(ctx context.Context, in *boot.Incarnation) error {
	g := &graph{config: s.config, process: s.process, live: s.live, infra: s.infra, in: in, cert: s.cert}
	if s.options.Watch {
		g.say = s.say
	}
	if s.graph == nil {
		s.graph = g
	}
	return g.build(ctx)
}

// say keeps a line for the announcement. Later ones, of a life that began again, go to the log.
func (s *suite) say(line string) {
	if s.life.Current() == nil {
		s.once = append(s.once, line)
	}
}

// announce tells people, and the file for `pando status`, what runs.
func (s *suite) announce(context.Context) error {
	s.info.Ops = s.process.Ops.Addr()
	s.info.Durability, s.info.Listeners = s.infra.Durability(), s.graph.told()
	if s.config.Mgmt.Listen != "" {
		rest, err := boot.Offset(s.config.Mgmt.Listen, s.config.PortOffset)
		if err != nil {
			return err
		}
		s.info.REST = rest
	}
	if err := s.info.write(); err != nil {
		return err
	}
	if w := s.options.Tell; w != nil {
		s.info.Tell(w)
		for _, line := range s.once {
			fmt.Fprintln(w, line)
		}
		s.info.Next(w)
		fmt.Fprintln(w, "Stop:    Ctrl-C")
	}
	if s.options.Ready != nil {
		s.options.Ready(s.info)
	}
	return nil
}
