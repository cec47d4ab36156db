package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

func (m *member) Host(ctx context.Context, space Space, h PartitionHost) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	end, err := m.beginHosting(space, cancel)
	if err != nil {
		return fmt.Errorf("host space %q as %s: %w", space, m.key, err)
	}
	defer end()
	stopOnLoss := m.onLoss(cancel)
	defer stopOnLoss()

	if err := m.rewrite(ctx, func(n *Node) { n.Spaces = withSpace(n.Spaces, space) }); err != nil {
		if ctx.Err() != nil {
			err = nil
		}
		return m.hostError(space, err)
	}
	var workers sync.WaitGroup
	for p := range m.h.meta.Partitions[space] {
		w := &worker{m: m, space: space, partition: p, host: h}
		workers.Go(func() { w.run(ctx) })
	}
	workers.Go(func() {
		<-ctx.Done()
		m.stopHosting(ctx, space)
	})
	workers.Wait()
	return m.hostError(space, nil)
}

// hostError is what Host returns at its end.
func (m *member) hostError(space Space, err error) error {
	select {
	case <-m.lost:
		err = ErrLost
	default:
	}
	if err == nil {
		return nil
	}
	return fmt.Errorf("host space %q as %s: %w", space, m.key, err)
}

// beginHosting books the space. end gives the space back.
func (m *member) beginHosting(space Space, cancel context.CancelFunc) (end func(), err error) {
	if space.Role() != m.self.Role {
		return nil, fmt.Errorf("the space belongs to role %q", space.Role())
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.over.Load():
		return nil, m.overError()
	case m.leaving:
		return nil, ErrClosed
	case m.hosts[space] != nil:
		return nil, errors.New("the member hosts it already")
	}
	own := &hosting{cancel: cancel, done: make(chan struct{})}
	m.hosts[space] = own
	return func() {
		m.mu.Lock()
		delete(m.hosts, space)
		m.mu.Unlock()
		close(own.done)
	}, nil
}

// onLoss calls f when the membership is lost, until the function it returns was called.
func (m *member) onLoss(f func()) (stop func()) {
	stopped := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-m.lost:
			f()
		case <-stopped:
		}
	})
	return func() {
		close(stopped)
		watching.Wait()
	}
}

// stopHosting takes the space out of the node's record, so that the assigner moves the partitions while they drain.
func (m *member) stopHosting(ctx context.Context, space Space) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), m.h.options.DrainTimeout)
	defer cancel()
	err := m.rewrite(ctx, func(n *Node) { n.Spaces = withoutSpace(n.Spaces, space) })
	if err != nil && !m.over.Load() {
		m.h.log.Warn("the end of hosting could not be announced", "space", space, "node", m.key, "error", err)
	}
}

func withSpace(spaces []Space, s Space) []Space {
	spaces = append(withoutSpace(spaces, s), s)
	slices.Sort(spaces)
	return spaces
}

func withoutSpace(spaces []Space, s Space) []Space {
	return slices.DeleteFunc(spaces, func(o Space) bool { return o == s })
}
