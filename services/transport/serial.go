package transport

// A batch is one run of Handler code: a Data call, posted functions, or both.
// conn.running is the right to run one. It goes from serve, which waits for it
// (enter), to a goroutine started by Post when nobody runs, and back.

// enter takes the right to run; only serve calls it.
func (c *conn) enter() {
	c.mu.Lock()
	for c.running {
		c.waiting = true
		c.cond.Wait()
	}
	c.waiting, c.running = false, true
	c.mu.Unlock()
}

// leave runs what was posted meanwhile, gives the right back and flushes.
// A waiting serve takes over posts that came late, so that it cannot starve.
func (c *conn) leave() {
	for first := true; ; first = false {
		c.mu.Lock()
		fns := c.posts
		if len(fns) == 0 || c.waiting && !first {
			c.running = false
			if c.waiting {
				c.cond.Broadcast()
			}
			c.mu.Unlock()
			break
		}
		c.posts = nil
		c.mu.Unlock()
		c.run(fns)
	}
	c.flush()
}

func (c *conn) run(fns []func()) {
	for _, fn := range fns {
		c.guard(fn)
	}
}

// lastPosts runs everything accepted by Post and refuses what comes later.
func (c *conn) lastPosts() {
	for {
		c.mu.Lock()
		fns := c.posts
		c.posts = nil
		c.finished = len(fns) == 0
		c.mu.Unlock()
		if len(fns) == 0 {
			return
		}
		c.run(fns)
	}
}

// Post implements Conn.
func (c *conn) Post(fn func()) bool {
	c.mu.Lock()
	if c.finished {
		c.mu.Unlock()
		return false
	}
	if len(c.posts) >= MaxPosts {
		c.mu.Unlock()
		c.Abort(ErrPostOverflow)
		return false
	}
	start := c.postLocked(fn)
	c.mu.Unlock()
	if start {
		go c.leave()
	}
	return true
}

// postLocked queues fn and reports whether the caller must start a batch with
// leave.
func (c *conn) postLocked(fn func()) (start bool) {
	c.posts = append(c.posts, fn)
	if c.running || c.waiting {
		return false
	}
	c.running = true
	return true
}
