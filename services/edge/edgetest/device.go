package edgetest

import (
	"fmt"
	"sync"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/edge"
)

// Device is a connection without a network. It runs its executor in a goroutine of its own from NewDevice to the Closed of its Conn, and records what it is given.
type Device struct {
	mu       sync.Mutex
	cond     sync.Cond
	changes  int // counts what Wait may be waiting for
	posts    []func()
	posted   int // ever
	closed   bool
	stopped  bool
	running  sync.WaitGroup
	conn     *edge.Conn
	got      []Got
	released []uint16
	kicks    []edge.Kick
	holds    []bool
	full     int // deliveries until SentFull; negative: never
	refuse   func(*edge.Delivery) bool
	autoAck  bool
}

// Got is one recorded delivery.
type Got struct {
	Topic    string
	Payload  string
	QoS      broker.QoS
	PacketID uint16
	Dup      bool
	Retain   bool
	SubIDs   []uint32
	Msg      *broker.Message
}

// String is a delivery in short, for messages of tests: "a/b=payload".
func (g Got) String() string { return g.Topic + "=" + g.Payload }

// NewDevice makes a device whose output is never full.
func NewDevice() *Device {
	d := &Device{full: -1}
	d.cond.L = &d.mu
	d.running.Go(d.run)
	return d
}

// changed wakes who waits. Called with the lock held.
func (d *Device) changed() {
	d.changes++
	d.cond.Broadcast()
}

// run is the executor.
func (d *Device) run() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		for len(d.posts) == 0 && !d.stopped {
			d.cond.Wait()
		}
		if len(d.posts) == 0 {
			return
		}
		fn := d.posts[0]
		d.posts = d.posts[1:]
		d.mu.Unlock()
		fn()
		d.mu.Lock()
		d.changed()
	}
}

// Do runs fn on the executor and waits for it. After Close it does nothing.
func (d *Device) Do(fn func(c *edge.Conn)) {
	done := make(chan struct{})
	if d.Post(func() { fn(d.Conn()); close(done) }) {
		<-done
	}
}

// Connect connects the device and waits for the answer.
func (d *Device) Connect(e *edge.Edge, req edge.ConnectRequest) edge.ConnectResult {
	return <-d.Start(e, req)
}

// Start begins to connect.
func (d *Device) Start(e *edge.Edge, req edge.ConnectRequest) <-chan edge.ConnectResult {
	result := make(chan edge.ConnectResult, 1)
	d.Post(func() {
		d.Adopt(e.Connect(d, &req, func(r edge.ConnectResult) { result <- r }))
	})
	return result
}

// Adopt makes c the device's connection, for those who called Edge.Connect themselves.
func (d *Device) Adopt(c *edge.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.conn = c
}

// Conn is the connection, nil before Connect.
func (d *Device) Conn() *edge.Conn {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.conn
}

// Close closes the device as a broken network does.
func (d *Device) Close() { d.end("closed", nil) }

// Disconnect closes the device after a DISCONNECT.
func (d *Device) Disconnect(p edge.Disconnect) { d.end("closed", &p) }

func (d *Device) end(reason string, p *edge.Disconnect) {
	d.Do(func(c *edge.Conn) { d.shut(c, reason, p) })
	d.running.Wait()
}

// shut runs on the executor.
func (d *Device) shut(c *edge.Conn, reason string, p *edge.Disconnect) {
	d.mu.Lock()
	was := d.closed
	d.mu.Unlock()
	if was {
		return
	}
	if c != nil && p != nil {
		c.Disconnect(*p)
	}
	d.mu.Lock()
	d.closed = true
	rest := d.posts
	d.posts = nil
	d.mu.Unlock()
	for _, fn := range rest { // what was accepted runs before Closed
		fn()
	}
	if c != nil {
		c.Closed(reason)
	}
	d.mu.Lock()
	d.stopped = true
	d.changed()
	d.mu.Unlock()
}

// Subscribe subscribes and waits for the answer. Filters get QoS qos.
func (d *Device) Subscribe(qos broker.QoS, filters ...string) []edge.SubscribeResult {
	subs := make([]broker.Subscription, len(filters))
	for i, f := range filters {
		subs[i] = broker.Subscription{Filter: f, QoS: qos}
	}
	return d.SubscribeWith(subs...)
}

// SubscribeWith subscribes with options and waits for the answer.
func (d *Device) SubscribeWith(subs ...broker.Subscription) []edge.SubscribeResult {
	results := make(chan []edge.SubscribeResult, 1)
	d.Do(func(c *edge.Conn) { c.Subscribe(subs, func(r []edge.SubscribeResult) { results <- r }) })
	return <-results
}

// Unsubscribe unsubscribes and waits for the answer.
func (d *Device) Unsubscribe(filters ...string) []edge.SubscribeResult {
	results := make(chan []edge.SubscribeResult, 1)
	d.Do(func(c *edge.Conn) { c.Unsubscribe(filters, func(r []edge.SubscribeResult) { results <- r }) })
	return <-results
}

