package clustertest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/pando-mq/pando/services/cluster"
)

func ownershipTests() []test {
	return []test{
		{"Host acquires every partition of a lone member, and the view names its owner", testLone},
		{"a member hosts only its role's spaces, each once at a time", testWrongSpace},
		{"a member hosts several spaces", testTwoSpaces},
		{"when ctx of Host ends each partition is released and its key deleted", testHostEnds},
		{"the claim stays Valid until Release returned, and is over afterwards", testRelease},
		{"the ctx of Acquire lives as long as the claim", testClaimContext},
		{"an error of Acquire gives the key back, and it is claimed again with a new epoch", testAcquireError},
		{"an Acquire that is not wanted any more sees its ctx end, and is not released", testAcquireCancelled},
		{"at a loss the claim is not Valid and Lost before Release is called", testLoss},
		{"Leave releases before the lease is revoked", testLeaveReleases},
		{"Leave gives up on a Release that does not return, and revokes", testLeaveTimeout},
		{"nothing is assigned while nobody hosts", testNobody},
	}
}

// serving is a member that hosts a space.
type serving struct {
	*Host
	c     cluster.Cluster
	m     cluster.Member
	stop  context.CancelFunc // ends ctx of Host
	ended chan error         // what Host returned
}

// serve registers and hosts; the Host ends with the test.
func (e *env) serve(c cluster.Cluster, h *Host) *serving {
	e.Helper()
	return e.hostWith(c, e.register(c, h.space.Role(), h.Name), h)
}

func (e *env) hostWith(c cluster.Cluster, m cluster.Member, h *Host) *serving {
	ctx, stop := context.WithCancel(context.WithoutCancel(e.Context()))
	s := &serving{Host: h, c: c, m: m, stop: stop, ended: make(chan error, 1)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.ended <- m.Host(ctx, h.space, h)
	}()
	e.Cleanup(func() { stop(); <-done })
	return s
}

// owns waits until a host serves n partitions and the view of its cluster agrees.
func (e *env) owns(s *serving, n int) {
	e.Helper()
	e.eventually(fmt.Sprintf("%s serves %d partitions", s.Name, n), func() bool {
		serving := s.Serving()
		if len(serving) != n {
			return false
		}
		v := s.c.View()
		for p, c := range serving {
			if o, ok := v.Owner(s.space, p); !ok || o.Epoch != c.Epoch {
				return false
			}
		}
		return true
	})
}

// returned waits for the end of Host.
func (e *env) returned(s *serving) error {
	e.Helper()
	var err error
	done := make(chan struct{})
	go func() { err = <-s.ended; close(done) }()
	e.closed("return of Host", done)
	return err
}

func testLone(e *env) {
	c := e.process()
	r := e.serve(c, NewLedger(e).Host("r1", cluster.TopicSpace))
	e.owns(r, c.Meta().Partitions[cluster.TopicSpace])
	for p, claim := range r.Serving() {
		o, _ := c.View().Owner(cluster.TopicSpace, p)
		if o.Epoch != claim.Epoch || o.Node.ID != "r1" || o.Node.Addr != "r1:1" || o.Node.Incarnation != r.m.Node().Incarnation {
			e.Errorf("partition %d, epoch %d: owner %+v", p, claim.Epoch, o)
		}
		if !claim.Valid() || claim.Space != cluster.TopicSpace || claim.Partition != p {
			e.Errorf("claim %+v", claim)
		}
		if id := c.View().Assigned(cluster.TopicSpace, p); id != "r1" {
			e.Errorf("partition %d is assigned to %q", p, id)
		}
	}
	if _, ok := c.View().Owner(cluster.TopicSpace, 8); ok {
		e.Error("a partition that does not exist is owned")
	}
	if n, _ := c.View().Node(cluster.Router, "r1"); len(n.Spaces) != 1 || n.Spaces[0] != cluster.TopicSpace {
		e.Errorf("spaces of the node: %v", n.Spaces)
	}
}

