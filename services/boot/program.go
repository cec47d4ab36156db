package boot

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/pando-mq/pando/services/log"
	"github.com/pando-mq/pando/services/run"
)

// Program is one service of the suite as a process of its own.
type Program struct {
	Name   string  // of the binary: "router"
	Does   string  // one sentence for --help
	Port   int     // of its gRPC server, before the offset
	Config any     // pointer to a struct with Common embedded and the sections of the service
	Common *Common // the one embedded in Config
	// Settle finishes the configuration once it is loaded: the service's own listeners move by the port offset. nil: it has none.
	Settle func() error
	// Fresh makes another configuration like Config was before it was loaded, for a reload.
	Fresh func() any
	// Use takes the hot keys of such a configuration, when they changed; nil: none but log.level is hot.
	Use func(cfg any) error
	// Build makes one incarnation, see Life.
	Build func(ctx context.Context, s *Service, in *Incarnation) error
}

// Service is what Build stands on.
type Service struct {
	*Process
	Infra *Infra
	life  *Life
}

// Ready is the readiness of the service's present life.
func (s *Service) Ready(ctx context.Context) error { return s.life.Ready(ctx) }

// Main is the body of the main function of a service.
func Main(p Program) {
	run.Main(func(ctx context.Context) error { return p.run(ctx, os.Args[1:], os.Stdout, os.Stderr) })
}

func (p Program) run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, done, err := p.flags(args, stdout)
	if err != nil || done {
		return err
	}
	loaded, err := Load(p.Config, o)
	if err != nil {
		return err
	}
	if p.Settle != nil {
		if err := p.Settle(); err != nil {
			return run.WithCode(run.CodeUsage, err)
		}
	}
	if err := p.Common.ServiceAddrs(p.Port); err != nil {
		return run.WithCode(run.CodeUsage, err)
	}
	proc, err := OpenProcess(p.Name, p.Common, stderr)
	if err != nil {
		return err
	}
	if err := proc.Answer(ctx, loaded.Notices); err != nil {
		return errors.Join(err, proc.Close())
	}
	reload, err := proc.Reloader(o, p.Fresh, p.Use)
	if err != nil {
		return errors.Join(err, proc.Close())
	}
	return errors.Join(p.serve(ctx, proc, reload), proc.Close())
}

// serve runs the service until ctx ends.
func (p Program) serve(ctx context.Context, proc *Process, reload run.Service) error {
	proc.Log.Info("starting", slog.String(log.KeyVersion, run.Version()), slog.String(log.KeyAddr, p.Common.Cluster.Listen))
	s := &Service{Process: proc}
	s.life = &Life{Log: proc.Log, Metrics: proc.Registry, Build: func(ctx context.Context, in *Incarnation) error { return p.Build(ctx, s, in) }}
	proc.Ops.AddCheck(p.Name, s.life.Ready)
	g := proc.Group()
	g.Add("reload", reload)
	g.Add("ops", proc.Ops)
	g.Add("infrastructure", run.Func{
		OnStart: func(ctx context.Context) (err error) {
			s.Infra, err = Connect(ctx, p.Common, proc.Log, proc.Registry)
			return err
		},
		OnStop: func(context.Context) error { return s.Infra.Close() },
	})
	g.Add(p.Name, s.life)
	return g.Run(ctx)
}

// flags reads the command line. done: what was asked for is printed.
func (p Program) flags(args []string, stdout io.Writer) (o Options, done bool, err error) {
	f := flag.NewFlagSet(p.Name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	version := f.Bool("version", false, "print the version and end")
	f.StringVar(&o.File, "config", "", "configuration `FILE`, YAML; other services' sections in it are skipped (PANDO_CONFIG)")
	f.StringVar(&o.EMQ, "emq", "", "read the `DIR`ectory of an EMQ 2 installation, below the configuration file (PANDO_EMQ)")
	f.StringVar(&o.DataDir, "data-dir", "", "`DIR`ectory of everything this process keeps (data_dir)")
	f.StringVar(&o.Offset, "port-offset", "", "`N` is added to every port this process listens on (port_offset)")
	f.Func("set", "set one `KEY=VALUE` of the configuration, over everything else; may be repeated", func(s string) error {
		o.Set = append(o.Set, s)
		return nil
	})
	err = f.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		p.help(f, stdout)
		return o, true, nil
	case err == nil && f.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	if err != nil {
		return o, true, run.WithCode(run.CodeUsage, fmt.Errorf("%w; see %s --help", err, p.Name))
	}
	if *version {
		fmt.Fprintln(stdout, p.Name, run.Version())
		return o, true, nil
	}
	return o, false, nil
}

func (p Program) help(f *flag.FlagSet, w io.Writer) {
	fmt.Fprintf(w, "%s %s\n\nIt needs etcd (cluster.etcd.endpoints) and NATS with JetStream (cluster.nats.urls), and serves the others on port %d.\n\n", p.Name, p.Does, p.Port)
	fmt.Fprintf(w, "Usage: %s [flags]\n\n", p.Name)
	f.SetOutput(w)
	f.PrintDefaults()
	fmt.Fprintf(w, "\nEvery key can be set in the file, as PANDO_A__B=value, or with --set a.b=value.\n"+
		"SIGHUP reads the configuration again: keys that may change while running do, the log names the others.\n"+
		"SIGTERM or Ctrl-C drains; a second one does not wait. Exit codes: %d stopped as asked, %d failed, %d wrong configuration, %d data directory in use.\n",
		run.CodeOK, run.CodeFailure, run.CodeUsage, run.CodeRunning)
}
