package transport

// A batch is one run of Handler code: a Data call, posted functions, or both.
// conn.running is the right to run one. It goes from serve, which waits for it
// (enter), to a goroutine when functions are posted and nobody runs, and back.
// Steady posting starves nobody: output is flushed after each round of posted
// functions, serve leaves a second round to a goroutine and goes on reading, and
// that goroutine gives way when serve has something to deliver.

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

// leave ends serve's batch: one round of what was posted meanwhile, then the
// right to run goes back or to a goroutine.
func (c *conn) leave() {
	if c.round() && c.more() {
		go c.runPosts()
	}
	c.flush()
}

// runPosts is the goroutine of batches without serve.
func (c *conn) runPosts() {
	for c.round() {
		c.flush()
	}
	c.flush() // for those whose Flush relied on this batch
}

// round runs the functions posted so far. Without any, or when serve waits, it
// gives the right to run back and returns false.
func (c *conn) round() bool {
	c.mu.Lock()
	fns := c.posts
	if len(fns) == 0 || c.waiting {
		c.giveBackLocked()
		c.mu.Unlock()
		return false
	}
	c.posts = nil
	c.mu.Unlock()
	c.run(fns)
	return true
}

// more reports whether functions were posted since; if not, it gives the right
// to run back.
func (c *conn) more() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.posts) == 0 {
		c.giveBackLocked()
		return false
	}
	return true
}

func (c *conn) giveBackLocked() {
	c.running = false
	if c.waiting {
		c.cond.Broadcast()
	}
}

func (c *conn) run(fns []func()) {
	for _, fn := range fns {
		c.guard(fn)
	}
}

// lastPosts runs everything accepted by Post and refuses what comes later.
func (c *conn) lastPosts() {
	c.mu.Lock()
	fns := c.posts
	c.posts, c.finished = nil, true
	c.mu.Unlock()
	c.run(fns)
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
		go c.runPosts()
	}
	return true
}

// postLocked queues fn and reports whether the caller must start runPosts.
func (c *conn) postLocked(fn func()) (start bool) {
	c.posts = append(c.posts, fn)
	if c.running || c.waiting {
		return false
	}
	c.running = true
	return true
}
