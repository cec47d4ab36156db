package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.uber.org/zap"
)

// Etcd is one etcd member.
type Etcd struct {
	server *embed.Etcd
	client *clientv3.Client
	socket string // directory of the unix sockets, "" with ports
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
	return e, nil
}

func (e *Etcd) config(c EtcdConfig) (*embed.Config, error) {
	cfg := embed.NewConfig()
	cfg.Dir, cfg.Name = c.Dir, c.Name
	if cfg.Name == "" {
		cfg.Name = "pando"
	}
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.New(newCore(c.Log, "etcd")))
	cfg.AutoCompactionMode, cfg.AutoCompactionRetention = embed.CompactorModeRevision, "10000"
	cfg.QuotaBackendBytes = 1 << 30
	alone := c.Peer == ""
	if alone {
		dir, err := os.MkdirTemp("", "pando-etcd-")
		if err != nil {
			return nil, err
		}
		e.socket = dir
		c.Peer, c.Client = "unix://"+filepath.Join(dir, "p"), "unix://"+filepath.Join(dir, "c")
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

// Client is a client inside the process: no connection, no port. It is closed with the member.
func (e *Etcd) Client() *clientv3.Client {
	if e.client == nil {
		e.client = v3client.New(e.server.Server)
	}
	return e.client
}

// Err gives what ends the member by itself.
func (e *Etcd) Err() <-chan error { return e.server.Err() }

// Close stops the member and waits for it.
func (e *Etcd) Close() {
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
