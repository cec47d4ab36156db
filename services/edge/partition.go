package edge

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/pando-mq/pando/services/broker"
)

const (
	maxBatchItems   = 256
	maxBatchBytes   = 64 << 10
	maxRequestBytes = 16 << 20 // of one session partition; beyond, what persistent sessions ask for waits, answers to deliveries excepted
)

// partition is this gateway's end towards one session partition: the connections whose client ids live there, and the requests that have no answer yet. They are
// kept until they are answered, and sent again in order on each new stream (rule R3).
//
//	requests: [ sent, some of them answered | not yet sent ]
//	            0 .. sent                     sent .. len
type partition struct {
	e *Edge
	n int

	mu       sync.Mutex
	conns    map[uint64]*Conn    // by connection number, from the Attach request to the Detach's answer
	clients  map[clientKey]*Conn // the newest attached connection of each client id
	requests []*request          // in the order of their ids
	byID     map[uint64]*request // without an answer, announcements included
	first    []*request          // announcements to send before everything else on this stream
	sent     int
	dead     int // answered ones in requests
	bytes    int
	lastID   uint64
	number   uint64 // of the newest stream
	epoch    uint64 // highest partition epoch seen
	stream   broker.SessionStream
	pumping  bool
	serving  bool
	waiters  []func()      // want room
	emptied  chan struct{} // closed when no request is left, made by drain
}

// clientKey names a client id.
type clientKey struct{ tenant, id string }

// request is one request from its making to its answer.
type request struct {
	broker.SessionRequest
	size     int
	done     func(*broker.SessionReply) // not blocking; nil: nobody asks
	answered bool
}

func newPartition(e *Edge, n int) *partition {
	return &partition{e: e, n: n, conns: map[uint64]*Conn{}, clients: map[clientKey]*Conn{}, byID: map[uint64]*request{}}
}

// send queues a request behind those of before. done gets the answer from a goroutine of the stream. After a fence nothing is sent.
func (p *partition) send(r broker.SessionRequest, done func(*broker.SessionReply)) {
	if p.queue(r, done) {
		p.pump()
	}
}

// sendLater is send for callbacks of the stream, which may not send on it themselves.
func (p *partition) sendLater(r broker.SessionRequest, done func(*broker.SessionReply)) {
	if p.queue(r, done) {
		p.e.tasks.spawn(p.pump)
	}
}

// queue adds a request and reports whether there is something to pump.
func (p *partition) queue(r broker.SessionRequest, done func(*broker.SessionReply)) bool {
	q := &request{SessionRequest: r, size: requestSize(&r), done: done}
	p.mu.Lock()
	if p.e.over() {
		p.mu.Unlock()
		return false
	}
	p.lastID++
	q.ID = p.lastID
	p.requests = append(p.requests, q)
	p.byID[q.ID] = q
	p.bytes += q.size
	start := !p.serving
	p.serving = true
	p.mu.Unlock()
	if start {
		p.e.tasks.spawn(func() { p.serve(p.e.ctx) })
	}
	return !start
}

// requestSize is what a request counts against the bounds.
func requestSize(r *broker.SessionRequest) int {
	n := 256
	if r.Publish2 != nil {
		n += r.Publish2.Msg.Size()
	}
	if r.Attach != nil && r.Attach.Will != nil {
		n += r.Attach.Will.Msg.Size()
	}
	for i := range r.Subs {
		n += 64 + len(r.Subs[i].Filter)
	}
	return n
}

// full says that requests have to wait; room calls fn when they need not any more.
func (p *partition) full() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bytes >= maxRequestBytes
}

func (p *partition) room(fn func()) {
	p.mu.Lock()
	if p.bytes < maxRequestBytes {
		p.mu.Unlock()
		fn()
		return
	}
	p.waiters = append(p.waiters, fn)
	p.mu.Unlock()
}

// pump sends what is due. At most one goroutine sends at a time, so the order holds; who finds another one sending leaves the rest to it.
func (p *partition) pump() {
	p.mu.Lock()
	if p.pumping {
		p.mu.Unlock()
		return
	}
	p.pumping = true
	for {
		stream, batch := p.stream, p.takeBatch()
		if len(batch) == 0 {
			p.pumping = false
			p.mu.Unlock()
			return
		}
		p.mu.Unlock()
		_ = stream.Send(batch) // a dead stream is seen by serve, which begins again
		p.mu.Lock()
	}
}

