package integration_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pando-mq/pando/router"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/edge"
	"github.com/pando-mq/pando/services/edge/edgetest"
	"github.com/pando-mq/pando/services/journal"
	sessionstore "github.com/pando-mq/pando/session-store"
)

// path is the whole way of a message in one process, without sockets and packets: edge, router, session-store, edge.
type path struct {
	b    *testing.B
	edge *edge.Edge
	loop loop
}

// loop is the executor of all devices: whoever drains it.
type loop struct {
	mu    sync.Mutex
	posts []func()
	spare []func()
}

func (l *loop) post(fn func()) bool {
	l.mu.Lock()
	l.posts = append(l.posts, fn)
	l.mu.Unlock()
	return true
}

// drain runs what is posted and reports whether there was something.
func (l *loop) drain() (ran bool) {
	for {
		l.mu.Lock()
		fns := l.posts
		l.posts = l.spare[:0]
		l.mu.Unlock()
		if l.spare = fns; len(fns) == 0 {
			return ran
		}
		for _, fn := range fns {
			fn()
		}
		clear(fns)
		ran = true
	}
}

// until drains until done.
func (l *loop) until(done func() bool) {
	for !done() {
		if !l.drain() {
			runtime.Gosched()
		}
	}
}

// sink is a device that acknowledges what it gets, at the next turn of the loop.
type sink struct {
	loop  *loop
	conn  *edge.Conn
	got   int
	ids   []uint16
	spare []uint16
	back  func()
}

func (d *sink) Release(uint16)      {}
func (d *sink) Hold(bool)           {}
func (d *sink) Kick(edge.Kick)      {}
func (d *sink) Pending() int        { return 0 }
func (d *sink) Post(fn func()) bool { return d.loop.post(fn) }

func (d *sink) Deliver(v *edge.Delivery) edge.Outcome {
	d.got++
	if v.PacketID != 0 {
		if len(d.ids) == 0 {
			d.loop.post(d.back)
		}
		d.ids = append(d.ids, v.PacketID)
	}
	return edge.Sent
}

func (d *sink) acknowledge() {
	ids := d.ids
	d.ids = d.spare[:0] // each answer may bring more
	d.conn.Batch()
	for _, id := range ids {
		d.conn.Ack(id, broker.AckPuback, false)
	}
	d.conn.End()
	d.spare = ids
}

func newPath(b *testing.B) *path {
	b.Helper()
	p := &path{b: b}
	c, err := cluster.NewStatic(cluster.Options{})
	p.must(err)
	b.Cleanup(func() { p.must(c.Close()) })
	member := func(role cluster.Role) cluster.Member {
		m, err := c.Register(context.WithoutCancel(b.Context()), cluster.Node{Role: role, ID: "one"})
		p.must(err)
		return m
	}
	tier := &struct{ broker.Sessions }{}
	cfg, retained := router.Default()
	metrics, j := prometheus.NewRegistry(), journal.NewMemory()
	gateways := func(cluster.Node) broker.Gateway { return p.edge }
	r, err := router.New(cfg, retained, router.Deps{Cluster: c, Member: member(cluster.Router), Sessions: tier, Gateways: gateways, Journal: j, Registerer: metrics})
	p.must(err)
	routers := func(cluster.Node) broker.RouterNode { return r }
	store, err := sessionstore.New(sessionstore.DefaultConfig(), sessionstore.Deps{
		Cluster: c, Member: member(cluster.SessionStore), Router: r, Routers: routers, Gateways: gateways, Journal: j, Registerer: metrics,
	})
	p.must(err)
	tier.Sessions = store
	n := member(cluster.Gateway).Node()
	auth := edgetest.NewAuth()
	auth.SetTTL(time.Hour)
	p.edge, err = edge.New(edge.DefaultConfig(), edge.Deps{
		Node: broker.NodeRef{ID: n.ID, Incarnation: n.Incarnation}, NodeName: "one@bench", Cluster: c, Auth: auth, Router: r, Routers: routers, Sessions: store, Registerer: metrics,
	})
	p.must(err)
	for _, s := range []interface {
		Start(context.Context) error
		Stop(context.Context) error
	}{store, r, p.edge} {
		p.must(s.Start(context.WithoutCancel(b.Context())))
		b.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			p.must(s.Stop(ctx))
		})
	}
	p.loop.until(func() bool { _, serving := r.Serving(); return serving == c.Meta().Partitions[cluster.TopicSpace] })
	return p
}

