package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// New returns the Cluster of this process on an etcd client, which stays the caller's and must outlive it. It writes the bootstrap
// values if the cluster has none, reads the first view and returns; it repeats until etcd answers or ctx ends. The client should have
// DialKeepAliveTime set, so that a silently broken connection is noticed within the lease's time.
func New(ctx context.Context, client *clientv3.Client, o Options) (Cluster, error) {
	if o.Settle == 0 && !o.Sole {
		o.Settle = 300 * time.Millisecond
	}
	return open(ctx, o, func(o Options, m *metrics) store {
		return &etcdStore{client: client, prefix: "/pando/" + o.Name + "/", log: o.Log, metrics: m}
	})
}

// etcdStore is one cluster's keys in etcd.
type etcdStore struct {
	client  *clientv3.Client
	prefix  string
	log     *slog.Logger
	metrics *metrics
	streams leaseStreams
}

func (s *etcdStore) txn(ctx context.Context, conds []cond, writes []write) (bool, uint64, error) {
	var ifs []clientv3.Cmp
	for _, c := range conds {
		ifs = append(ifs, clientv3.Compare(clientv3.CreateRevision(s.prefix+c.key), "=", int64(c.created)))
		if c.changed != 0 {
			ifs = append(ifs, clientv3.Compare(clientv3.ModRevision(s.prefix+c.key), "=", int64(c.changed)))
		}
	}
	var thens []clientv3.Op
	for _, w := range writes {
		if w.delete {
			thens = append(thens, clientv3.OpDelete(s.prefix+w.key))
			continue
		}
		thens = append(thens, clientv3.OpPut(s.prefix+w.key, string(w.value), clientv3.WithLease(clientv3.LeaseID(w.lease))))
	}
	r, err := s.client.Txn(ctx).If(ifs...).Then(thens...).Commit()
	switch {
	case errors.Is(err, rpctypes.ErrLeaseNotFound):
		return false, 0, errNoLease
	case err != nil:
		return false, 0, fmt.Errorf("transaction: %w", err)
	}
	return r.Succeeded, uint64(r.Header.Revision), nil
}

func (s *etcdStore) read(ctx context.Context) (snapshot, error) {
	r, err := s.client.Get(ctx, s.prefix, clientv3.WithPrefix())
	if err != nil {
		s.reconnect()
		return snapshot{}, fmt.Errorf("read %s: %w", s.prefix, err)
	}
	snap := snapshot{revision: uint64(r.Header.Revision), pairs: make([]pair, 0, len(r.Kvs))}
	for _, kv := range r.Kvs {
		snap.pairs = append(snap.pairs, s.pair(kv))
	}
	return snap, nil
}

// reconnect lets the client try at once to reach the servers again. By itself it would wait ever longer, up to two minutes, and a lease
// that outlived a restart of etcd would run out after it. The callers pause between their attempts.
func (s *etcdStore) reconnect() { s.client.ActiveConnection().ResetConnectBackoff() }

func (s *etcdStore) pair(kv *mvccpb.KeyValue) pair {
	return pair{
		key:     strings.TrimPrefix(string(kv.Key), s.prefix),
		value:   kv.Value,
		created: uint64(kv.CreateRevision),
		changed: uint64(kv.ModRevision),
		lease:   leaseID(kv.Lease),
	}
}

// readPatience bounds the read of a snapshot.
const readPatience = 5 * time.Second

// follow reads a snapshot and watches from there; when the watch breaks (compaction, no leader, ...) it begins anew.
func (s *etcdStore) follow(ctx context.Context, f feed) {
	for wait := storePause(); ctx.Err() == nil; wait = wait.next() {
		began := time.Now()
		err := s.followOnce(ctx, f)
		if ctx.Err() != nil {
			return
		}
		s.metrics.resyncs.Inc()
		s.log.Warn("the watch of the cluster broke and starts anew", "error", err)
		if time.Since(began) > readPatience {
			wait = storePause()
		}
		if wait.sleep(ctx) != nil {
			return
		}
	}
}

func (s *etcdStore) followOnce(ctx context.Context, f feed) error {
	ctx, cancel := context.WithCancel(ctx) // ends the watch
	defer cancel()
	readCtx, stop := context.WithTimeout(ctx, readPatience)
	defer stop()
	snap, err := s.read(readCtx)
	if err != nil {
		return err
	}
	f.reset(snap)
	// Without a leader the server ends the watch, so that a server cut off from the others does not keep us in the past.
	events := s.client.Watch(clientv3.WithRequireLeader(ctx), s.prefix,
		clientv3.WithPrefix(), clientv3.WithRev(int64(snap.revision)+1))
	for r := range events {
		changes, err := s.changes(nil, r)
		for more := err == nil; more; {
			select {
			case r, more = <-events:
				if more {
					changes, err = s.changes(changes, r)
					more = err == nil
				}
			default:
				more = false
			}
		}
		f.apply(changes)
		if err != nil {
			return err
		}
	}
	return errors.New("the watch was closed")
}

// changes appends the events of one answer.
func (s *etcdStore) changes(to []change, r clientv3.WatchResponse) ([]change, error) {
	if err := r.Err(); err != nil {
		return to, fmt.Errorf("watch: %w", err)
	}
	for _, e := range r.Events {
		to = append(to, change{pair: s.pair(e.Kv), deleted: e.Type == clientv3.EventTypeDelete})
	}
	return to, nil
}