// takeBatch collects the next requests to send. Called with the lock held.
func (p *partition) takeBatch() []broker.SessionRequest {
	if p.stream == nil {
		return nil
	}
	var batch []broker.SessionRequest
	size := 0
	for len(p.first) > 0 && len(batch) < maxBatchItems && size < maxBatchBytes {
		size += p.first[0].size
		batch = append(batch, p.first[0].SessionRequest)
		p.first[0] = nil
		p.first = p.first[1:]
	}
	for p.sent < len(p.requests) && len(p.first) == 0 && len(batch) < maxBatchItems && size < maxBatchBytes {
		if q := p.requests[p.sent]; !q.answered {
			size += q.size
			batch = append(batch, q.SessionRequest)
		}
		p.sent++
	}
	return batch
}

// replied takes answers of stream number.
func (p *partition) replied(number uint64, replies []broker.SessionReply) {
	answered := make([]*request, 0, len(replies))
	p.mu.Lock()
	if number != p.number {
		p.mu.Unlock()
		return
	}
	for i := range replies {
		q := p.byID[replies[i].ID]
		answered = append(answered, q)
		if q == nil {
			continue
		}
		delete(p.byID, q.ID)
		q.answered = true
		if q.Op != broker.OpAnnounce {
			p.bytes -= q.size
			p.dead++
		}
	}
	p.tidy()
	wake := p.wakers()
	p.mu.Unlock()
	for i, q := range answered {
		if q != nil && q.done != nil {
			q.done(&replies[i])
		}
	}
	for _, fn := range wake {
		fn()
	}
}

// wakers takes out who waits for room. Called with the lock held.
func (p *partition) wakers() []func() {
	if p.bytes > maxRequestBytes/2 {
		return nil
	}
	wake := p.waiters
	p.waiters = nil
	return wake
}

// tidy forgets answered requests: at the front always, in the middle when they are many. Called with the lock held.
func (p *partition) tidy() {
	n := 0
	for n < len(p.requests) && p.requests[n].answered {
		p.requests[n] = nil
		n++
	}
	p.requests = p.requests[n:]
	p.sent = max(0, p.sent-n)
	p.dead -= n
	if p.dead > 64 && p.dead > len(p.requests)/2 {
		kept := make([]*request, 0, len(p.requests)-p.dead)
		sent := 0
		for i, q := range p.requests {
			if q.answered {
				continue
			}
			kept = append(kept, q)
			if i < p.sent {
				sent++
			}
		}
		p.requests, p.sent, p.dead = kept, sent, 0
	}
	if len(p.requests) == 0 {
		p.requests = nil
		if p.emptied != nil {
			close(p.emptied)
			p.emptied = nil
		}
	}
}

// drain waits until every request is answered.
func (p *partition) drain(ctx context.Context) error {
	p.mu.Lock()
	if len(p.requests) == 0 {
		p.mu.Unlock()
		return nil
	}
	if p.emptied == nil {
		p.emptied = make(chan struct{})
	}
	emptied := p.emptied
	p.mu.Unlock()
	return wait(ctx, emptied, "answers of session partitions")
}

// all lists the connections in order of their numbers.
func (p *partition) all() []*Conn {
	p.mu.Lock()
	list := slices.Collect(maps.Values(p.conns))
	p.mu.Unlock()
	slices.SortFunc(list, func(a, b *Conn) int { return int(int64(a.number) - int64(b.number)) })
	return list
}

// client finds the attached connection of a client id.
func (p *partition) client(k clientKey) *Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.clients[k]
}

// join registers a connection for pushes, before its Attach is sent.
func (p *partition) join(c *Conn) {
	p.mu.Lock()
	p.conns[c.number] = c
	p.mu.Unlock()
}

// attached makes c the client id's connection, unless a newer one is.
func (p *partition) attached(c *Conn, k clientKey, epoch broker.ConnEpoch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if o := p.clients[k]; o == nil || !epoch.Less(o.epochNow()) {
		p.clients[k] = c
	}
}

// leave forgets a connection.
func (p *partition) leave(c *Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c.number)
	if k := c.key(); p.clients[k] == c {
		delete(p.clients, k)
	}
}
