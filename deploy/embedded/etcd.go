package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// Etcd is one etcd member.
type Etcd struct {
	server *embed.Etcd
	client *clientv3.Client
	socket string // directory of the unix sockets, "" with ports

	closing atomic.Bool
}

// EtcdConfig says how a member runs. Without Client and Peer it is alone and opens no port.
type EtcdConfig struct {
	Dir     string // data directory
	Name    string // unique in the etcd cluster; default "pando"
	Client  string // "http://127.0.0.1:2379"; "" for none
	Peer    string // "http://127.0.0.1:2380"; "" for none
	Initial string // "a=http://...,b=http://..."; default this member alone
	Log     *slog.Logger
	Start   time.Duration // how long the start may take; default 60 s
}

// StartEtcd starts a member and waits until it serves. A lone member ticks fast: there is nobody to wait for.
func StartEtcd(ctx context.Context, c EtcdConfig) (*Etcd, error) {
	if c.Start == 0 {
		c.Start = time.Minute
	}
	e := &Etcd{}
	cfg, err := e.config(c)
	if err != nil {
		return nil, err
	}
	if e.server, err = embed.StartEtcd(cfg); err != nil {
		return nil, errors.Join(fmt.Errorf("start etcd in %s: %w", c.Dir, err), os.RemoveAll(e.socket))
	}
	wait := time.NewTimer(c.Start)
	defer wait.Stop()
	select {
	case <-e.server.Server.ReadyNotify():
	case err = <-e.server.Err():
	case <-e.server.Server.StopNotify():
		err = errors.New("stopped")
	case <-ctx.Done():
		err = ctx.Err()
	case <-wait.C:
		err = fmt.Errorf("not ready after %s", c.Start)
	}
	if err != nil {
		e.Close()
		return nil, fmt.Errorf("etcd in %s: %w", c.Dir, err)
	}
	e.client, err = clientv3.New(clientv3.Config{
		Endpoints: []string{cfg.AdvertiseClientUrls[0].String()}, DialTimeout: 5 * time.Second, Logger: zap.NewNop(),
	})
	if err != nil {
		e.Close()
		return nil, fmt.Errorf("client of etcd in %s: %w", c.Dir, err)
	}
	return e, nil
}

func (e *Etcd) config(c EtcdConfig) (*embed.Config, error) {
	cfg := embed.NewConfig()
	cfg.Dir, cfg.Name = c.Dir, c.Name
	if cfg.Name == "" {
		cfg.Name = "pando"
	}
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.New(newCore(c.Log, &e.closing)))
	cfg.AutoCompactionMode, cfg.AutoCompactionRetention = embed.CompactorModeRevision, "10000"
	cfg.QuotaBackendBytes = 1 << 30
	if c.Peer == "" {
		if err := e.alone(&c); err != nil {
			return nil, err
		}
		cfg.TickMs, cfg.ElectionMs = 10, 100
	}
	peer, err := url.Parse(c.Peer)
	if err != nil {
		return nil, fmt.Errorf("etcd peer address: %w", err)
	}
	client, err := url.Parse(c.Client)
	if err != nil {
		return nil, fmt.Errorf("etcd client address: %w", err)
	}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{*peer}, []url.URL{*peer}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{*client}, []url.URL{*client}
	cfg.InitialCluster = c.Initial
	if cfg.InitialCluster == "" {
		cfg.InitialCluster = cfg.Name + "=" + c.Peer
	}
	return cfg, nil
}

// maxSocket is the longest path that a unix socket may have everywhere.
const maxSocket = 100

// alone gives a lone member addresses that only this machine's processes of this user reach: sockets beside its data, or in the temporary directory if that
// path is too long.
func (e *Etcd) alone(c *EtcdConfig) error {
	dir, err := filepath.Abs(c.Dir + ".sock")
	if err != nil {
		return err
	}
	if len(filepath.Join(dir, "c")) > maxSocket || runtime.GOOS == "windows" {
		if dir, err = os.MkdirTemp("", "pando-etcd-"); err != nil {
			return err
		}
	}
	e.socket = dir
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o700)); err != nil {
		return err
	}
	c.Peer, c.Client = "unix://"+filepath.ToSlash(filepath.Join(dir, "p")), "unix://"+filepath.ToSlash(filepath.Join(dir, "c"))
	return nil
}

// Client is a client of this member: over its unix socket when it is alone, so that nothing is open to the network. It is an ordinary client, because
// services/cluster keeps lease streams of its own, which etcd's in-process adapter does not have. It is closed with the member.
func (e *Etcd) Client() *clientv3.Client { return e.client }

// Err gives what ends the member by itself.
func (e *Etcd) Err() <-chan error { return e.server.Err() }

// Close stops the member and waits for it.
func (e *Etcd) Close() {
	e.closing.Store(true)
	if e.client != nil {
		_ = e.client.Close()
	}
	if e.server != nil {
		e.server.Close()
	}
	if e.socket != "" {
		_ = os.RemoveAll(e.socket)
	}
}
