package sessionstore_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
)

// gateway is a fake gateway: a member of the cluster with a session stream to each partition.
type gateway struct {
	broker.Gateway // what a session-store does not use
	w              *world
	ref            broker.NodeRef
	member         cluster.Member

	mu      sync.Mutex
	streams map[int]broker.SessionStream
	replies map[uint64]broker.SessionReply
	pushes  []broker.Push
	next    uint64 // request id
	conns   uint64
	shares  []string // copies of shared groups that came in
	noGroup bool     // answer them with NoReceiver
}

func (w *world) gateway(id string) *gateway {
	w.t.Helper()
	g := w.gatewayMember(id)
	w.gws[g.ref.Incarnation] = g
	g.open()
	return g
}

func (w *world) gatewayMember(id string) *gateway {
	w.t.Helper()
	m, err := w.cluster.Register(w.t.Context(), cluster.Node{Role: cluster.Gateway, ID: id})
	if err != nil {
		w.t.Fatal(err)
	}
	return &gateway{w: w, member: m, ref: broker.NodeRef{ID: id, Incarnation: m.Node().Incarnation}, replies: map[uint64]broker.SessionReply{}}
}

// open opens streams to all partitions, in place of those that are there.
func (g *gateway) open() {
	g.w.t.Helper()
	streams := map[int]broker.SessionStream{}
	for n := range sessions {
		s, err := g.w.store.OpenSession(context.Background(), broker.SessionOpen{Gateway: g.ref, NodeName: g.ref.ID + "@test", Partition: n}, g)
		if err != nil {
			g.w.t.Fatal(err)
		}
		streams[n] = s
	}
	g.mu.Lock()
	g.streams = streams
	g.mu.Unlock()
}

// gone ends the lease of the gateway.
func (g *gateway) gone() {
	g.member.(interface{ Expire(context.Context) }).Expire(context.Background())
	settle()
}

func (g *gateway) Replies(replies []broker.SessionReply) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, r := range replies {
		if _, ok := g.replies[r.ID]; ok {
			g.w.t.Errorf("request %d answered twice", r.ID)
		}
		g.replies[r.ID] = r
	}
}

func (g *gateway) Pushes(pushes []broker.Push) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pushes = append(g.pushes, pushes...)
}

// take returns the pushes since the last call, as text.
func (g *gateway) take() (all []string) {
	settle()
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.pushes {
		all = append(all, text(p))
	}
	g.pushes = nil
	return all
}

func itoa(n uint64) string { return fmt.Sprint(n) }

func text(p broker.Push) string {
	switch p.Op {
	case broker.PushPublish:
		s := fmt.Sprintf("publish %s=%s qos%d", p.Msg.Topic, p.Msg.Payload, p.QoS)
		if p.QoS > 0 {
			s += fmt.Sprintf(" id%d", p.PacketID)
		}
		if p.Dup {
			s += " dup"
		}
		if p.Retain {
			s += " retain"
		}
		return s
	case broker.PushRelease:
		return fmt.Sprintf("release id%d", p.PacketID)
	case broker.PushKick:
		return fmt.Sprintf("kick %s/%d %s", p.ClientID, p.Conn, p.Reason)
	case broker.PushSettled:
		return fmt.Sprintf("settled %s/%d", p.ClientID, p.Conn)
	}
	return fmt.Sprintf("op %d", p.Op)
}

// send sends a request under the next id, and returns the id.
func (g *gateway) send(r broker.SessionRequest) uint64 {
	g.mu.Lock()
	g.next++
	r.ID = g.next
	g.mu.Unlock()
	g.repeat(r)
	return r.ID
}

// repeat sends a request that has its id already. An answer to an earlier sending is forgotten.
func (g *gateway) repeat(r broker.SessionRequest) {
	g.mu.Lock()
	delete(g.replies, r.ID)
	s := g.streams[partitionOf(r.ClientID)]
	g.mu.Unlock()
	_ = s.Send([]broker.SessionRequest{r})
}

// reply is the answer to a request, nil if there is none.
func (g *gateway) reply(id uint64) *broker.SessionReply {
	settle()
	g.mu.Lock()
	defer g.mu.Unlock()
	if r, ok := g.replies[id]; ok {
		return &r
	}
	return nil
}

// do sends a request and wants an answer.
func (g *gateway) do(r broker.SessionRequest) broker.SessionReply {
	g.w.t.Helper()
	reply := g.reply(g.send(r))
	if reply == nil {
		g.w.t.Fatalf("no answer to operation %d of %q", r.Op, r.ClientID)
	}
	return *reply
}

