package brokertest

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pando-mq/pando/services/broker"
)

// SessionsHarness is a tier of session partitions to be tested. It must use Upstream as its router: to publish, to read retained messages, and as the one
// router process in view, which owns every topic partition.
type SessionsHarness struct {
	Sessions broker.Sessions
	Admin    broker.SessionAdmin // of the process that owns every partition
	Upstream *Upstream

	Partition      func(tenant, clientID string) int
	TopicPartition func(tenant, topic string) int

	StartGateway  func(id string) broker.NodeRef                         // a gateway incarnation that the owners see; no id comes twice
	StopGateway   func(ref broker.NodeRef)                               // its key is gone; returns when the owners see that
	StartRouter   func(id string, node broker.RouterNode) broker.NodeRef // one more router process in view, which owns no topic partition
	StopRouter    func(ref broker.NodeRef)                               // it leaves the view
	MovePartition func(partition int)                                    // a new owner with a newer epoch, which knows what was durable
	HoldLog       func(partition int) (release func())                   // nothing of the partition becomes durable until release
}

// TestSessions checks an implementation of broker.Sessions and SessionAdmin. open makes a fresh one for each sentence.
func TestSessions(t *testing.T, open func(t *testing.T) SessionsHarness) {
	sessionsSuite(tested{t}, opener(open))
}

func sessionsSuite(t T, open func(T) SessionsHarness) {
	runSentences(t, func(t T) *sessioned {
		h := open(t)
		h.StartGateway = numbered(h.StartGateway)
		return &sessioned{t: t, SessionsHarness: h}
	},
		sessionStreamSentences(), attachSentences(), takeoverSentences(), subscribeSentences(), pushSentences(), qos2Sentences(), willSentences(),
		sessionRouteSentences(), sessionAdminSentences(),
		adapt("session partition", sinkSentences(), sessionSink), adapt("session partition", durableSentences(), sessionSink),
		adapt("session partition", wantedSentences(), sessionSink), adapt("session partition", noReceiverSentences(), sessionSink))
}

// sessioned is a SessionsHarness with what the sentences share.
type sessioned struct {
	t T
	SessionsHarness
	conns atomic.Uint64
	ids   atomic.Uint64
}

// link is the session stream of one gateway to one partition, with everything that came on it.
type link struct {
	h         *sessioned
	ref       broker.NodeRef
	partition int
	stream    broker.SessionStream
	inside    atomic.Int32

	mu      sync.Mutex
	replies []broker.SessionReply
	pushes  []broker.Push
	overlap bool
	late    bool
	done    <-chan struct{}
}

// Replies implements broker.SessionHandler.
func (l *link) Replies(batch []broker.SessionReply) {
	defer l.called()()
	l.replies = append(l.replies, batch...)
}

// Pushes implements broker.SessionHandler.
func (l *link) Pushes(batch []broker.Push) {
	defer l.called()()
	l.pushes = append(l.pushes, batch...)
}

// called notes a call of the handler; the lock is held until the returned function runs.
func (l *link) called() func() {
	overlap := l.inside.Add(1) > 1
	l.mu.Lock()
	l.overlap = l.overlap || overlap
	l.late = l.late || l.done != nil && closed(l.done)
	return func() {
		l.mu.Unlock()
		l.inside.Add(-1)
	}
}

// sane fails the test if the handler was misused.
func (l *link) sane() {
	l.h.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.overlap {
		l.h.t.Errorf("the handler was called while it was running")
	}
	if l.late {
		l.h.t.Errorf("the handler was called after Done was closed")
	}
}

// link opens a stream of a new gateway to the partition of a client id.
func (h *sessioned) link(clientID string) *link {
	h.t.Helper()
	return h.linkOf(h.StartGateway("gateway"), clientID)
}

// linkOf opens the next stream of a gateway, as often as it takes: the owner may not see the gateway yet, or there is none just now.
func (h *sessioned) linkOf(ref broker.NodeRef, clientID string) *link {
	h.t.Helper()
	l := &link{h: h, ref: ref, partition: h.Partition("", clientID)}
	var err error
	ok := poll(patienceOf(h.t), func() bool {
		l.stream, err = h.Sessions.OpenSession(h.t.Context(), l.open(), l)
		return err == nil
	})
	if !ok {
		h.t.Fatalf("open session stream: %v", err)
	}
	l.mu.Lock()
	l.done = l.stream.Done()
	l.mu.Unlock()
	h.t.Cleanup(l.stream.Close)
	return l
}

func (l *link) open() broker.SessionOpen {
	return broker.SessionOpen{Gateway: l.ref, NodeName: l.ref.ID + "@host", Partition: l.partition}
}

