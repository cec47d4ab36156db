package edge

import (
	"sync"

	"github.com/pando-mq/pando/services/broker"
)

// answers are the publishes of one QoS that wait for their answer, in order: a list linked through them, which needs no memory when it is empty. The router answers
// different topics in any order; the client gets PUBACKs, and PUBRECs, in the order of its publishes (MQTT 5.0 §4.6).
type answers struct{ first, last *answer }

func (a *answers) push(x *answer) {
	if a.last == nil {
		a.first = x
	} else {
		a.last.next = x
	}
	a.last = x
}

// pop takes the first one if it is ready.
func (a *answers) pop() *answer {
	x := a.first
	if x == nil || !x.ready {
		return nil
	}
	if a.first = x.next; a.first == nil {
		a.last = nil
	}
	x.next = nil // its neighbours in memory outlive it
	return x
}

func (a *answers) empty() bool { return a.first == nil }

// answer is one publish that waits for its answer.
type answer struct {
	c     *Conn
	done  func(PublishResult)
	next  *answer // among the answers of the same QoS
	res   PublishResult
	size  int
	local bool // a $local subscription took the message
	ready bool // under c.mu
}

// answerRoom is memory for answers that come. One allocation serves many: they live for about as long as one another, since the router answers soon or the
// connection ends. They are not used again, because an answer may be finished twice.
type answerRoom struct{ free []answer }

const answersAtOnce = 32

var answerRooms = sync.Pool{New: func() any { return new(answerRoom) }}

func newAnswer() *answer {
	r := answerRooms.Get().(*answerRoom)
	if len(r.free) == 0 {
		r.free = make([]answer, answersAtOnce)
	}
	a := &r.free[0]
	r.free = r.free[1:]
	answerRooms.Put(r)
	return a
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
	a := newAnswer()
	a.c, a.done, a.size, a.res = c, done, size, PublishResult{PacketID: id, QoS: qos}
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