func testWrongSpace(e *env) {
	c := e.process()
	l := NewLedger(e)
	r := e.serve(c, l.Host("r1", cluster.TopicSpace))
	for _, s := range []cluster.Space{cluster.SessionSpace, cluster.AuthSpace, "nothing"} {
		if err := r.m.Host(e.context(), s, l.Host("r1", s)); err == nil {
			e.Errorf("a router hosted %q", s)
		}
	}
	e.owns(r, 8)
	if err := r.m.Host(e.context(), cluster.TopicSpace, r.Host); err == nil {
		e.Error("a space was hosted twice at once")
	}
	r.stop()
	if err := e.returned(r); err != nil {
		e.Fatalf("host: %v", err)
	}
	e.owns(e.hostWith(c, r.m, l.Host("r1 again", cluster.TopicSpace)), 8)
}

func testTwoSpaces(e *env) {
	c := e.process()
	l := NewLedger(e)
	m := e.register(c, cluster.Router, "r1")
	topic := e.hostWith(c, m, l.Host("r1", cluster.TopicSpace))
	retained := e.hostWith(c, m, l.Host("r1", cluster.RetainedSpace))
	e.owns(topic, 8)
	e.owns(retained, 4)
	topic.stop()
	if err := e.returned(topic); err != nil {
		e.Errorf("host: %v", err)
	}
	e.owns(retained, 4)
}

func testHostEnds(e *env) {
	c := e.process()
	r := e.serve(c, NewLedger(e).Host("r1", cluster.TopicSpace))
	e.owns(r, 8)
	r.stop()
	if err := e.returned(r); err != nil {
		e.Errorf("host: %v", err)
	}
	if n := len(r.Serving()); n != 0 {
		e.Errorf("%d partitions are still served", n)
	}
	v := e.sync(c, 0)
	for p := range 8 {
		if o, ok := v.Owner(cluster.TopicSpace, p); ok {
			e.Errorf("partition %d is still owned: %+v", p, o)
		}
	}
	if n, ok := v.Node(cluster.Router, "r1"); !ok || len(n.Spaces) != 0 {
		e.Errorf("the node: %+v, %v", n, ok)
	}
	if !r.m.Valid() {
		e.Error("the member is not valid any more")
	}
}

func testRelease(e *env) {
	r := e.serve(e.process(), NewLedger(e).Host("r1", cluster.TopicSpace))
	e.owns(r, 8)
	r.stop()
	if err := e.returned(r); err != nil {
		e.Errorf("host: %v", err)
	}
	for _, c := range r.all() {
		if !c.validAtRelease || !c.validAfterDrain {
			e.Errorf("epoch %d: valid at Release %v, at its end %v", c.Epoch, c.validAtRelease, c.validAfterDrain)
		}
		if c.Valid() {
			e.Errorf("epoch %d is valid after Release", c.Epoch)
		}
		e.closed("Lost after Release", c.Lost)
	}
}

func testClaimContext(e *env) {
	h := NewLedger(e).Host("r1", cluster.TopicSpace)
	r := e.serve(e.process(), h)
	h.ledger.mu.Lock()
	h.OnRelease = func(_ context.Context, p int) {
		if c := h.ledger.last(h, p); c.ctx.Err() != nil {
			e.Errorf("the ctx of partition %d ended before Release returned", p)
		}
	}
	h.ledger.mu.Unlock()
	e.owns(r, 8)
	for _, c := range r.all() {
		if c.ctx.Err() != nil {
			e.Errorf("the ctx of partition %d ended: %v", c.Partition, c.ctx.Err())
		}
	}
	r.stop()
	if err := e.returned(r); err != nil {
		e.Errorf("host: %v", err)
	}
	for _, c := range r.all() {
		if c.ctx.Err() == nil {
			e.Errorf("the ctx of partition %d lives", c.Partition)
		}
	}
}

func testAcquireError(e *env) {
	h := NewLedger(e).Host("r1", cluster.TopicSpace)
	var mu sync.Mutex
	refused := make(map[int]cluster.Claim)
	h.OnAcquire = func(_ context.Context, c cluster.Claim) error {
		mu.Lock()
		defer mu.Unlock()
		if _, ok := refused[c.Partition]; ok || c.Partition%2 == 0 {
			return nil
		}
		refused[c.Partition] = c
		return errors.New("no")
	}
	r := e.serve(e.process(), h)
	e.owns(r, 8)
	if len(refused) != 4 {
		e.Fatalf("%d claims were refused", len(refused))
	}
	for p, old := range refused {
		if old.Valid() || r.Serving()[p].Epoch <= old.Epoch {
			e.Errorf("partition %d: epoch %d (valid %v), then %d", p, old.Epoch, old.Valid(), r.Serving()[p].Epoch)
		}
		e.closed("Lost of a claim given back", old.Lost)
	}
}

