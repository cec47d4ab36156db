package boot

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/pando-mq/pando/services/bus"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/journal"
)

// Infra is what all services of a process stand on.
type Infra struct {
	Common   *Common
	Log      *slog.Logger
	Metrics  Registerer
	Etcd     *clientv3.Client
	NATS     *nats.Conn
	Cluster  cluster.Cluster
	Journal  journal.Store
	Bus      bus.Bus
	Replicas int // of the streams

	readers []*nats.Conn
}

const (
	readers   = 2                // connections that read logs beside the first: a server reads for one connection on one core
	soleLease = 30 * time.Second // nobody takes over from a process that is alone, so a slow disk must not cost it its leases
)

// Connect reaches the etcd and NATS servers that the configuration names, trying until ctx ends.
func Connect(ctx context.Context, c *Common, log *slog.Logger, metrics Registerer) (*Infra, error) {
	if len(c.Cluster.Etcd.Endpoints) == 0 || len(c.Cluster.NATS.URLs) == 0 {
		return nil, errors.New("cluster.etcd.endpoints and cluster.nats.urls must be set for a service of its own; `pando run` brings both with it")
	}
	etcd, err := clientv3.New(clientv3.Config{
		Endpoints: c.Cluster.Etcd.Endpoints, DialTimeout: c.Cluster.Etcd.Timeout, Logger: quietZap(),
		Username: c.Cluster.Etcd.Username, Password: c.Cluster.Etcd.Password.Value(),
		DialKeepAliveTime: 2 * time.Second, DialKeepAliveTimeout: 2 * time.Second,
	})
	if err != nil {
		return nil, fmt.Errorf("etcd client: %w", err)
	}
	in, err := Open(ctx, c, Deps{Etcd: etcd, Dial: func() (*nats.Conn, error) { return connectNATS(ctx, c, log) }, Log: log, Metrics: metrics})
	if err != nil {
		return nil, errors.Join(err, etcd.Close())
	}
	return in, nil
}

func connectNATS(ctx context.Context, c *Common, log *slog.Logger) (*nats.Conn, error) {
	opts := append(NATSOptions(c, log), nats.RetryOnFailedConnect(false))
	urls := ""
	for i, u := range c.Cluster.NATS.URLs {
		if i > 0 {
			urls += ","
		}
		urls += u
	}
	for {
		conn, err := nats.Connect(urls, opts...)
		if err == nil {
			return conn, nil
		}
		log.Warn("waiting for NATS", slog.String("urls", urls), slog.Any("error", err))
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("connect to NATS at %s: %w", urls, err)
		case <-time.After(time.Second):
		}
	}
}

// NATSOptions are the options of a connection that journals stand on: it reconnects for ever.
func NATSOptions(c *Common, log *slog.Logger) []nats.Option {
	opts := []nats.Option{
		nats.Name(c.NodeName()), nats.MaxReconnects(-1), nats.ReconnectWait(200 * time.Millisecond), nats.ReconnectJitter(100*time.Millisecond, 100*time.Millisecond),
		nats.PingInterval(2 * time.Second), nats.MaxPingsOutstanding(2),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("NATS connection lost", slog.Any("error", err))
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { log.Info("NATS connection is back") }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { log.Warn("NATS", slog.Any("error", err)) }),
	}
	if t := c.Cluster.NATS.Token.Value(); t != "" {
		opts = append(opts, nats.Token(t))
	}
	return opts
}

// Deps of Open: connections that somebody made.
type Deps struct {
	Etcd    *clientv3.Client
	Dial    func() (*nats.Conn, error) // connects to NATS, with NATSOptions
	Sole    bool                       // no other process of this cluster can be alive (all-in-one)
	Log     *slog.Logger
	Metrics Registerer
}

// Open makes the registry, the journal store and the event bus. Close closes them, with the connections.
func Open(ctx context.Context, c *Common, d Deps) (*Infra, error) {
	in := &Infra{Common: c, Log: d.Log, Metrics: d.Metrics, Etcd: d.Etcd}
	if err := in.dial(d.Dial); err != nil {
		return nil, err
	}
	if err := in.open(ctx, d); err != nil {
		in.hangUp()
		return nil, err
	}
	return in, nil
}

// Fits reports whether messages of size bytes, the value of key, fit into one record of the log, whose other half is for whom they go to. What does not fit
// could be acknowledged but not kept, so it is not to be let in.
func (in *Infra) Fits(key string, size int64) error {
	if most := in.NATS.MaxPayload() / 2; size > most {
		return fmt.Errorf("%s: %d bytes do not fit into the log, whose NATS servers take %d at most: set it to %d or less, or raise max_payload of the servers",
			key, size, in.NATS.MaxPayload(), most)
	}
	return nil
}

// dial opens the connections to NATS.
func (in *Infra) dial(dial func() (*nats.Conn, error)) error {
	for range 1 + readers {
		conn, err := dial()
		if err != nil {
			in.hangUp()
			return err
		}
		if in.NATS == nil {
			in.NATS = conn
		} else {
			in.readers = append(in.readers, conn)
		}
	}
	return nil
}

