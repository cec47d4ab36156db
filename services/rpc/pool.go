package rpc

import (
	"crypto/tls"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"github.com/pando-mq/pando/services/broker"
)

// pool holds one connection for each address in use. One that nobody uses is closed after a while.
type pool struct {
	cfg     ClientConfig
	metrics *metrics
	options []grpc.DialOption

	mu     sync.Mutex
	conns  map[string]*pooled
	closed bool
}

type pooled struct {
	conn *grpc.ClientConn
	uses int
	idle *time.Timer // runs while uses is 0
}

func newPool(cfg ClientConfig, secure *tls.Config, m *metrics, extra []grpc.DialOption) *pool {
	creds := insecure.NewCredentials()
	if secure != nil {
		creds = credentials.NewTLS(secure)
	}
	delays := backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: cfg.Backoff}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: delays, MinConnectTimeout: cfg.ConnectTimeout}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: cfg.KeepAlive, Timeout: cfg.KeepAliveWait}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(cfg.MaxMessage), grpc.MaxCallSendMsgSize(cfg.MaxMessage)),
		grpc.WithInitialWindowSize(windowStream),
		grpc.WithInitialConnWindowSize(windowConn),
		grpc.WithDisableServiceConfig(),
		grpc.WithNoProxy(),
	}
	return &pool{cfg: cfg, metrics: m, options: append(options, extra...), conns: make(map[string]*pooled)}
}

// acquire gives the connection to an address until release is called, once.
func (p *pool) acquire(addr string) (conn *grpc.ClientConn, release func(), err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, nil, errStopped
	}
	if addr == "" {
		return nil, nil, broker.E(broker.KindUnavailable, "process has no address", nil)
	}
	c := p.conns[addr]
	if c == nil {
		if c, err = p.dial(addr); err != nil {
			return nil, nil, err
		}
	}
	if c.idle != nil {
		c.idle.Stop()
		c.idle = nil
	}
	c.uses++
	return c.conn, func() { p.release(addr, c) }, nil
}

// dial adds a connection; it connects at its first use. Called with the lock held.
func (p *pool) dial(addr string) (*pooled, error) {
	if len(p.conns) >= p.cfg.MaxConnections && !p.evict() {
		return nil, broker.Errorf(broker.KindBusy, "%d connections are in use", p.cfg.MaxConnections)
	}
	conn, err := grpc.NewClient("passthrough:///"+addr, p.options...)
	if err != nil {
		return nil, broker.E(broker.KindUnavailable, "connect to "+addr, err)
	}
	c := &pooled{conn: conn}
	p.conns[addr] = c
	p.metrics.connections(1)
	return c, nil
}

// evict closes an unused connection to make room. Called with the lock held.
func (p *pool) evict() bool {
	for addr, c := range p.conns {
		if c.uses == 0 {
			p.remove(addr, c)
			return true
		}
	}
	return false
}

func (p *pool) release(addr string, c *pooled) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.uses--
	if c.uses > 0 || p.conns[addr] != c {
		return
	}
	c.idle = time.AfterFunc(p.cfg.IdleTimeout, func() { p.expire(addr, c) })
}

func (p *pool) expire(addr string, c *pooled) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.uses == 0 && p.conns[addr] == c {
		p.remove(addr, c)
	}
}

// remove closes a connection; that does not wait for the network. Called with the lock held.
func (p *pool) remove(addr string, c *pooled) {
	if c.idle != nil {
		c.idle.Stop()
	}
	delete(p.conns, addr)
	p.metrics.connections(-1)
	_ = c.conn.Close() // its only error is that it is closed already
}

func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for addr, c := range p.conns {
		p.remove(addr, c)
	}
}
