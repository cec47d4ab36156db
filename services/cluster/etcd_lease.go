package cluster

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// leaseStreams are the open keep-alive streams by lease. A stream stays open between keep-alives because a server that stops
// gracefully still serves the streams it has while it refuses new ones, and its leases run on meanwhile.
//
// The client's own KeepAlive does not tell when a request was sent, and its KeepAliveOnce repeats without a pause while no server is
// reachable; so the stream is used directly.
type leaseStreams struct {
	mu   sync.Mutex
	open map[leaseID]*leaseStream
}

// leaseStream is one stream. Its calls are made one after the other.
type leaseStream struct {
	etcdserverpb.Lease_LeaseKeepAliveClient
	cancel context.CancelFunc
}

func (s *leaseStreams) get(id leaseID) *leaseStream {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open[id]
}

func (s *leaseStreams) put(id leaseID, l *leaseStream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = make(map[leaseID]*leaseStream)
	}
	s.open[id] = l
}

// drop ends the stream of a lease, if there is one.
func (s *leaseStreams) drop(id leaseID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.open[id]; l != nil {
		l.cancel()
		delete(s.open, id)
	}
}

func (s *etcdStore) grant(ctx context.Context, ttl time.Duration) (leaseID, time.Duration, error) {
	r, err := s.client.Grant(ctx, int64(math.Ceil(ttl.Seconds())))
	if err != nil {
		return 0, 0, fmt.Errorf("grant lease: %w", err)
	}
	return leaseID(r.ID), time.Duration(r.TTL) * time.Second, nil
}

func (s *etcdStore) keepAlive(ctx context.Context, id leaseID) (time.Duration, error) {
	ttl, err := s.tryKeepAlive(ctx, id)
	if err == nil {
		return ttl, nil
	}
	s.streams.drop(id) // an answer that is still to come must not be taken for that of the next request
	s.reconnect()
	if errors.Is(rpctypes.Error(err), rpctypes.ErrLeaseNotFound) {
		err = errNoLease
	}
	return 0, fmt.Errorf("keep lease alive: %w", err)
}

// tryKeepAlive sends one request and waits for its answer, on the open stream or on a new one.
func (s *etcdStore) tryKeepAlive(ctx context.Context, id leaseID) (time.Duration, error) {
	l := s.streams.get(id)
	if l == nil {
		streamCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		l = &leaseStream{cancel: cancel}
		s.streams.put(id, l)
		defer context.AfterFunc(ctx, cancel)()
		var err error
		if l.Lease_LeaseKeepAliveClient, err = clientv3.RetryLeaseClient(s.client).LeaseKeepAlive(streamCtx); err != nil {
			return 0, err
		}
	} else {
		defer context.AfterFunc(ctx, l.cancel)()
	}
	if err := l.Send(&etcdserverpb.LeaseKeepAliveRequest{ID: int64(id)}); err != nil {
		return 0, err
	}
	r, err := l.Recv()
	if err != nil {
		return 0, err
	}
	if r.TTL <= 0 { // how etcd answers for a lease that is over
		return 0, errNoLease
	}
	return time.Duration(r.TTL) * time.Second, nil
}

func (s *etcdStore) revoke(ctx context.Context, id leaseID) error {
	s.streams.drop(id)
	_, err := s.client.Revoke(ctx, clientv3.LeaseID(id))
	if err != nil && !errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return fmt.Errorf("revoke lease: %w", err)
	}
	return nil
}
