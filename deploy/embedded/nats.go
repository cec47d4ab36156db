package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/pando-mq/pando/services/journal"
)

// NATS is one NATS server with JetStream.
type NATS struct {
	server *server.Server
}

// NATSConfig says how a server runs. Without Listen it is alone, opens no port and is reached by Connect only.
type NATSConfig struct {
	Dir     string        // JetStream store
	Name    string        // unique in the NATS cluster; default "pando"
	Level   journal.Level // Fsync: every write is synced before it is acknowledged
	Listen  string        // "127.0.0.1:4222"; "" for none
	Cluster string        // "127.0.0.1:6222": where other servers connect; "" for none
	Routes  []string      // "nats://127.0.0.1:6222": the servers of the cluster
	MaxDisk int64         // bytes that streams may reserve; 0: 1 TiB, more than they use (a stream reserves its limit, not what it holds)
	Log     *slog.Logger
	Start   time.Duration // how long the start may take; default 60 s
}

// StartNATS starts a server and waits until it accepts connections.
func StartNATS(ctx context.Context, c NATSConfig) (*NATS, error) {
	o, err := options(c)
	if err != nil {
		return nil, err
	}
	s, err := server.NewServer(o)
	if err != nil {
		return nil, fmt.Errorf("nats in %s: %w", c.Dir, err)
	}
	log := c.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s.SetLoggerV2(logger{log}, false, false, false)
	go s.Start()
	n := &NATS{server: s}
	if c.Start == 0 {
		c.Start = time.Minute
	}
	if dl, ok := ctx.Deadline(); ok {
		c.Start = min(c.Start, time.Until(dl))
	}
	if !s.ReadyForConnections(c.Start) {
		n.Close()
		return nil, errors.Join(fmt.Errorf("nats in %s is not ready after %s", c.Dir, c.Start), ctx.Err())
	}
	return n, nil
}

func options(c NATSConfig) (*server.Options, error) {
	o := &server.Options{
		ServerName: c.Name, JetStream: true, StoreDir: c.Dir, JetStreamMaxStore: c.MaxDisk,
		NoSigs: true, DontListen: c.Listen == "", MaxPayload: 8 << 20, SyncAlways: c.Level == journal.Fsync || c.Level == "",
	}
	if o.JetStreamMaxStore == 0 {
		o.JetStreamMaxStore = 1 << 40
	}
	o.JetStreamMaxMemory = o.JetStreamMaxStore
	if o.ServerName == "" {
		o.ServerName = "pando"
	}
	var err error
	if c.Listen != "" {
		if o.Host, o.Port, err = hostPort(c.Listen); err != nil {
			return nil, err
		}
	}
	if c.Cluster == "" {
		return o, nil
	}
	o.Cluster.Name = "pando"
	if o.Cluster.Host, o.Cluster.Port, err = hostPort(c.Cluster); err != nil {
		return nil, err
	}
	for _, r := range c.Routes {
		if !strings.Contains(r, "://") {
			r = "nats://" + r
		}
		u, err := url.Parse(r)
		if err != nil {
			return nil, fmt.Errorf("nats route %q: %w", r, err)
		}
		o.Routes = append(o.Routes, u)
	}
	return o, nil
}

// Connect gives a connection inside the process.
func (n *NATS) Connect(opts ...nats.Option) (*nats.Conn, error) {
	return nats.Connect("", append(opts, nats.InProcessServer(n.server))...)
}

// Ready reports that JetStream can be used: in a cluster, that its metadata has a leader.
func (n *NATS) Ready() bool {
	return n.server.JetStreamEnabled() && (!n.server.JetStreamIsClustered() || n.server.JetStreamIsCurrent())
}

// Close stops the server and waits for it.
func (n *NATS) Close() {
	n.server.Shutdown()
	n.server.WaitForShutdown()
}

// logger hands the server's lines to slog; its notices are of interest only when one looks for them.
type logger struct{ log *slog.Logger }

func (l logger) Noticef(format string, v ...any) { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l logger) Warnf(format string, v ...any)   { l.log.Info(fmt.Sprintf(format, v...)) }
func (l logger) Fatalf(format string, v ...any)  { l.log.Error(fmt.Sprintf(format, v...)) }
func (l logger) Errorf(format string, v ...any)  { l.log.Warn(fmt.Sprintf(format, v...)) } // such as a server that is not there yet
func (l logger) Debugf(string, ...any)           {}
func (l logger) Tracef(string, ...any)           {}
