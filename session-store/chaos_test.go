package sessionstore_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/broker/brokertest"
)

// life is a persistent client behind gateways, with the rules that both keep: the client forgets no packet id, the gateway keeps its requests until they are
// answered and repeats them to a new owner after it announced the connection with its inflight table (rules R3, R5).
type life struct {
	w    *world
	rnd  *rand.Rand
	gws  []*gateway
	d    *device
	taps int // pushes seen of the present gateway

	table   map[uint64]broker.Inflight
	waiting []broker.SessionRequest // without an answer, in order

	held   map[uint16]bool // QoS 2 ids that the client has received and that were not released
	got1   map[string]int
	got2   []string
	out    int    // QoS 2 messages published
	phase  string // of the present one: "", "publish", "release"
	packet uint16

	src     *source
	pending []*broker.Message // not answered by the partition
	sentTo  map[uint64]int    // number on the stream -> index in pending at that time
	first   uint64            // sequence number of pending[0]
	total   int
	release func() // lets a held append go on
}

// TestChaos lets the owner die, appends get lost, streams break and the client move, at random, and then wants every acked message: QoS 1 at
// least once, QoS 2 once and in order, in both directions.
func TestChaos(t *testing.T) {
	for seed := range uint64(25) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			run(t, func(t *testing.T, w *world) { live(w, seed) })
		})
	}
}

// TestChaosOverFaultyServices is TestChaos while the routers, and the streams by which messages come in, delay, repeat and refuse, and break after they took
// what was on them.
func TestChaosOverFaultyServices(t *testing.T) {
	var mu sync.Mutex
	came := map[string]int{}
	t.Cleanup(func() {
		if kinds := slices.Sorted(maps.Keys(came)); !slices.Equal(kinds, []string{"delay", "drop", "duplicate", "refuse"}) {
			t.Errorf("faults that came: %v", came)
		}
	})
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				w.faulty(brokertest.Faults{Seed: seed, Refuse: 0.3, Delay: 0.2, Drop: 0.1, Duplicate: 0.2, MaxDelay: 10 * time.Millisecond})
				defer w.front.Close()
				w.fail() // the next store has the faults around it
				live(w, seed)
				mu.Lock()
				defer mu.Unlock()
				for kind, n := range w.front.Counts() {
					came[kind] += n
				}
			})
		})
	}
}

// live lets one client live.
func live(w *world, seed uint64) {
	l := &life{
		w: w, rnd: rand.New(rand.NewPCG(seed, 1)), gws: []*gateway{w.gateway("g1"), w.gateway("g2")},
		held: map[uint16]bool{}, got1: map[string]int{}, first: 1, packet: 1,
	}
	l.connect()
	l.subscribe()
	for l.src == nil {
		l.openSource()
	}
	for range 150 {
		l.step()
	}
	l.finish()
	l.check()
	w.fail()
}

// subscribe waits for the answer, and that the route is in force when it comes (rule N8).
func (l *life) subscribe() {
	r := l.d.request(broker.OpSubscribe)
	r.Subs = []broker.Subscription{{Filter: "a", QoS: 2, RetainHandling: 2}}
	id := l.d.g.send(r)
	for l.d.g.reply(id) == nil {
		settle()
	}
	if r := l.d.g.reply(id); r.Err != nil || r.Subs[0].Err != nil {
		l.w.t.Fatalf("subscribe: %+v", r)
	}
	if d := l.w.router.route("a", ""); d.Members != 1 {
		l.w.t.Fatalf("subscribed, and the router has %+v", d)
	}
}

func (l *life) connect() {
	g := l.gws[l.rnd.IntN(2)]
	if l.d != nil {
		old := l.d
		l.drain()
		defer func() { old.g.send(old.request(broker.OpKicked)) }()
	}
	l.letGo()
	d := g.connecting("c", options{expiry: time.Hour, window: uint16(1 + l.rnd.IntN(5))})
	l.d, l.table, l.waiting, l.taps = d, map[uint64]broker.Inflight{}, nil, 0
	settle()
	for g.reply(d.attach.ID) == nil { // its answer went down with the owner, or waits for the log
		settleLong()
		if g.reply(d.attach.ID) == nil {
			g.open()
			g.repeat(d.attach)
		}
	}
	d.connected()
	if l.phase != "" { // the client repeats what has no answer
		l.publish()
	}
}