func testAcquireCancelled(e *env) {
	h := NewLedger(e).Host("r1", cluster.AuthSpace)
	entered := make(chan struct{})
	h.OnAcquire = func(ctx context.Context, c cluster.Claim) error {
		close(entered)
		<-ctx.Done()
		if !c.Valid() {
			e.Error("the claim was not valid until Acquire returned")
		}
		return ctx.Err()
	}
	c := e.process()
	a := e.serve(c, h)
	e.closed("entry of Acquire", entered)
	a.stop()
	if err := e.returned(a); err != nil {
		e.Errorf("host: %v", err)
	}
	for _, held := range a.all() {
		if held.released != 0 || !held.failed {
			e.Errorf("released %d times", held.released)
		}
	}
	if _, ok := e.sync(c, 0).Owner(cluster.AuthSpace, 0); ok {
		e.Error("the partition is still owned")
	}
}

func testLoss(e *env) {
	h := NewLedger(e).Host("r1", cluster.TopicSpace)
	var open atomic.Int32
	h.OnRelease = func(_ context.Context, p int) {
		c := h.ledger.last(h, p)
		select {
		case <-c.Lost:
		default:
			open.Add(1)
		}
		if c.ctx.Err() == nil {
			e.Error("the ctx of a lost claim lives")
		}
	}
	r := e.serve(e.process(), h)
	e.owns(r, 8)
	Expire(e, r.m)
	if err := e.returned(r); !isLost(err) {
		e.Errorf("host: %v", err)
	}
	if open.Load() != 0 {
		e.Errorf("%d claims were released before they were Lost", open.Load())
	}
	for _, c := range r.all() {
		if c.released != 1 || c.validAtRelease {
			e.Errorf("epoch %d: released %d times, valid at Release: %v", c.Epoch, c.released, c.validAtRelease)
		}
	}
}

func testLeaveReleases(e *env) {
	a, b := e.process(), e.process()
	h := NewLedger(e).Host("r1", cluster.TopicSpace)
	var missing atomic.Int32
	var inc atomic.Uint64
	h.OnRelease = func(ctx context.Context, _ int) {
		v, err := b.Sync(ctx, 0)
		if err != nil {
			e.Errorf("sync: %v", err)
			return
		}
		if _, ok := v.ByIncarnation(inc.Load()); !ok {
			missing.Add(1)
		}
	}
	r := e.serve(a, h)
	inc.Store(r.m.Node().Incarnation)
	e.owns(r, 8)
	if err := r.m.Leave(e.context()); err != nil {
		e.Fatalf("leave: %v", err)
	}
	if err := e.returned(r); err != nil {
		e.Errorf("host: %v", err)
	}
	if missing.Load() != 0 || len(r.Serving()) != 0 {
		e.Errorf("%d releases after the key went, %d partitions still served", missing.Load(), len(r.Serving()))
	}
}

func testLeaveTimeout(e *env) {
	a, b := e.process(), e.process()
	h := NewLedger(e).Host("a1", cluster.AuthSpace)
	entered, leave := make(chan struct{}), make(chan struct{})
	h.OnRelease = func(context.Context, int) { close(entered); <-leave }
	r := e.serve(a, h)
	e.owns(r, 1)
	ctx, cancel := context.WithCancel(e.Context())
	go func() { <-entered; cancel() }()
	if err := r.m.Leave(ctx); !errors.Is(err, context.Canceled) {
		e.Errorf("leave: %v", err)
	}
	held := r.all()[0]
	if held.Valid() {
		e.Error("the claim is valid after Leave")
	}
	if _, ok := e.sync(b, 0).Owner(cluster.AuthSpace, 0); ok {
		e.Error("the partition is still owned")
	}
	e.closed("Lost of a claim whose lease was revoked", held.Lost)
	close(leave)
	if err := e.returned(r); err != nil {
		e.Errorf("host: %v", err)
	}
}

func testNobody(e *env) {
	a := e.process()
	e.register(a, cluster.SessionStore, "s1")
	r := e.serve(a, NewLedger(e).Host("r1", cluster.TopicSpace))
	e.owns(r, 8)
	if id := e.sync(a, 0).Assigned(cluster.SessionSpace, 0); id != "" {
		e.Errorf("a partition is assigned to %q, which does not host", id)
	}
}
