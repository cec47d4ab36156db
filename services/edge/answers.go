package edge

import "github.com/pando-mq/pando/services/broker"

// answers are the publishes of one QoS that wait for their answer, in order. The router answers different topics in any order; the client gets PUBACKs, and
// PUBRECs, in the order of its publishes (MQTT 5.0 §4.6).
type answers struct {
	list []*answer
	head int
}

func (a *answers) push(x *answer) { a.list = append(a.list, x) }

// pop takes the first one if it is ready.
func (a *answers) pop() *answer {
	if a.head == len(a.list) || !a.list[a.head].ready {
		return nil
	}
	x := a.list[a.head]
	a.list[a.head] = nil
	a.head++
	switch {
	case a.head == len(a.list):
		a.list, a.head = a.list[:0], 0
		if cap(a.list) > 16 {
			a.list = nil
		}
	case a.head > 64 && a.head > len(a.list)/2:
		a.list = append(a.list[:0], a.list[a.head:]...)
		a.head = 0
	}
	return x
}

func (a *answers) empty() bool { return a.head == len(a.list) }

// answer is one publish that waits for its answer.
type answer struct {
	c     *Conn
	done  func(PublishResult)
	res   PublishResult
	size  int
	local bool // a $local subscription took the message
	ready bool // under c.mu
}

// Acked implements route.Waiter: the router answered.
func (a *answer) Acked(r broker.PublishAck) {
	res := PublishResult{Matched: r.Matched || a.local}
	if r.Refused {
		res.Err = errRefused
	}
	a.finish(res)
}

// expect gives a publish its place among the answers.
func (c *Conn) expect(qos broker.QoS, id uint16, size int, done func(PublishResult)) *answer {
	a := &answer{c: c, done: done, size: size, res: PublishResult{PacketID: id, QoS: qos}}
	if qos == 0 { // answered in no order
		return a
	}
	c.mu.Lock()
	c.answers[min(qos, 2)-1].push(a)
	c.unacked += size
	over := c.unacked > int(c.e.cfg.Publish.MaxUnacked)
	c.mu.Unlock()
	if over {
		c.hold(holdUnacked, true)
	}
	return a
}

// finish answers; nil asks for nothing. Any goroutine may call it.
func (a *answer) finish(r PublishResult) {
	if a == nil {
		return
	}
	c := a.c
	r.PacketID, r.QoS = a.res.PacketID, a.res.QoS
	if a.res.QoS == 0 {
		c.post(func() { c.tell(func() { a.done(r) }) })
		return
	}
	c.mu.Lock()
	if a.ready {
		c.mu.Unlock()
		return
	}
	a.res, a.ready, c.answered = r, true, true
	due := c.schedule()
	c.mu.Unlock()
	if due {
		c.submit()
	}
}

// flushAnswers calls back for every publish that is answered and has no unanswered one of its QoS before it.
func (c *Conn) flushAnswers() {
	flushed := 0
	for {
		c.mu.Lock()
		a := c.answers[0].pop()
		if a == nil {
			a = c.answers[1].pop()
		}
		if a == nil {
			c.answered = false
			low := c.unacked <= int(c.e.cfg.Publish.MaxUnacked)/2
			c.mu.Unlock()
			if flushed > 0 && low {
				c.hold(holdUnacked, false)
			}
			break
		}
		c.unacked -= a.size
		c.mu.Unlock()
		flushed++
		if !c.e.over() && !c.shut {
			a.done(a.res)
		}
	}
	if flushed > 0 && c.ended {
		c.settleKick()
		c.retire()
	}
}
