package cluster_test

import (
	"context"
	"errors"
	"sync"
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
		fault := func(call string, run func() error) error {
			err := run()
			if call == "txn own/auth/0" && lose.Add(-1) == 0 {
				return errFault
			}
			return err
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
		old.OnRelease = func(context.Context, int) { lose.Store(1) }
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
		c = joined(t)(memory.JoinFaulty(cluster.Options{}, func(call string, run func() error) error {
			if call == "grant" {
				return errors.Join(c.Close(), run())
			}
			return run()
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
		c := joined(t)(memory.JoinFaulty(cluster.Options{TTL: 3 * time.Second, Margin: time.Second}, func(call string, run func() error) error {
			if call == "keepAlive" {
				if keepAlives.Add(1) > 1 {
					return errFault
				}
				time.Sleep(delay)
			}
			return run()
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

// once returns a fault that calls f before the first call of this name is done.
func once(name string, f func()) func(call string, run func() error) error {
	var first sync.Once
	return func(call string, run func() error) error {
		if call == name {
			first.Do(f)
		}
		return run()
	}
}

// late returns a fault that fails the first call of this name and keeps it, and a function that does it after all.
func late(name string) (fault func(call string, run func() error) error, do func() error) {
	var kept atomic.Pointer[func() error]
	fault = func(call string, run func() error) error {
		if call == name && kept.CompareAndSwap(nil, &run) {
			return errFault
		}
		return run()
	}
	return fault, func() error { return (*kept.Load())() }
}

const otherOwner = `{"format":1,"role":"auth","id":"x","incarnation":1}`

// What the view does not show yet, the transaction sees.
func TestClaimNeedsTheKeyAbsent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory := cluster.NewMemory()
		h := clustertest.NewLedger(t).Host("a1", cluster.AuthSpace)
		c := joined(t)(memory.JoinFaulty(cluster.Options{}, once("txn own/auth/0", func() { memory.Put("pando", "own/auth/0", otherOwner) })))
		hostOn(t, c, h)
		time.Sleep(time.Minute)
		if o, _ := c.View().Owner(cluster.AuthSpace, 0); o.Node.ID != "x" || len(h.Serving()) != 0 {
			t.Errorf("owner %+v, %d partitions served", o, len(h.Serving()))
		}
		memory.Put("pando", "own/auth/0", "")
		time.Sleep(time.Second)
		if len(h.Serving()) != 1 {
			t.Error("the partition was not taken when it was free")
		}
	})
}

func TestClaimNeedsTheNode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory := cluster.NewMemory()
		c := joined(t)(memory.JoinFaulty(cluster.Options{}, once("txn own/auth/0", func() { memory.Put("pando", "node/auth/a1", "") })))
		h := clustertest.NewLedger(t).Host("a1", cluster.AuthSpace)
		m, err := c.Register(t.Context(), cluster.Node{Role: cluster.Auth, ID: "a1"})
		if err != nil {
			t.Fatal(err)
		}
		acquired := false
		h.OnAcquire = func(context.Context, cluster.Claim) error { acquired = true; return nil }
		if err := m.Host(t.Context(), cluster.AuthSpace, h); !errors.Is(err, cluster.ErrLost) {
			t.Errorf("host: %v", err)
		}
		if acquired {
			t.Error("a node that is gone made a claim")
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestRegisterNeedsTheKeyAbsent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory := cluster.NewMemory()
		c := joined(t)(memory.JoinFaulty(cluster.Options{}, once("txn node/auth/a1", func() {
			memory.Put("pando", "node/auth/a1", `{"format":1,"addr":"another"}`)
		})))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := c.Register(ctx, cluster.Node{Role: cluster.Auth, ID: "a1"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("register: %v", err)
		}
		if n, _ := c.View().Node(cluster.Auth, "a1"); n.Addr != "another" {
			t.Errorf("the node is %+v", n)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A write of a node's record that was given up for lost arrives after later ones.
func TestLateStateChangesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory := cluster.NewMemory()
		var registered atomic.Bool
		fault, arrive := late("txn node/gateway/g1")
		other := joined(t)(memory.Join(cluster.Options{}))
		c := joined(t)(memory.JoinFaulty(cluster.Options{}, func(call string, run func() error) error {
			if registered.Load() {
				return fault(call, run)
			}
			return run()
		}))
		m, err := c.Register(t.Context(), cluster.Node{Role: cluster.Gateway, ID: "g1"})
		if err != nil {
			t.Fatal(err)
		}
		registered.Store(true)
		for _, state := range []string{"one", "two"} {
			if err := m.SetState(t.Context(), state); err != nil {
				t.Fatal(err)
			}
		}
		if err := arrive(); err != nil {
			t.Fatal(err)
		}
		v, err := other.Sync(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		if n, _ := v.Node(cluster.Gateway, "g1"); n.State != "two" {
			t.Errorf("state %q", n.State)
		}
		if err := errors.Join(c.Close(), other.Close()); err != nil {
			t.Error(err)
		}
	})
}

// An assignment that was given up for lost arrives after a newer one.
func TestLateAssignmentChangesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory := cluster.NewMemory()
		fault, arrive := late("txn assign/auth")
		l := clustertest.NewLedger(t)
		one, two := l.Host("a1", cluster.AuthSpace), l.Host("a2", cluster.AuthSpace)
		c := joined(t)(memory.JoinFaulty(cluster.Options{}, fault))
		m := hostOn(t, c, one)
		time.Sleep(time.Second)
		hostOn(t, joined(t)(memory.Join(cluster.Options{})), two)
		if err := m.SetState(t.Context(), cluster.StateDraining); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if id := c.View().Assigned(cluster.AuthSpace, 0); id != "a2" {
			t.Fatalf("assigned to %q", id)
		}
		before := c.View().Revision
		if err := arrive(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if v := c.View(); v.Assigned(cluster.AuthSpace, 0) != "a2" || v.Revision != before {
			t.Errorf("revision %d: assigned to %q", v.Revision, v.Assigned(cluster.AuthSpace, 0))
		}
	})
}

// A member whose lease is not certain takes nothing new.
func TestNoClaimWithoutValidity(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory := cluster.NewMemory()
		l := clustertest.NewLedger(t)
		one, two := l.Host("a1", cluster.AuthSpace), l.Host("a2", cluster.AuthSpace)
		m1 := hostOn(t, joined(t)(memory.Join(cluster.Options{})), one)
		time.Sleep(time.Second)
		m2 := hostOn(t, joined(t)(memory.Join(cluster.Options{TTL: time.Minute, Margin: 30 * time.Second})), two)
		clustertest.Pause(t, m2)
		time.Sleep(45 * time.Second)
		if err := m1.SetState(t.Context(), cluster.StateDraining); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if m2.Valid() || len(one.Serving())+len(two.Serving()) != 0 {
			t.Errorf("valid %v, %d partitions served", m2.Valid(), len(two.Serving()))
		}
		clustertest.Resume(t, m2)
		time.Sleep(6 * time.Second) // a twelfth of the lease's life, and a look
		if !m2.Valid() || len(two.Serving()) != 1 {
			t.Errorf("valid %v, %d partitions served", m2.Valid(), len(two.Serving()))
		}
	})
}