func (l *life) publish() {
	if l.phase == "publish" {
		r := l.d.publish2(l.packet, "out", fmt.Sprint(l.out))
		r.Publish2.Msg.Payload = []byte(fmt.Sprint(l.out))
		l.ask(r)
		return
	}
	r := l.d.request(broker.OpRelease)
	r.PacketID = l.packet
	l.ask(r)
}

// ask sends a request and keeps it until it is answered.
func (l *life) ask(r broker.SessionRequest) {
	r.ID = l.d.g.send(r)
	l.waiting = append(l.waiting, r)
}

func (l *life) openSource() {
	if s, err := l.w.deliverOpen(partitionOf("c"), broker.DeliverOpen{TopicEpoch: 1}); err == nil {
		l.src, l.sentTo = s, map[uint64]int{}
		for i, m := range l.pending {
			l.deliver(i, m)
		}
	}
}

func (l *life) deliver(i int, m *broker.Message) {
	l.sentTo[l.src.repeat(l.first+uint64(i), m)] = int(l.first) + i
}

func (l *life) step() {
	w := l.w
	switch n := l.rnd.IntN(20); {
	case n < 8:
		m := message("a", fmt.Sprint(l.total), broker.QoS(1+l.total%2))
		l.total++
		l.pending = append(l.pending, m)
		l.deliver(len(l.pending)-1, m)
	case n < 11 && l.phase == "":
		l.phase = "publish"
		l.publish()
	case n == 11:
		w.faults.Drop(logOf("c"))
	case n == 12:
		w.faults.LoseAnswer(logOf("c"))
	case n == 13:
		l.fail()
	case n == 14:
		l.connect()
	case n == 15:
		l.d.g.open()
		l.announce()
	case n == 16:
		l.openSource()
	case n == 17:
		w.store.Snapshot(partitionOf("c"))
	case n == 18:
		l.letGo()
		_, l.release = w.faults.Hold(logOf("c"))
	case n == 19:
		w.router.set(func(r *router) { r.silent = !r.silent })
	}
	if l.rnd.IntN(3) > 0 {
		time.Sleep(time.Duration(l.rnd.IntN(5)) * time.Millisecond)
	}
	l.drain()
}

// letGo ends a hold.
func (l *life) letGo() {
	if l.release != nil {
		l.release()
	}
}

// fail replaces the owner, at a moment when records may be under way.
func (l *life) fail() {
	l.w.kill()
	l.letGo()
	l.drain()
	l.w.startStore()
	for _, g := range l.gws {
		g.open()
	}
	l.announce()
	l.openSource()
}

// announce begins a new stream as a gateway does.
func (l *life) announce() {
	l.drain()
	r := l.d.request(broker.OpAnnounce)
	r.Announce = &broker.Announce{Attach: *l.d.attach.Attach}
	for _, x := range l.table {
		r.Announce.Inflight = append(r.Announce.Inflight, x)
	}
	l.d.g.send(r)
	for _, q := range l.waiting {
		l.d.g.repeat(q)
	}
}

// drain takes what came in.
func (l *life) drain() {
	synctest.Wait()
	l.answers()
	g := l.d.g
	g.mu.Lock()
	pushes := slices.Clone(g.pushes[min(l.taps, len(g.pushes)):])
	l.taps = len(g.pushes)
	g.mu.Unlock()
	for _, p := range pushes {
		if p.Conn == l.d.conn {
			l.pushed(p)
		}
	}
	l.src.mu.Lock()
	done := uint64(0)
	for _, a := range l.src.acks {
		done = max(done, a.No)
	}
	l.src.mu.Unlock()
	if i, ok := l.sentTo[done]; ok {
		n := i - int(l.first) + 1
		if n > 0 {
			l.pending, l.first = l.pending[n:], l.first+uint64(n)
		}
	}
	select {
	case <-l.src.stream.Done():
		l.openSource()
	default:
	}
}

