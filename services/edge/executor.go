package edge

// The executor is the gateway's. What happens elsewhere is queued in events (or marked in pumpDue), and one function at a time is posted to work it off:
//
//	post, wake ──► events ──► submit ──► Device.Post(run)        while the connection lives
//	                             └─────► a goroutine of the edge  after Closed
//
// The order is kept, and whoever posts never waits.

// post runs fn on the executor. Any goroutine may call it.
func (c *Conn) post(fn func()) {
	c.mu.Lock()
	c.events = append(c.events, fn)
	due := c.schedule()
	c.mu.Unlock()
	if due {
		c.submit()
	}
}

// wake has the pump run on the executor. Any goroutine may call it.
func (c *Conn) wake() {
	c.mu.Lock()
	c.pumpDue = true
	due := c.schedule()
	c.mu.Unlock()
	if due {
		c.submit()
	}
}

// schedule reports whether the caller must submit, after it gave the lock back. Called with the lock held.
func (c *Conn) schedule() bool {
	if c.scheduled {
		return false
	}
	c.scheduled = true
	return true
}

// submit has run called. Between the end of the device and Closed nothing runs: Closed takes up what is left.
func (c *Conn) submit() {
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if !closed && c.dev.Post(c.runner) {
		return
	}
	c.mu.Lock()
	if !c.closed {
		c.scheduled = false
		c.mu.Unlock()
		return
	}
	c.mu.Unlock()
	c.e.tasks.spawn(c.runner)
}

// run works off one round of events, and asks for another if there are more.
func (c *Conn) run() {
	done := false
	defer func() {
		if !done { // a callback of the gateway panicked: what is left runs after Closed
			c.mu.Lock()
			c.scheduled = false
			c.mu.Unlock()
		}
	}()
	c.mu.Lock()
	events := c.events
	c.events, c.pumpDue = nil, false
	c.mu.Unlock()
	for _, fn := range events {
		fn()
	}
	c.gathered.Send()
	c.flushAnswers()
	c.pump()
	done = true
	c.vacate(true)
}

// occupy keeps others from posting run while the executor is inside a call that flushes answers at its end; vacate ends that.
func (c *Conn) occupy() (mine bool) {
	c.mu.Lock()
	mine = c.schedule()
	c.mu.Unlock()
	return mine
}

func (c *Conn) vacate(mine bool) {
	if !mine {
		return
	}
	c.mu.Lock()
	more := len(c.events) > 0 || c.pumpDue || c.answered
	c.scheduled = more
	c.mu.Unlock()
	if more {
		c.submit()
	}
}

// flow pumps inside a call of the gateway.
func (c *Conn) flow() {
	mine := c.occupy()
	c.pump()
	c.vacate(mine)
}

// tell runs a callback of the gateway, unless the gateway is gone.
func (c *Conn) tell(fn func()) {
	if !c.shut {
		fn()
	}
}

// takeOver continues without the device: called by Closed, on the executor, as the last thing.
func (c *Conn) takeOver() {
	c.mu.Lock()
	c.closed = true
	due := (len(c.events) > 0 || c.pumpDue || c.answered) && c.schedule()
	c.mu.Unlock()
	if due {
		c.submit()
	}
}