// send sends one request under the next id.
func (l *link) send(r broker.SessionRequest) uint64 {
	l.h.t.Helper()
	if r.ID == 0 {
		r.ID = l.h.ids.Add(1)
	}
	wantNil(l.h.t, l.stream.Send([]broker.SessionRequest{r}))
	return r.ID
}

// find is the answer to a request.
func (l *link) find(id uint64) (broker.SessionReply, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.replies, func(r broker.SessionReply) bool { return r.ID == id })
	if i < 0 {
		return broker.SessionReply{}, false
	}
	return l.replies[i], true
}

// reply waits for the answer to a request.
func (l *link) reply(id uint64) (r broker.SessionReply) {
	l.h.t.Helper()
	if !poll(patienceOf(l.h.t), func() bool {
		var ok bool
		r, ok = l.find(id)
		return ok
	}) {
		l.h.t.Fatalf("request %d is never answered; the stream says %v", id, l.stream.Err())
	}
	l.sane()
	return r
}

// ask sends a request and waits for its answer.
func (l *link) ask(r broker.SessionRequest) broker.SessionReply {
	l.h.t.Helper()
	return l.reply(l.send(r))
}

// unanswered checks that a request gets no answer now.
func (l *link) unanswered(id uint64, why string) {
	l.h.t.Helper()
	never(l.h.t, func() bool { _, ok := l.find(id); return ok }, "an answer %s", why)
}

// pushed is what was pushed with an op for a connection, in order.
func (l *link) pushed(op broker.PushOp, conn uint64) (list []broker.Push) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, x := range l.pushes {
		if x.Op == op && x.Conn == conn {
			list = append(list, x)
		}
	}
	return list
}

// device is one connection of a client id.
type device struct {
	*link
	id     string
	conn   uint64
	epoch  broker.ConnEpoch
	attach broker.Attach
	answer broker.AttachReply

	attachID uint64 // of the Attach
}

// persistent are the parameters of a persistent session.
func persistent() broker.Attach {
	return broker.Attach{Expiry: time.Hour, Window: 10}
}

// connect attaches a new connection of a client id.
func (l *link) connect(id string, a broker.Attach) *device {
	l.h.t.Helper()
	d := &device{link: l, id: id, conn: l.h.conns.Add(1), attach: a}
	a.Identity = broker.Identity{ClientID: id, Username: "user-" + id}
	a.At = time.Now()
	d.attach = a
	d.attachID = l.send(d.request(broker.SessionRequest{Op: broker.OpAttach}))
	r := l.reply(d.attachID)
	wantNil(l.h.t, r.Err)
	if r.Attach == nil {
		l.h.t.Fatalf("the answer to an Attach is empty")
	}
	d.answer, d.epoch = *r.Attach, r.Attach.Epoch
	return d
}

// neighbour is another client id of the same partition.
func (h *sessioned) neighbour(clientID string) string {
	for n := 0; ; n++ {
		if id := clientID + strconv.Itoa(n); h.Partition("", id) == h.Partition("", clientID) {
			return id
		}
	}
}

// connect makes a persistent client on a gateway of its own.
func (h *sessioned) connect(id string) *device {
	h.t.Helper()
	return h.link(id).connect(id, persistent())
}

// request fills in whose request it is.
func (d *device) request(r broker.SessionRequest) broker.SessionRequest {
	r.ClientID, r.Conn, r.Epoch = d.id, d.conn, d.epoch
	if r.Op == broker.OpAttach {
		r.Attach, r.Epoch = &d.attach, broker.ConnEpoch{}
	}
	return r
}

// do asks something that must be answered without error.
func (d *device) do(r broker.SessionRequest) broker.SessionReply {
	d.h.t.Helper()
	got := d.ask(d.request(r))
	wantNil(d.h.t, got.Err)
	return got
}

func (d *device) subscribe(filters ...string) []broker.SubscribeReply {
	d.h.t.Helper()
	var subs []broker.Subscription
	for _, f := range filters {
		subs = append(subs, broker.Subscription{Filter: f, QoS: 2, RetainHandling: 2})
	}
	return d.do(broker.SessionRequest{Op: broker.OpSubscribe, Subs: subs}).Subs
}

func (d *device) ack(index uint64, kind broker.AckKind) {
	d.h.t.Helper()
	d.do(broker.SessionRequest{Op: broker.OpAck, Ack: &broker.ClientAck{Index: index, Kind: kind}})
}

func (d *device) detach(x broker.Detach) {
	d.h.t.Helper()
	x.At = time.Now()
	d.do(broker.SessionRequest{Op: broker.OpDetach, Detach: &x})
}