func (g *gateway) again(r broker.SessionRequest) broker.SessionReply {
	g.w.t.Helper()
	g.repeat(r)
	reply := g.reply(r.ID)
	if reply == nil {
		g.w.t.Fatalf("no answer to the repeat of operation %d of %q", r.Op, r.ClientID)
	}
	return *reply
}

// OpenDeliver takes copies of shared groups.
func (g *gateway) OpenDeliver(_ context.Context, o broker.DeliverOpen, acks func([]broker.DeliverAck)) (broker.DeliverStream, error) {
	if o.Topic >= topics {
		return nil, broker.Errorf(broker.KindInvalid, "topic partition %d", o.Topic)
	}
	return &gatewaySink{g: g, acks: acks, done: make(chan struct{})}, nil
}

type gatewaySink struct {
	g    *gateway
	acks func([]broker.DeliverAck)
	no   uint64
	done chan struct{}
	once sync.Once
}

func (s *gatewaySink) Done() <-chan struct{} { return s.done }
func (s *gatewaySink) Err() error            { return broker.E(broker.KindUnavailable, "closed", nil) }
func (s *gatewaySink) Close()                { s.once.Do(func() { close(s.done) }) }
func (s *gatewaySink) Send(batch []broker.Delivery) error {
	for _, d := range batch {
		s.no++
		s.g.mu.Lock()
		a := broker.DeliverAck{No: s.no}
		if s.g.noGroup {
			a.Result = broker.NoReceiver
		} else {
			s.g.shares = append(s.g.shares, string(d.Msg.Payload))
		}
		s.g.mu.Unlock()
		s.acks([]broker.DeliverAck{a})
	}
	return nil
}

// silent takes deliveries and never answers.
type silent struct{ *gateway }

func (s *silent) OpenDeliver(context.Context, broker.DeliverOpen, func([]broker.DeliverAck)) (broker.DeliverStream, error) {
	return &gatewaySink{g: s.gateway, acks: func([]broker.DeliverAck) {}, done: make(chan struct{})}, nil
}

// device is one connection of one client id.
type device struct {
	g      *gateway
	id     string
	conn   uint64
	epoch  broker.ConnEpoch
	attach broker.SessionRequest // as it was sent
	reply  *broker.AttachReply
}

// options of an Attach.
type options struct {
	clean  bool
	expiry time.Duration
	window uint16
	will   *broker.Will
}

var persistent = options{expiry: time.Hour}

// connecting sends an Attach.
func (g *gateway) connecting(id string, o options) *device {
	g.mu.Lock()
	g.conns++
	d := &device{g: g, id: id, conn: g.conns}
	g.mu.Unlock()
	if o.window == 0 {
		o.window = 100
	}
	d.attach = broker.SessionRequest{Op: broker.OpAttach, ClientID: id, Conn: d.conn, Attach: &broker.Attach{
		Identity: broker.Identity{ClientID: id, Username: "user-" + id}, CleanStart: o.clean, Expiry: o.expiry, Window: o.window, Will: o.will, At: time.Now(),
	}}
	d.attach.ID = g.send(d.attach)
	return d
}

// connected takes the answer to the Attach.
func (d *device) connected() *device {
	d.g.w.t.Helper()
	r := d.g.reply(d.attach.ID)
	if r == nil || r.Err != nil || r.Attach == nil {
		d.g.w.t.Fatalf("attach of %q answered %+v", d.id, r)
	}
	d.reply, d.epoch = r.Attach, r.Attach.Epoch
	return d
}

func (g *gateway) connect(id string, o options) *device {
	g.w.t.Helper()
	return g.connecting(id, o).connected()
}

func (d *device) request(op broker.SessionOp) broker.SessionRequest {
	return broker.SessionRequest{Op: op, ClientID: d.id, Conn: d.conn, Epoch: d.epoch}
}

// must does a request that has to succeed.
func (d *device) must(r broker.SessionRequest) broker.SessionReply {
	d.g.w.t.Helper()
	reply := d.g.do(r)
	if reply.Err != nil {
		d.g.w.t.Fatalf("operation %d of %q: %v", r.Op, d.id, reply.Err)
	}
	return reply
}

func (d *device) subscribe(filter string, qos broker.QoS) {
	d.g.w.t.Helper()
	r := d.request(broker.OpSubscribe)
	r.Subs = []broker.Subscription{{Filter: filter, QoS: qos, RetainHandling: 2}}
	if reply := d.must(r); reply.Subs[0].Err != nil {
		d.g.w.t.Fatal(reply.Subs[0].Err)
	}
}

