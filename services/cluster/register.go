package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

func (h *handle) Register(ctx context.Context, n Node) (Member, error) {
	if n.Role == "" || n.ID == "" || strings.Contains(string(n.Role)+n.ID, "/") {
		return nil, fmt.Errorf("register %s/%s: role and id must not be empty nor contain a slash", n.Role, n.ID)
	}
	setDefault(&n.State, StateServing)
	n.Incarnation, n.Spaces = 0, nil
	m, err := h.register(ctx, n)
	if err != nil {
		return nil, fmt.Errorf("register %s/%s: %w", n.Role, n.ID, err)
	}
	if _, err := h.Sync(ctx, m.node.Incarnation); err != nil {
		return nil, errors.Join(err, m.Leave(ctx))
	}
	return m, nil
}

// register repeats until the key is written, or ctx ends.
func (h *handle) register(ctx context.Context, n Node) (*member, error) {
	var last error
	for wait := storePause(); ; wait = wait.next() {
		if err := h.awaitFree(ctx, n); err != nil {
			return nil, errors.Join(err, last)
		}
		m, err := h.tryRegister(ctx, n)
		if err == nil {
			return m, nil
		}
		if errors.Is(err, ErrClosed) {
			return nil, err
		}
		last = err
		if err := wait.sleep(ctx); err != nil {
			return nil, errors.Join(err, last)
		}
	}
}

// awaitFree waits until no key of the node's role and id is left. With Options.Sole it ends the lease of one instead.
func (h *handle) awaitFree(ctx context.Context, n Node) error {
	if _, err := h.Sync(ctx, 0); err != nil {
		return err
	}
	for told := false; ; told = true {
		v, changed := h.observe()
		old, ok := v.Node(n.Role, n.ID)
		if !ok {
			return nil
		}
		if h.options.Sole {
			h.revoke(ctx, h.leaseOf(nodeKey(n.Role, n.ID)))
		} else if !told {
			h.log.Info("waiting for the lease of an earlier process", "role", n.Role, "id", n.ID, "incarnation", old.Incarnation)
		}
		select {
		case <-changed:
		case <-time.After(recheck):
		case <-ctx.Done():
			return fmt.Errorf("the id is taken by incarnation %d: %w", old.Incarnation, ctx.Err())
		case <-h.done:
			return ErrClosed
		}
	}
}

// tryRegister grants a lease and writes the node's key if it is absent.
func (h *handle) tryRegister(ctx context.Context, n Node) (*member, error) {
	callCtx, cancel := h.callContext(ctx)
	defer cancel()
	sent := time.Now()
	lease, ttl, err := h.store.grant(callCtx, h.options.TTL)
	if err != nil {
		return nil, err
	}
	key := nodeKey(n.Role, n.ID)
	done, revision, err := h.store.txn(callCtx, []cond{{key: key}}, []write{{key: key, value: encodeNode(n), lease: lease}})
	if err == nil && !done {
		err = errors.New("another process was faster")
	}
	var m *member
	if err == nil {
		n.Incarnation = revision
		m, err = h.admit(n, lease, sent, ttl)
	}
	if err != nil {
		// With the lease goes whatever an unknown outcome has left behind.
		h.revoke(ctx, lease)
		return nil, err
	}
	return m, nil
}

// revoke ends a lease, if there is one, even if ctx has ended. If the store does not answer for the time of a call, the lease ends by
// itself.
func (h *handle) revoke(ctx context.Context, lease leaseID) {
	if lease == 0 {
		return
	}
	ctx, cancel := h.callContext(context.WithoutCancel(ctx))
	defer cancel()
	for wait := storePause(); ; wait = wait.next() {
		err := h.store.revoke(ctx, lease)
		if err == nil {
			return
		}
		if wait.sleep(ctx) != nil {
			h.log.Warn("a lease could not be revoked", "error", err)
			return
		}
	}
}

// admit starts the member, unless the Cluster is closed.
func (h *handle) admit(n Node, lease leaseID, sent time.Time, ttl time.Duration) (*member, error) {
	m := newMember(h, n, lease, ttl)
	m.extend(sent, ttl)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, ErrClosed
	}
	h.members[m] = struct{}{}
	m.start()
	return m, nil
}

// forget drops a member that is over.
func (h *handle) forget(m *member) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.members, m)
}