// hangUp closes the connections to NATS.
func (in *Infra) hangUp() {
	for _, conn := range in.readers {
		conn.Close()
	}
	if in.NATS != nil {
		in.NATS.Close()
	}
}

func (in *Infra) open(ctx context.Context, d Deps) (err error) {
	c := in.Common
	if in.Replicas, err = replicas(ctx, c, in.NATS); err != nil {
		return err
	}
	meta := cluster.DefaultMeta()
	meta.Replicas = in.Replicas
	ttl := c.Cluster.LeaseTTL
	if d.Sole {
		ttl = max(ttl, soleLease)
	}
	in.Cluster, err = cluster.New(ctx, d.Etcd, cluster.Options{
		Name: c.Cluster.Name, TTL: ttl, Sole: d.Sole, Bootstrap: meta, Log: d.Log, Registerer: d.Metrics,
	})
	if err != nil {
		return fmt.Errorf("join cluster %q: %w", c.Cluster.Name, err)
	}
	in.Journal, err = journal.NewJetStream(in.NATS, journal.Options{
		Level: journal.Level(c.Journal.Durability), Replicas: in.Cluster.Meta().Replicas, MaxBytes: c.Journal.MaxBytes,
	}, journal.Deps{Log: d.Log, Metrics: journal.NewMetrics(d.Metrics), Readers: in.readers, Full: in.journalFull})
	if err != nil {
		return errors.Join(fmt.Errorf("open journal: %w", err), in.Cluster.Close())
	}
	in.Bus, err = bus.NewNATS(in.NATS, c.Cluster.Name, bus.Options{})
	if err != nil {
		return errors.Join(fmt.Errorf("open event bus: %w", err), in.Cluster.Close())
	}
	return nil
}

// alarmTimeout bounds handing an event to the bus.
const alarmTimeout = time.Second

// journalFull raises and clears the alarm of a partition's log. Logs are opened after the bus.
func (in *Infra) journalFull(name string, full bool, used, limit int64) {
	ctx, cancel := context.WithTimeout(context.Background(), alarmTimeout)
	defer cancel()
	id, node := "journal_full."+name, in.Common.NodeName()
	var err error
	if full {
		err = bus.RaiseAlarm(ctx, in.Bus, node, bus.Alarm{
			ID: id, Severity: bus.Error, Title: "Journal " + name + " is filling up",
			Summary: fmt.Sprintf("%d of %d bytes; publishers are held back above three quarters, see journal.max_bytes", used, limit),
		})
	} else {
		err = bus.ClearAlarm(ctx, in.Bus, node, id)
	}
	if err != nil {
		in.Log.Warn("an alarm could not be published", slog.String("alarm", id), slog.Any("error", err))
	}
}

// answerWithin is how long one question to JetStream waits before it is asked again. While the servers of a NATS cluster find each other an answer may get
// lost on its way, so it must be far below the time that a start has.
const answerWithin = time.Second

// replicas is what the configuration says, or three, or as many as there are JetStream servers.
func replicas(ctx context.Context, c *Common, conn *nats.Conn) (int, error) {
	if c.Journal.Replicas > 0 {
		return c.Journal.Replicas, nil
	}
	if conn.ConnectedClusterName() == "" {
		return 1, nil
	}
	js, err := jetstream.New(conn)
	if err != nil {
		return 0, err
	}
	for {
		try, cancel := context.WithTimeout(ctx, answerWithin)
		_, err = js.AccountInfo(try)
		cancel()
		if err == nil {
			return min(3, len(conn.Servers())), nil
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("JetStream does not answer: %w", err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// Durability is the level in force with the number of copies, as users read it: "fsync", "fsync x3".
func (in *Infra) Durability() string {
	if in.Replicas > 1 {
		return fmt.Sprintf("%s x%d", in.Common.Journal.Durability, in.Replicas)
	}
	return in.Common.Journal.Durability
}

// Close leaves the cluster and closes the connections.
func (in *Infra) Close() error {
	err := errors.Join(in.Bus.Close(), in.Cluster.Close())
	in.hangUp()
	if e := in.Etcd.Close(); !errors.Is(e, context.Canceled) { // the client's own context, which a client without a connection returns
		err = errors.Join(err, e)
	}
	return err
}

// ServiceTLS is the mutual TLS configuration between the services, nil when it is off.
func (c *Common) ServiceTLS() (*tls.Config, error) {
	t := c.Cluster.TLS
	if !t.Enabled() {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("cluster.tls: %w", err)
	}
	pem, err := os.ReadFile(t.CAFile)
	if err != nil {
		return nil, fmt.Errorf("cluster.tls.cacertfile: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("cluster.tls.cacertfile: %s holds no certificate", t.CAFile)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{cert}, RootCAs: pool, ClientCAs: pool,
		ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS13,
	}, nil
}