// announce repeats the attachment on the device's present link.
func (d *device) announce(inflight ...broker.Inflight) broker.SessionReply {
	d.h.t.Helper()
	return d.ask(d.request(broker.SessionRequest{Op: broker.OpAnnounce, Announce: &broker.Announce{Attach: d.attach, Inflight: inflight}}))
}

// publishes are the messages pushed to the device.
func (d *device) publishes() []broker.Push { return d.pushed(broker.PushPublish, d.conn) }

// receives waits for n messages.
func (d *device) receives(n int) []broker.Push {
	d.h.t.Helper()
	if !poll(patienceOf(d.h.t), func() bool { return len(d.publishes()) >= n }) {
		d.h.t.Fatalf("%d messages were pushed, want %d", len(d.publishes()), n)
	}
	d.sane()
	return d.publishes()
}

// texts are the payloads of pushes.
func texts(list []broker.Push) (out []string) {
	for _, x := range list {
		out = append(out, string(x.Msg.Payload))
	}
	return out
}

// wantTexts checks payloads: 0, 1, 2, ...
func wantTexts(t T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("messages %q, want %q", got, want)
	}
}

// router is a source of deliveries to the partition of a client id.
type router struct {
	*deliverer
	sent int
}

func (h *sessioned) router(clientID string) *router {
	h.t.Helper()
	ref := h.StartGateway("publisher")
	u := sinkUnderTest{sink: h.Sessions, partition: h.Partition("", clientID), source: broker.Source{Incarnation: ref.Incarnation}}
	return &router{deliverer: u.reopen(h.t, 1, baseEpoch)}
}

// deliver sends n messages to a topic, with payloads "0", "1", ..., and waits until they are answered.
func (r *router) deliver(topic string, n int, qos broker.QoS) {
	r.t.Helper()
	for range n {
		r.mustSend(uint64(r.sent+1), &broker.Message{Topic: topic, Payload: []byte(strconv.Itoa(r.sent)), QoS: qos, From: "publisher", Published: time.Now()})
		r.sent++
	}
	r.wait(uint64(r.sent))
}

// sessionSink is a session partition as a sink: one session takes everything at w/#.
func sessionSink(t T, h *sessioned) sinkUnderTest {
	d := h.link("taker").connect("taker", broker.Attach{Expiry: time.Hour, Window: 1000})
	d.subscribe("w/#")
	ref := h.StartGateway("source")
	n := h.Partition("", "taker")
	u := sinkUnderTest{
		sink: h.Sessions, partition: n, durable: true, source: broker.Source{Incarnation: ref.Incarnation},
		message: func(i int) *broker.Message {
			return &broker.Message{Topic: "w/1", Payload: fmt.Appendf(nil, "%d", i), QoS: 1, Published: time.Now()}
		},
		unwanted: func() *broker.Message { return &broker.Message{Topic: "x", QoS: 1, Published: time.Now()} },
		routes: func(t T) (broker.SnapshotInfo, error) {
			q := broker.SnapshotQuery{Router: broker.NodeRef{ID: "reader", Incarnation: 1}, Partition: n, Wildcards: true}
			return h.Sessions.SnapshotRoutes(t.Context(), q, func([]broker.RouteDelta) error { return nil })
		},
	}
	u.newest, u.count = taker(h, d)
	if h.HoldLog != nil {
		u.hold = func() func() { return h.HoldLog(n) }
	}
	if h.MovePartition != nil {
		u.move = func() {
			h.MovePartition(n)
			d.link = h.linkOf(d.ref, "taker")
			wantNil(t, d.announce(d.inflight()...).Err)
		}
	}
	if h.StopGateway != nil {
		dead := h.StartGateway("dead")
		h.StopGateway(dead)
		u.dead = broker.Source{Incarnation: dead.Incarnation}
	}
	return u
}

// inflight is what the device knows to be under way.
func (d *device) inflight() (list []broker.Inflight) {
	for _, x := range d.publishes() {
		list = append(list, broker.Inflight{Index: x.Index, PacketID: x.PacketID, QoS: x.QoS})
	}
	return list
}

// taker reads what a device got, on all links that it had.
func taker(h *sessioned, d *device) (newest func() string, count func() int) {
	old := []string{}
	last := d.link
	all := func() []string {
		if d.link != last {
			for _, x := range last.pushed(broker.PushPublish, d.conn) {
				old = append(old, string(x.Msg.Payload))
			}
			last = d.link
		}
		return append(slices.Clone(old), texts(d.publishes())...)
	}
	newest = func() string {
		list := all()
		if len(list) == 0 {
			return ""
		}
		return list[len(list)-1]
	}
	return newest, func() int { return len(all()) }
}