// answers takes the replies to requests.
func (l *life) answers() {
	g := l.d.g
	var left []broker.SessionRequest
	next := ""
	for _, q := range l.waiting {
		g.mu.Lock()
		r, ok := g.replies[q.ID]
		g.mu.Unlock()
		if !ok {
			left = append(left, q)
			continue
		}
		if r.Err != nil {
			l.w.t.Fatalf("operation %d: %v", q.Op, r.Err)
		}
		switch {
		case q.Op == broker.OpAck && q.Ack.Kind != broker.AckPubrec:
			delete(l.table, q.Ack.Index)
		case q.Op == broker.OpPublish2:
			next = "release"
		case q.Op == broker.OpRelease:
			next = "done"
		}
	}
	l.waiting = left
	switch next {
	case "release":
		l.phase = "release"
		l.publish()
	case "done":
		l.phase = ""
		l.out++
	}
}

// pushed is the client taking a packet, and answering.
func (l *life) pushed(p broker.Push) {
	switch p.Op {
	case broker.PushPublish:
		if _, ok := l.table[p.Index]; ok {
			l.w.t.Fatalf("PUBLISH of index %d twice on a live connection", p.Index)
		}
		if p.PacketID != uint16(1+p.Index%65535) {
			l.w.t.Fatalf("packet id %d of index %d", p.PacketID, p.Index)
		}
		l.table[p.Index] = broker.Inflight{Index: p.Index, PacketID: p.PacketID, QoS: p.QoS}
		if p.QoS == 1 {
			l.got1[string(p.Msg.Payload)]++
			l.answer(p.Index, broker.AckPuback)
			return
		}
		if !l.held[p.PacketID] {
			l.held[p.PacketID] = true
			l.got2 = append(l.got2, string(p.Msg.Payload))
		}
		x := l.table[p.Index]
		x.Received = true
		l.table[p.Index] = x
		l.answer(p.Index, broker.AckPubrec)
	case broker.PushRelease:
		delete(l.held, p.PacketID)
		l.answer(p.Index, broker.AckPubcomp)
	case broker.PushKick:
		l.w.t.Fatalf("kicked: %s", p.Reason)
	}
}

func (l *life) answer(index uint64, kind broker.AckKind) {
	r := l.d.request(broker.OpAck)
	r.Ack = &broker.ClientAck{Index: index, Kind: kind}
	l.ask(r)
}

// finish lets everything come to an end.
func (l *life) finish() {
	l.letGo()
	l.w.router.set(func(r *router) { r.silent = false })
	if l.w.front != nil {
		l.w.front.Heal()
	}
	l.fail()
	for range 200 {
		l.drain()
		if len(l.pending) == 0 && len(l.waiting) == 0 && len(l.table) == 0 && l.phase == "" {
			return
		}
		time.Sleep(500 * time.Millisecond)
	}
	l.w.t.Fatalf("no end: %d deliveries and %d requests without answer, %d under way, phase %q", len(l.pending), len(l.waiting), len(l.table), l.phase)
}

func (l *life) check() {
	var want2, wantOut []string
	for i := range l.total {
		if i%2 == 0 && l.got1[fmt.Sprint(i)] == 0 {
			l.w.t.Errorf("QoS 1 message %d is lost", i)
		}
		if i%2 == 1 {
			want2 = append(want2, fmt.Sprint(i))
		}
	}
	for i := range l.out {
		wantOut = append(wantOut, fmt.Sprintf("out=%d", i))
	}
	if !slices.Equal(l.got2, want2) {
		l.w.t.Errorf("QoS 2 received:\n got  %s\n want %s", strings.Join(l.got2, " "), strings.Join(want2, " "))
	}
	settleLong()
	if got := l.w.router.published(); !slices.Equal(got, wantOut) {
		l.w.t.Errorf("QoS 2 published:\n got  %v\n want %v", got, wantOut)
	}
}