func (p *path) must(err error) {
	p.b.Helper()
	if err != nil {
		p.b.Fatal(err)
	}
}

// connect connects a device, persistent if expiry is not 0, and subscribes if filter is not empty.
func (p *path) connect(id, filter string, qos broker.QoS, expiry time.Duration) *sink {
	p.b.Helper()
	d := &sink{loop: &p.loop}
	d.back = d.acknowledge
	req := edge.ConnectRequest{Credentials: broker.Credentials{ClientID: id, Protocol: "mqtt", Version: 5}, CleanStart: true, Expiry: expiry, ReceiveMax: 1000}
	done := false
	d.conn = p.edge.Connect(d, &req, func(r edge.ConnectResult) { p.must(r.Err); done = true })
	p.loop.until(func() bool { return done })
	if filter != "" {
		done = false
		d.conn.Subscribe([]broker.Subscription{{Filter: filter, QoS: qos, RetainHandling: 2}}, func(r []edge.SubscribeResult) { p.must(r[0].Err); done = true })
		p.loop.until(func() bool { return done })
	}
	p.b.Cleanup(func() { d.conn.Closed("closed") })
	return d
}

// processor is the time that this process computed: unlike the time that passed it hardly depends on what else the machine does.
func processor(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// burst is how many messages a publisher sends in one read.
const burst = 50

// BenchmarkPath is the cost of a message from Conn.Publish to Device.Deliver, acknowledgements included.
func BenchmarkPath(b *testing.B) {
	for _, s := range []struct {
		name   string
		pairs  int
		subs   int // of each pair
		qos    broker.QoS
		group  string
		expiry time.Duration
	}{
		{name: "p2p/QoS0", pairs: 50, subs: 1},
		{name: "p2p/QoS1", pairs: 50, subs: 1, qos: 1},
		{name: "fanout/QoS0", pairs: 1, subs: 1000},
		{name: "fanout/QoS1", pairs: 1, subs: 1000, qos: 1},
		{name: "shared/QoS1", pairs: 1, subs: 5, qos: 1, group: "$share/g/"},
		{name: "persistent/QoS1", pairs: 50, subs: 1, qos: 1, expiry: time.Hour},
	} {
		b.Run(s.name, func(b *testing.B) {
			p := newPath(b)
			var pubs, subs []*sink
			var topics []string
			for i := range s.pairs {
				topic := fmt.Sprint("bench/pair/", i)
				topics = append(topics, topic)
				for n := range s.subs {
					subs = append(subs, p.connect(fmt.Sprint("s-", i, "-", n), s.group+topic, s.qos, s.expiry))
				}
				pubs = append(pubs, p.connect(fmt.Sprint("p-", i), "", 0, 0))
			}
			var answered atomic.Int64
			done := func(r edge.PublishResult) {
				if r.Err != nil {
					b.Error(r.Err)
				}
				answered.Add(1)
			}
			each := s.subs
			if s.group != "" {
				each = 1
			}
			payload := make([]byte, 256)
			sent, begin := 0, runtime.MemStats{}
			runtime.ReadMemStats(&begin)
			cpu := processor(b)
			b.ResetTimer()
			for sent < b.N {
				for i, pub := range pubs {
					pub.conn.Batch()
					for n := range burst {
						q := edge.Publish{Msg: &broker.Message{Topic: topics[i], Payload: payload, QoS: s.qos}}
						if s.qos > 0 {
							q.PacketID, q.Done = uint16(n+1), done
						}
						pub.conn.Publish(q)
						sent++
					}
					pub.conn.End()
				}
				p.loop.until(func() bool {
					got := 0
					for _, d := range subs {
						got += d.got
					}
					return got == sent*each && (s.qos == 0 || int(answered.Load()) == sent)
				})
			}
			b.StopTimer()
			cpu = processor(b) - cpu
			var end runtime.MemStats
			runtime.ReadMemStats(&end)
			b.ReportMetric(float64(cpu.Nanoseconds())/float64(sent*each), "cpu-ns/delivery")
			b.ReportMetric(float64(end.Mallocs-begin.Mallocs)/float64(sent*each), "mallocs/delivery")
			b.ReportMetric(0, "ns/op")
		})
	}
}
