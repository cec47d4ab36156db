package rpc

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
)

// errStopped answers calls through a dialer that was stopped.
var errStopped = broker.E(broker.KindUnavailable, "rpc client stopped", nil)

// redirectPause is how long a caller that was told NotOwner waits for a newer view before it asks the same process again: it may be about to take over.
const redirectPause = 100 * time.Millisecond

// Dialer is the client side of a process: its connections, its streams, and its knowledge of who owns what. All clients of a process share one.
type Dialer struct {
	cfg     ClientConfig
	deps    Deps
	cluster cluster.Cluster
	metrics *metrics
	pool    *pool
	running sync.WaitGroup
	ctx     context.Context // ends at Stop
	cancel  context.CancelFunc

	mu      sync.Mutex
	streams []streams
	changed chan struct{} // closed at each new view
}

// streams is a Mux of any protocol.
type streams interface {
	follow(*cluster.View)
	stop()
}

// NewDialer makes the client side over a cluster's view; it starts no goroutine. Options go to every connection, behind the dialer's own.
func NewDialer(cfg ClientConfig, c cluster.Cluster, deps Deps, options ...grpc.DialOption) (*Dialer, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	secure, err := cfg.TLS.client()
	if err != nil {
		return nil, fmt.Errorf("rpc client: %w", err)
	}
	m, err := newMetrics("client", deps.Registerer)
	if err != nil {
		return nil, fmt.Errorf("rpc client: register metrics: %w", err)
	}
	d := &Dialer{cfg: cfg, deps: deps.withDefaults(), cluster: c, metrics: m, pool: newPool(cfg, secure, m, options), changed: make(chan struct{})}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	return d, nil
}

// Start begins to follow the cluster's view. Clients may be made before and used after it.
func (d *Dialer) Start(context.Context) error {
	d.running.Go(func() { d.cluster.Watch(d.ctx, d.follow) })
	return nil
}

// Stop ends all streams and connections, and waits for their goroutines. Stop the users of its clients first.
func (d *Dialer) Stop(ctx context.Context) error {
	d.cancel()
	stopped := make(chan struct{})
	d.running.Go(func() {
		defer close(stopped)
		d.mu.Lock()
		all := d.streams
		d.mu.Unlock()
		for _, m := range all {
			m.stop()
		}
		d.pool.close()
	})
	select {
	case <-stopped:
	case <-ctx.Done():
		return fmt.Errorf("rpc client: streams still run: %w", ctx.Err())
	}
	d.running.Wait()
	d.metrics.unregister(d.deps.Registerer)
	return nil
}

// Cluster is the registry that the dialer follows.
func (d *Dialer) Cluster() cluster.Cluster { return d.cluster }

func (d *Dialer) attach(m streams) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.streams = append(d.streams, m)
}

func (d *Dialer) view() *cluster.View { return d.cluster.View() }

// follow tells streams and waiters about a new view.
func (d *Dialer) follow(v *cluster.View) {
	d.mu.Lock()
	all := d.streams
	close(d.changed)
	d.changed = make(chan struct{})
	d.mu.Unlock()
	for _, m := range all {
		m.follow(v)
	}
}

// observe gives the present view and a channel that is closed at a later one.
func (d *Dialer) observe() (*cluster.View, <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cluster.View(), d.changed
}

// Call runs fn with the connection to a process. Errors become *broker.Error.
func (d *Dialer) Call(node cluster.Node, fn func(grpc.ClientConnInterface) error) error {
	conn, release, err := d.pool.acquire(node.Addr)
	if err != nil {
		return err
	}
	defer release()
	return FromStatus(fn(conn))
}

// Owned calls fn with the owner of a partition. It waits for an owner, and for the next one after KindNotOwner, or after KindUnavailable from a process
// that is not the owner any more, until ctx ends. Any other result of fn is returned as it is. A partition that the cluster has not is
// KindNotOwner at once, as an implementation in this process would say. When ctx ends before there was an owner that took the call the error is KindUnavailable, or KindCanceled if ctx was canceled.
func (d *Dialer) Owned(ctx context.Context, space cluster.Space, p int, fn func(cluster.Owner) error) error {
	if n := d.cluster.Meta().Partitions[space]; p < 0 || p >= n {
		return broker.Errorf(broker.KindNotOwner, "%s partition %d of %d", space, p, n)
	}
	for {
		v, changed := d.observe()
		err := error(broker.Errorf(broker.KindUnavailable, "%s partition %d has no owner", space, p))
		again := (<-chan time.Time)(nil)
		if owner, ok := v.Owner(space, p); ok {
			if err = fn(owner); err == nil || !d.moves(err, space, p, owner) {
				return err
			}
			again = time.After(redirectPause)
		}
		select {
		case <-changed:
		case <-again:
		case <-d.ctx.Done():
			return errStopped
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return broker.E(broker.KindCanceled, err.Error(), ctx.Err())
			}
			return broker.E(broker.KindUnavailable, err.Error(), ctx.Err())
		}
	}
}

// moves reports whether an owner's answer means that another one is to be asked.
func (d *Dialer) moves(err error, space cluster.Space, p int, asked cluster.Owner) bool {
	switch broker.KindOf(err) {
	case broker.KindNotOwner:
		return true
	case broker.KindUnavailable:
		now, ok := d.cluster.View().Owner(space, p)
		return !ok || now.Epoch != asked.Epoch
	}
	return false
}

// Ready connects to a process and waits until the connection stands, at most ConnectTimeout. Errors: KindUnavailable, KindCanceled.
func (d *Dialer) Ready(ctx context.Context, node cluster.Node) error {
	conn, release, err := d.pool.acquire(node.Addr)
	if err != nil {
		return err
	}
	defer release()
	bounded, cancel := context.WithTimeout(ctx, d.cfg.ConnectTimeout)
	defer cancel()
	for {
		state := conn.GetState()
		switch state {
		case connectivity.Ready:
			return nil
		case connectivity.Idle:
			conn.Connect()
		case connectivity.TransientFailure, connectivity.Shutdown:
			return broker.Errorf(broker.KindUnavailable, "%s %s cannot be reached at %s", node.Role, node.ID, node.Addr)
		}
		if !conn.WaitForStateChange(bounded, state) {
			if ctx.Err() != nil {
				return broker.E(broker.KindCanceled, "connect to "+node.ID, ctx.Err())
			}
			return broker.Errorf(broker.KindUnavailable, "%s %s does not answer at %s", node.Role, node.ID, node.Addr)
		}
	}
}
