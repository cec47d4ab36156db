// Package clustertest is the contract of package cluster as tests, for each store it runs on, and what the tests of others need: faults
// for members and a recording host.
//
// The name of each subtest is the sentence of the contract that it holds the implementation to.
package clustertest

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pando-mq/pando/services/cluster"
)

// Join returns a Cluster as a further process would get it. All Clusters of one Join belong together. The caller of Join closes them.
type Join func(t *testing.T, o cluster.Options) cluster.Cluster

// Run holds the Clusters that open's Joins return to the contract. open is called once for each subtest and returns the Join of a new,
// empty cluster. Subtests run in parallel.
func Run(t *testing.T, open func(t *testing.T) Join) {
	run(t, open, func(t *testing.T, f func(t *testing.T)) { f(t) })
}

// RunInBubble is Run with the time of testing/synctest, for stores that need no network: leases run out at no cost.
func RunInBubble(t *testing.T, open func(t *testing.T) Join) {
	run(t, open, synctest.Test)
}

func run(t *testing.T, open func(t *testing.T) Join, in func(t *testing.T, f func(t *testing.T))) {
	for _, group := range [][]test{registryTests(), leaseTests(), viewTests(), ownershipTests(), handOverTests()} {
		for _, tt := range group {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				in(t, func(t *testing.T) { tt.run(&env{T: t, join: open(t)}) })
			})
		}
	}
}

type test struct {
	name string
	run  func(e *env)
}

// The times of the suite: long enough for a busy machine, short enough for a lease to run out in a test.
const (
	ttl      = 2 * time.Second
	margin   = 700 * time.Millisecond
	patience = 30 * time.Second // until a condition that has to come about is given up
)

// env is one subtest.
type env struct {
	*testing.T
	join Join
}

// process joins with the suite's options and closes at the end of the test.
func (e *env) process(change ...func(*cluster.Options)) cluster.Cluster {
	e.Helper()
	o := cluster.Options{
		TTL: ttl, Margin: margin, Settle: 20 * time.Millisecond, DrainTimeout: 5 * time.Second,
		Bootstrap: cluster.Meta{Partitions: map[cluster.Space]int{cluster.TopicSpace: 8, cluster.RetainedSpace: 4}},
	}
	for _, f := range change {
		f(&o)
	}
	c := e.join(e.T, o)
	e.Cleanup(func() {
		if err := c.Close(); err != nil {
			e.Errorf("close: %v", err)
		}
	})
	return c
}

// register registers or fails.
func (e *env) register(c cluster.Cluster, role cluster.Role, id string) cluster.Member {
	e.Helper()
	m, err := c.Register(e.context(), cluster.Node{Role: role, ID: id, Addr: id + ":1"})
	if err != nil {
		e.Fatalf("register: %v", err)
	}
	return m
}

// context ends with the test or after the suite's patience.
func (e *env) context() context.Context {
	ctx, cancel := context.WithTimeout(e.Context(), patience)
	e.Cleanup(cancel)
	return ctx
}

// eventually waits until cond holds.
func (e *env) eventually(what string, cond func() bool) {
	e.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			e.Fatalf("never: %s", what)
		}
	}
}

// closed waits until ch is closed.
func (e *env) closed(what string, ch <-chan struct{}) {
	e.Helper()
	select {
	case <-ch:
	case <-time.After(patience):
		e.Fatalf("not closed: %s", what)
	}
}

// open fails if ch is closed.
func (e *env) open(what string, ch <-chan struct{}) {
	e.Helper()
	select {
	case <-ch:
		e.Errorf("closed: %s", what)
	default:
	}
}

// sync returns the present view or fails.
func (e *env) sync(c cluster.Cluster, revision uint64) *cluster.View {
	e.Helper()
	v, err := c.Sync(e.context(), revision)
	if err != nil {
		e.Fatalf("sync: %v", err)
	}
	return v
}