func (d *device) detach(x broker.Detach) {
	d.g.w.t.Helper()
	r := d.request(broker.OpDetach)
	r.Detach = &x
	d.must(r)
}

// leave is a normal DISCONNECT.
func (d *device) leave() {
	d.g.w.t.Helper()
	d.detach(broker.Detach{Reason: "normal", DropWill: true})
}

func (d *device) ack(index uint64, kind broker.AckKind) {
	d.g.w.t.Helper()
	r := d.request(broker.OpAck)
	r.Ack = &broker.ClientAck{Index: index, Kind: kind}
	d.must(r)
}

func (d *device) announce(table ...broker.Inflight) broker.SessionReply {
	d.g.w.t.Helper()
	r := d.request(broker.OpAnnounce)
	r.Announce = &broker.Announce{Attach: *d.attach.Attach, Inflight: table}
	return d.g.do(r)
}

func (d *device) kicked() {
	d.g.w.t.Helper()
	d.must(d.request(broker.OpKicked))
}

func (d *device) publish2(id uint16, topic, payload string) broker.SessionRequest {
	r := d.request(broker.OpPublish2)
	r.Publish2 = &broker.Publish2{PacketID: id, Msg: message(topic, payload, 2)}
	return r
}

func message(topic, payload string, qos broker.QoS) *broker.Message {
	return &broker.Message{Topic: topic, Payload: []byte(payload), QoS: qos, Published: time.UnixMilli(time.Now().UnixMilli())}
}

// source is a router's deliver stream to one partition.
type source struct {
	w      *world
	stream broker.DeliverStream
	source broker.Source
	seq    uint64
	no     uint64
	mu     sync.Mutex
	acks   []broker.DeliverAck
}

func (w *world) deliverOpen(partition int, o broker.DeliverOpen) (*source, error) {
	s := &source{w: w, source: broker.Source{Kind: broker.FromRetained, Topic: o.Topic}}
	o.Partition = partition
	var sink broker.Sink = w.store
	if w.front != nil {
		sink = w.front
	}
	stream, err := sink.OpenDeliver(context.Background(), o, func(acks []broker.DeliverAck) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.acks = append(s.acks, acks...)
	})
	s.stream = stream
	return s, err
}

// sourceTo opens a stream in epoch 1 of topic partition 0 to the partition of a client id.
func (w *world) sourceTo(id string) *source {
	w.t.Helper()
	s, err := w.deliverOpen(partitionOf(id), broker.DeliverOpen{Topic: 0, TopicEpoch: 1})
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// send sends a message under the next number and returns the delivery's place on the stream.
func (s *source) send(m *broker.Message, shares ...broker.ShareCopy) uint64 {
	s.seq++
	return s.repeat(s.seq, m, shares...)
}

func (s *source) repeat(seq uint64, m *broker.Message, shares ...broker.ShareCopy) uint64 {
	s.no++
	_ = s.stream.Send([]broker.Delivery{{Source: s.source, Seq: seq, Msg: m, Plain: len(shares) == 0, Shares: shares}})
	return s.no
}

// result is the answer to a delivery; ok is false while there is none.
func (s *source) result(no uint64) (a broker.DeliverAck, ok bool) {
	settle()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.acks {
		if a.No == no || a.Result == broker.OK && a.No > no {
			return a, true
		}
	}
	return broker.DeliverAck{}, false
}

// must sends a message that has to be answered OK.
func (s *source) must(m *broker.Message, shares ...broker.ShareCopy) {
	s.w.t.Helper()
	if a, ok := s.result(s.send(m, shares...)); !ok || a.Result != broker.OK {
		s.w.t.Fatalf("delivery answered %+v, %v", a, ok)
	}
}

// want compares lists.
func (w *world) want(what string, got []string, want ...string) {
	w.t.Helper()
	if !slices.Equal(got, want) {
		w.t.Fatalf("%s:\n got  %s\n want %s", what, strings.Join(got, ", "), strings.Join(want, ", "))
	}
}

// wantKind compares an error's kind.
func (w *world) wantKind(what string, err error, kind broker.Kind) {
	w.t.Helper()
	if err == nil || broker.KindOf(err) != kind {
		w.t.Fatalf("%s: %v, want %v", what, err, kind)
	}
}

func clusterTopic(name string) int { return cluster.Partition("", name, topics) }

// settleLong gives time to retries.
func settleLong() {
	time.Sleep(3 * time.Second)
	settle()
}
