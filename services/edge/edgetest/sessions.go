package edgetest

import (
	"context"
	"sync"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/session"
)

// Sessions is the tier of session partitions, in memory: attachments, take-over, wills, and persistent sessions on the real state machine.
type Sessions struct {
	router *Router
	set    *session.Settings
	wg     sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	epoch    uint64
	counter  uint64
	streams  map[streamKey]*sessionStream
	clients  map[clientKey]*client
	requests []broker.SessionRequest // all that arrived, repeats too
	answered map[requestKey]broker.SessionReply
	lose     map[broker.SessionOp]int // requests of an op to take, answer nothing to, and break the stream after
	mute     map[broker.SessionOp]bool
	refuse   map[broker.SessionOp]error
	delay    time.Duration
	outSeq   uint64
	queue    []*broker.Message // of the outbox
	routing  bool
}

type streamKey struct {
	gateway   broker.NodeRef
	partition int
}

type requestKey struct {
	streamKey
	id uint64
}

type clientKey struct{ tenant, id string }

// client is one client id.
type client struct {
	at         *sessionStream // nil while offline
	gateway    broker.NodeRef
	conn       uint64
	epoch      broker.ConnEpoch
	attach     broker.Attach
	sess       *session.Session // persistent ones
	will       *broker.Will
	superseded map[uint64]*broker.Will // connections whose Kick is not answered, with their wills
}

func newSessions(r *Router) *Sessions {
	cfg := session.DefaultConfig()
	set, err := session.Prepare(cfg)
	if err != nil {
		panic(err) // the defaults are valid
	}
	return &Sessions{
		router: r, set: set, epoch: 1, streams: map[streamKey]*sessionStream{}, clients: map[clientKey]*client{}, answered: map[requestKey]broker.SessionReply{},
		lose: map[broker.SessionOp]int{}, mute: map[broker.SessionOp]bool{}, refuse: map[broker.SessionOp]error{},
	}
}

// Requests is every request of an op that arrived, repeats included; 0: of all.
func (s *Sessions) Requests(op broker.SessionOp) []broker.SessionRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []broker.SessionRequest
	for _, r := range s.requests {
		if op == 0 || r.Op == op {
			list = append(list, r)
		}
	}
	return list
}

// Lose makes the next n requests of an op be done, left without an answer, and the stream break.
func (s *Sessions) Lose(op broker.SessionOp, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lose[op] = n
}

// Mute makes requests of an op be done and left without an answer.
func (s *Sessions) Mute(op broker.SessionOp, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mute[op] = on
}

// RefuseOp makes requests of an op fail; nil ends that.
func (s *Sessions) RefuseOp(op broker.SessionOp, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse[op] = err
}

// DelayAttach makes the answers to Attach ask for a pause.
func (s *Sessions) DelayAttach(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delay = d
}

// Break ends all streams, as the death of the owners does; the next ones have a newer epoch.
func (s *Sessions) Break() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.epoch++
	for k, st := range s.streams {
		delete(s.streams, k)
		st.end()
	}
}

// Push sends a push to the gateway that a client id is attached to, with its connection and epoch where p has none. false: it is not attached.
func (s *Sessions) Push(tenant, clientID string, p broker.Push) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clients[clientKey{tenant, clientID}]
	if c == nil || c.at == nil {
		return false
	}
	p.Tenant, p.ClientID = tenant, clientID
	if p.Conn == 0 {
		p.Conn = c.conn
	}
	if p.Epoch == (broker.ConnEpoch{}) {
		p.Epoch = c.epoch
	}
	c.at.push(p)
	return true
}

// Attached reports whether a client id has a connection.
func (s *Sessions) Attached(tenant, clientID string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clients[clientKey{tenant, clientID}]
	return c != nil && c.at != nil
}