// Publish publishes. The channel gets the answer; QoS 0 is answered when the router has it.
func (d *Device) Publish(topic, payload string, qos broker.QoS, packetID uint16) <-chan edge.PublishResult {
	return d.PublishMessage(&broker.Message{Topic: topic, Payload: []byte(payload), QoS: qos}, packetID)
}

// PublishMessage publishes a message.
func (d *Device) PublishMessage(m *broker.Message, packetID uint16) <-chan edge.PublishResult {
	result := make(chan edge.PublishResult, 1)
	d.Do(func(c *edge.Conn) {
		c.Publish(edge.Publish{Msg: m, PacketID: packetID, Done: func(r edge.PublishResult) { result <- r }})
	})
	return result
}

// Deliver implements edge.Device.
func (d *Device) Deliver(v *edge.Delivery) edge.Outcome {
	d.mu.Lock()
	defer d.mu.Unlock()
	defer d.changed()
	if d.refuse != nil && d.refuse(v) {
		return edge.Refused
	}
	g := Got{Topic: v.Topic, Payload: string(v.Msg.Payload), QoS: v.QoS, PacketID: v.PacketID, Dup: v.Dup, Retain: v.Retain, SubIDs: v.SubIDs, Msg: v.Msg}
	d.got = append(d.got, g)
	if d.autoAck {
		d.ackLater(g)
	}
	if d.full > 0 {
		d.full--
	}
	if d.full == 0 {
		return edge.SentFull
	}
	return edge.Sent
}

// ackLater queues PUBACK or PUBREC. Called with the lock held.
func (d *Device) ackLater(g Got) {
	kind := broker.AckPuback
	switch {
	case g.QoS == 0 || d.closed:
		return
	case g.QoS == 2:
		kind = broker.AckPubrec
	}
	d.posts = append(d.posts, func() { d.Conn().Ack(g.PacketID, kind, false) })
}

// Release implements edge.Device.
func (d *Device) Release(packetID uint16) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.released = append(d.released, packetID)
	if d.autoAck && !d.closed {
		d.posts = append(d.posts, func() { d.Conn().Ack(packetID, broker.AckPubcomp, false) })
	}
	d.changed()
}

// Hold implements edge.Device.
func (d *Device) Hold(on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := len(d.holds); n > 0 && d.holds[n-1] == on || n == 0 && !on {
		panic(fmt.Sprintf("Hold(%v) after %v", on, d.holds))
	}
	d.holds = append(d.holds, on)
	d.changed()
}

// Kick implements edge.Device: the device closes.
func (d *Device) Kick(k edge.Kick) {
	d.mu.Lock()
	d.kicks = append(d.kicks, k)
	d.changed()
	d.mu.Unlock()
	d.Post(func() { d.shut(d.Conn(), k.Reason, nil) })
}

// Post implements edge.Device.
func (d *Device) Post(fn func()) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return false
	}
	d.posts = append(d.posts, fn)
	d.posted++
	d.changed()
	return true
}

// Posted is how often Post took something.
func (d *Device) Posted() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.posted
}

// Pending implements edge.Device.
func (d *Device) Pending() int { return 0 }

// FillAfter makes the output full after n more deliveries; 0 at once; negative never. Drain empties it.
func (d *Device) FillAfter(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full = n
}

// Drain gives the output room for n more deliveries (negative: for ever) and tells the Conn.
func (d *Device) Drain(n int) {
	d.FillAfter(n)
	d.Do(func(c *edge.Conn) { c.Drained() })
}

// RefuseIf makes Deliver refuse what fn selects.
func (d *Device) RefuseIf(fn func(*edge.Delivery) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refuse = fn
}

// AutoAck makes the device answer every delivery by itself.
func (d *Device) AutoAck() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.autoAck = true
}

// Got is what was delivered so far.
func (d *Device) Got() []Got {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]Got(nil), d.got...)
}

// Released is the packet ids of the PUBRELs so far.
func (d *Device) Released() []uint16 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]uint16(nil), d.released...)
}

// Kicks is the kicks so far.
func (d *Device) Kicks() []edge.Kick {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]edge.Kick(nil), d.kicks...)
}

// Holds is the calls of Hold so far.
func (d *Device) Holds() []bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]bool(nil), d.holds...)
}

// Wait waits until cond holds, looking at each change of the device, at most ten seconds; it returns whether it held.
func (d *Device) Wait(cond func() bool) bool {
	late := false
	t := time.AfterFunc(10*time.Second, func() {
		d.mu.Lock()
		late = true
		d.changed()
		d.mu.Unlock()
	})
	defer t.Stop()
	for {
		d.mu.Lock()
		seen, end := d.changes, late
		d.mu.Unlock()
		if cond() {
			return true
		}
		if end {
			return false
		}
		d.mu.Lock()
		for d.changes == seen {
			d.cond.Wait()
		}
		d.mu.Unlock()
	}
}

// WaitGot waits for n deliveries and returns all.
func (d *Device) WaitGot(n int) []Got {
	d.Wait(func() bool { return len(d.Got()) >= n })
	return d.Got()
}
