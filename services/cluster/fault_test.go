package cluster_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/cluster/clustertest"
)

// The deletion of a key is done but its answer lost; when it is repeated, the key is the next owner's already.
func TestRepeatedDeletionSparesTheNextOwner(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var lose atomic.Int32
		fault := func(call string) (before, after error) {
			if call == "txn" && lose.Add(-1) >= 0 {
				return nil, errFault
			}
			return nil, nil
		}
		memory := cluster.NewMemory()
		l := clustertest.NewLedger(t)
		old, next := l.Host("a1", cluster.AuthSpace), l.Host("a2", cluster.AuthSpace)
		first := hostOn(t, joined(t)(memory.JoinFaulty(cluster.Options{}, fault)), old)
		synctest.Wait()
		hostOn(t, joined(t)(memory.Join(cluster.Options{})), next)
		synctest.Wait()
		if len(old.Serving()) != 1 {
			t.Fatal("the first does not serve")
		}
		old.OnRelease = func(context.Context, int) { lose.Store(3) }
		if err := first.SetState(t.Context(), cluster.StateDraining); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond) // less than the pause before the repetition
		claim, ok := next.Serving()[0]
		if !ok {
			t.Fatal("the next does not serve")
		}
		time.Sleep(time.Second)
		if now := next.Serving()[0]; now.Epoch != claim.Epoch || !claim.Valid() {
			t.Errorf("epoch %d, then %d; valid %v", claim.Epoch, now.Epoch, claim.Valid())
		}
	})
}

// hostOn registers the host's node and hosts until the end of the test.
func hostOn(t *testing.T, c cluster.Cluster, h *clustertest.Host) cluster.Member {
	t.Helper()
	m, err := c.Register(t.Context(), cluster.Node{Role: cluster.Auth, ID: h.Name})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- m.Host(context.WithoutCancel(t.Context()), cluster.AuthSpace, h) }()
	t.Cleanup(func() {
		if err := errors.Join(c.Close(), <-ended); err != nil {
			t.Error(err)
		}
	})
	return m
}

// A Register that is under way while the Cluster is closed leaves nothing behind.
func TestRegisterDuringClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory := cluster.NewMemory()
		var c cluster.Cluster
		c = joined(t)(memory.JoinFaulty(cluster.Options{}, func(call string) (before, after error) {
			if call == "grant" {
				return c.Close(), nil
			}
			return nil, nil
		}))
		if _, err := c.Register(t.Context(), cluster.Node{Role: cluster.Router, ID: "r1"}); !errors.Is(err, cluster.ErrClosed) {
			t.Errorf("register: %v", err)
		}
		other := joined(t)(memory.Join(cluster.Options{}))
		if n, ok := other.View().Node(cluster.Router, "r1"); ok {
			t.Errorf("left behind: %+v", n)
		}
		if err := other.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Keep-alives count from when they were sent: an answer that took long says nothing about the time since.
func TestValidCountsFromSending(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const delay = 900 * time.Millisecond
		var keepAlives atomic.Int32
		memory := cluster.NewMemory()
		c := joined(t)(memory.JoinFaulty(cluster.Options{TTL: 3 * time.Second, Margin: time.Second}, func(call string) (before, after error) {
			if call != "keepAlive" {
				return nil, nil
			}
			if keepAlives.Add(1) > 1 {
				return errFault, nil
			}
			time.Sleep(delay)
			return nil, nil
		}))
		sent := time.Now()
		m, err := c.Register(t.Context(), cluster.Node{Role: cluster.Router, ID: "r1"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Until(sent.Add(2*time.Second + time.Millisecond)))
		if m.Valid() {
			t.Error("valid longer than TTL minus margin after the only successful keep-alive was sent")
		}
		if keepAlives.Load() < 2 {
			t.Error("no second keep-alive was tried")
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}