func (s *Sessions) close() {
	s.mu.Lock()
	s.closed = true
	for _, st := range s.streams {
		st.end()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

// OpenSession implements broker.Sessions.
func (s *Sessions) OpenSession(_ context.Context, o broker.SessionOpen, h broker.SessionHandler) (broker.SessionStream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, broker.E(broker.KindUnavailable, "closed", nil)
	}
	k := streamKey{o.Gateway, o.Partition}
	if old := s.streams[k]; old != nil {
		old.end()
	}
	st := &sessionStream{s: s, key: k, h: h, epoch: s.epoch, done: make(chan struct{}), wake: make(chan struct{}, 1)}
	s.streams[k] = st
	s.wg.Go(st.run)
	return st, nil
}

// OpenDeliver implements broker.Sink: the Router of this package delivers directly.
func (s *Sessions) OpenDeliver(context.Context, broker.DeliverOpen, func([]broker.DeliverAck)) (broker.DeliverStream, error) {
	return nil, broker.E(broker.KindNotOwner, "deliveries come directly", nil)
}

// SnapshotRoutes implements broker.RouteSource.
func (s *Sessions) SnapshotRoutes(context.Context, broker.SnapshotQuery, func([]broker.RouteDelta) error) (broker.SnapshotInfo, error) {
	return broker.SnapshotInfo{}, broker.E(broker.KindNotOwner, "routes are known directly", nil)
}

// sessionStream is one stream; its goroutine is the only one that calls the handler.
type sessionStream struct {
	s     *Sessions
	key   streamKey
	h     broker.SessionHandler
	epoch uint64
	once  sync.Once
	done  chan struct{}
	wake  chan struct{}
	out   []any // broker.SessionReply, broker.Push; under s.mu
}

// Epoch implements broker.SessionStream.
func (st *sessionStream) Epoch() uint64 { return st.epoch }

// Done implements broker.SessionStream.
func (st *sessionStream) Done() <-chan struct{} { return st.done }

// Err implements broker.SessionStream.
func (st *sessionStream) Err() error { return broker.E(broker.KindUnavailable, "stream broken", nil) }

// Close implements broker.SessionStream.
func (st *sessionStream) Close() { st.end() }

func (st *sessionStream) end() { st.once.Do(func() { close(st.done) }) }

func (st *sessionStream) push(p broker.Push) { st.send(p) }

// send queues something for the gateway. Called with the lock held.
func (st *sessionStream) send(v any) {
	st.out = append(st.out, v)
	select {
	case st.wake <- struct{}{}:
	default:
	}
}

// run passes on what is queued until the stream ends.
func (st *sessionStream) run() {
	for {
		select {
		case <-st.done:
			return
		case <-st.wake:
		}
		st.s.mu.Lock()
		out := st.out
		st.out = nil
		st.s.mu.Unlock()
		for _, v := range out {
			switch v := v.(type) {
			case broker.SessionReply:
				st.h.Replies([]broker.SessionReply{v})
			case broker.Push:
				st.h.Pushes([]broker.Push{v})
			}
		}
	}
}

// Send implements broker.SessionStream.
func (st *sessionStream) Send(batch []broker.SessionRequest) error {
	s := st.s
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range batch {
		select {
		case <-st.done:
			return st.Err()
		default:
		}
		r := &batch[i]
		s.requests = append(s.requests, *r)
		k := requestKey{st.key, r.ID}
		reply, known := s.answered[k]
		if known && r.Op == broker.OpAttach {
			s.reattach(st, r)
		}
		if !known {
			reply = s.handle(st, r)
			reply.ID = r.ID
			if r.Op != broker.OpAnnounce && r.Op != broker.OpAck { // a repeated answer of the client asks for PUBREL again
				s.answered[k] = reply
			}
		}
		if s.lose[r.Op] > 0 {
			s.lose[r.Op]--
			delete(s.streams, st.key)
			st.end()
			return nil
		}
		if !s.mute[r.Op] {
			st.send(reply)
		}
		if c := s.clients[clientKey{r.Tenant, r.ClientID}]; c != nil {
			s.pump(c)
		}
	}
	return nil
}

// route sends a message through the outbox, in order, from a goroutine: the caller holds the lock. Called with the lock held.
func (s *Sessions) route(m *broker.Message) {
	s.queue = append(s.queue, m)
	if s.routing || s.closed {
		return
	}
	s.routing = true
	s.wg.Go(func() {
		for {
			s.mu.Lock()
			if len(s.queue) == 0 {
				s.routing = false
				s.mu.Unlock()
				return
			}
			m := s.queue[0]
			s.queue = s.queue[1:]
			s.outSeq++
			seq := s.outSeq
			s.mu.Unlock()
			s.router.route(broker.Source{Kind: broker.FromSession}, &broker.Publish{Seq: seq, Msg: m})
		}
	})
}

// deliver queues a message for every persistent session that wants it.
func (s *Sessions) deliver(m *broker.Message) (matched bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, c := range s.clients {
		if c.sess == nil || k.tenant != m.Tenant {
			continue
		}
		if g, ok := c.sess.MatchTopic(m, ""); ok {
			matched = true
			c.sess.Enqueue(m, g, time.Now())
			s.pump(c)
		}
	}
	return matched
}

// pump pushes what the session has for its connection. Called with the lock held.
func (s *Sessions) pump(c *client) {
	for c.at != nil && c.sess != nil {
		out, ok := c.sess.Next(time.Now(), session.Volatile)
		if !ok {
			return
		}
		if out.Expired {
			c.sess.Ack(broker.ClientAck{Index: out.Index, Kind: broker.AckDropped}, time.Now())
			continue
		}
		p := out.Push
		p.Tenant, p.ClientID, p.Conn, p.Epoch = c.attach.Identity.Tenant, c.attach.Identity.ClientID, c.conn, c.epoch
		c.at.push(p)
	}
}
