package transport

import (
	"context"
	"maps"
	"net"
	"slices"
	"time"
)

// member is a connection of either kind.
type member interface {
	Close(reason error)
	Abort(reason error)
}

// admit takes a connection in, or refuses it, and says how long to accept no more.
func (l *Listener) admit(raw *net.TCPConn) (wait time.Duration) {
	l.accepted.Add(1)
	c := newConn(l, raw)
	room := l.deps.Budget.take()
	l.mu.Lock()
	switch {
	case len(l.conns)+l.looped-l.refusing >= l.cfg.MaxClients:
		c.info.Refused = ErrMaxClients
	case !room:
		c.info.Refused = ErrMaxConnections
	}
	refused := c.info.Refused
	serve := refused == ""
	if !serve {
		l.countLocked(refused)
		if serve = l.deps.Explain && l.refusing < MaxRefusals && l.deps.Budget.borrow(); serve {
			l.refusing++
		}
	}
	if serve {
		l.conns[c] = refused
	}
	if l.rate != nil {
		wait = l.rate.Take(1, time.Now())
	}
	l.mu.Unlock()
	if refused != "" && room {
		l.deps.Budget.give()
	}
	if serve {
		c.begin()
	} else {
		_ = raw.Close()
	}
	return wait
}

// remove is the last act of a connection's goroutine. One that was refused has
// been counted already.
func (l *Listener) remove(c *conn, reason Reason) {
	l.mu.Lock()
	refused := l.conns[c]
	l.mu.Unlock()
	if refused == "" { // before wait returns
		l.deps.Budget.give()
	} else {
		l.deps.Budget.giveBack()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
	if refused == "" {
		l.countLocked(reason)
	} else {
		l.refusing--
	}
	l.endedLocked()
}

// moved takes note that a connection is on an event loop now.
func (l *Listener) moved(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
	l.looped++
}

// left is the last act of a connection on an event loop.
func (l *Listener) left(reason Reason) {
	l.deps.Budget.give() // before wait returns
	l.mu.Lock()
	defer l.mu.Unlock()
	l.looped--
	l.countLocked(reason)
	l.endedLocked()
}

func (l *Listener) endedLocked() {
	if len(l.conns)+l.looped > 0 {
		return
	}
	l.restLocked()
	if l.empty != nil {
		close(l.empty)
		l.empty = nil
	}
}

// enlistLocked begins to use the event loops, if there are any.
func (l *Listener) enlistLocked() (err error) {
	if l.loops != nil && l.group == nil {
		l.group, err = l.loops.acquire()
	}
	return err
}

// loop is the one that a new connection goes to.
func (l *Listener) loop() *loop {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.group.next()
}

// restLocked lets the event loops go when nothing is accepted and nobody is there.
func (l *Listener) restLocked() {
	if l.group != nil && l.socket == nil && len(l.conns)+l.looped == 0 {
		l.group, l.ending = nil, l.loops.release()
	}
}

// settle waits for loops that nobody needs: they only have to return.
func (l *Listener) settle() {
	l.mu.Lock()
	ending := l.ending
	l.ending = nil
	l.mu.Unlock()
	if ending != nil {
		ending.running.Wait()
	}
}

func (l *Listener) countLocked(reason Reason) {
	if _, known := l.shutdowns[reason]; !known && len(l.shutdowns) >= maxReasons {
		reason = errOther
	}
	l.shutdowns[reason]++
}

// snapshot is every connection there is.
func (l *Listener) snapshot() []member {
	l.mu.Lock()
	all := slices.Collect(maps.Keys(l.conns))
	group := l.group
	l.mu.Unlock()
	if group != nil {
		for _, lp := range group.loops { // after conns: who moves is in one of them, or in both
			all = append(all, lp.members(l)...)
		}
	}
	return all
}

// wait returns when there is no connection.
func (l *Listener) wait(ctx context.Context) error {
	defer l.settle()
	l.mu.Lock()
	if len(l.conns)+l.looped == 0 {
		l.mu.Unlock()
		return nil
	}
	if l.empty == nil {
		l.empty = make(chan struct{})
	}
	empty := l.empty
	l.mu.Unlock()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
