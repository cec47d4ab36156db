package scenario

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pando-mq/pando/deploy/bench/load"
	"github.com/pando-mq/pando/deploy/bench/process"
)

// Conn is Count connections, with one subscription each if Subscribed, that then say nothing for Settle: what a connection costs to make and to hold. A tenth
// of them is there before anything is measured, so that what the broker needs once, and the garbage of its start, are in no figure.
func Conn(ctx context.Context, o Options) (Result, error) {
	s, err := newStage(&o, "conn", "connection")
	if err != nil {
		return Result{}, err
	}
	var list []load.Client
	for i := range o.Count {
		c, copies := o.client(i), 0
		if o.Subscribed {
			c, copies = o.receiver(i, number(o.Topic, i)), 1
		}
		if o.Look != nil {
			c.Publish = o.sender(i, copies, number(o.Topic, i)).Publish
			c.Publish.Limit = 1
		}
		list = append(list, c)
	}
	err = s.prepare(ctx, list[:o.Count/10])
	early, m := s.Connected(), &s.result.Measure
	if err == nil {
		_, err = s.Add(list[o.Count/10:])
	}
	if err == nil {
		m.BrokerCPU, m.OwnCPU, m.Elapsed, err = measured(o.Broker, func() error { return s.Connect(ctx) })
	}
	n := s.Connected()
	if err == nil && n == early {
		err = fmt.Errorf("nobody could connect: %w", s.FirstError())
	}
	if err == nil {
		err = s.settle(ctx)
	}
	if err == nil {
		err = s.grown(n - early)
	}
	if err == nil && o.Look != nil {
		err = s.stir(ctx)
	}
	if gone := n - s.Connected(); err == nil && gone > 0 {
		err = fmt.Errorf("%d connections ended while they were idle: %w", gone, s.FirstError())
	}
	s.result.Connect = ConnectResult{Seconds: m.Elapsed.Seconds(), BrokerCPU: micros(m.BrokerCPU) / float64(max(n-early, 1))}
	return s.finish(uint64(n-early), err)
}

// stir looks, has every connection send its message, which it receives itself if it is subscribed, is silent, and looks again.
func (s *stage) stir(ctx context.Context) error {
	if err := s.o.Look(ctx); err != nil {
		return err
	}
	if _, err := s.Run(ctx, load.Run{Duration: time.Minute, Drain: s.o.Drain}); err != nil {
		return err
	}
	if n := s.Connected(); s.Sent() < uint64(n) {
		return fmt.Errorf("%d connections sent %d messages", n, s.Sent())
	}
	if _, err := s.Collect(ctx, 1<<62, max(s.o.Silence, time.Millisecond), time.Hour); err != nil {
		return err
	}
	return s.o.Look(ctx)
}

// prepare connects the first clients and takes the memory with them for the beginning.
func (s *stage) prepare(ctx context.Context, list []load.Client) error {
	if len(list) == 0 {
		return nil
	}
	if _, err := s.Add(list); err != nil {
		return err
	}
	if err := s.connect(ctx); err != nil {
		return err
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	var err error
	s.result.Memory.Before, err = s.o.Broker.Memory()
	return err
}

// steady is how much the resident memory may change in a second and still be at rest.
const steady = 256 << 10

// settle lets the broker rest before its memory is measured: half of Settle, then until the memory is at rest for a second, twice Settle at most. A program with a
// garbage collector gives memory back little by little.
func (s *stage) settle(ctx context.Context) error {
	pause := func(d time.Duration) error {
		_, err := s.Collect(ctx, 1<<62, max(d, time.Millisecond), time.Hour)
		return err
	}
	if err := pause(s.o.Settle / 2); err != nil || s.o.Settle == 0 {
		return err
	}
	if s.o.Rest != nil {
		if err := s.o.Rest(ctx); err != nil {
			return err
		}
	}
	end := time.Now().Add(2 * s.o.Settle)
	last, err := s.o.Broker.Memory()
	for err == nil {
		if err = pause(time.Second); err != nil {
			break
		}
		var now process.Memory
		now, err = s.o.Broker.Memory()
		if change := now.RSS - last.RSS; change < steady && change > -steady || time.Now().After(end) {
			break
		}
		last = now
	}
	return err
}

// probes is how many different topics the published messages of Subs have.
const probes = 10_000

// Subs is Count connections with PerClient subscriptions each, all different: 70 % without wildcards, 15 % with + and 15 % with #. Memory is
// measured as in Conn. Then one publisher sends messages that match exactly one of them each.
func Subs(ctx context.Context, o Options) (Result, error) {
	s, err := newStage(&o, "subs", "delivered message")
	if err != nil {
		return Result{}, err
	}
	total := o.Count * o.PerClient
	var list []load.Client
	var topics []string
	for i := range o.Count {
		filters := make([]string, o.PerClient)
		for j := range filters {
			n := i*o.PerClient + j
			filter, topic := subscription(number(o.Topic, n%1000), n)
			filters[j] = filter
			if n%max(total/probes, 1) == 0 {
				topics = append(topics, topic)
			}
		}
		list = append(list, o.receiver(i, filters...))
	}
	slices.SortFunc(topics, func(a, b string) int { return int(hash(a)) - int(hash(b)) }) // neighbours in the list are not neighbours in the index
	err = s.prepare(ctx, list[:o.Count/10])
	early := s.Subscribed()
	if err == nil {
		_, err = s.Add(list[o.Count/10:])
	}
	if err == nil {
		err = s.connect(ctx)
	}
	if err == nil {
		err = s.settle(ctx)
	}
	if err == nil {
		err = s.grown(int(s.Subscribed() - early))
	}
	if err == nil {
		c := o.sender(o.Count, 1, topics...)
		c.Publish.AnyOrder = true
		_, err = s.Add([]load.Client{c})
	}
	if err == nil {
		err = s.Connect(ctx)
	}
	if err == nil {
		s.result.Measure, err = s.Run(ctx, o.run())
	}
	return s.finish(s.result.Measure.Delivered, err)
}

// subscription is the n-th filter below a place, and a topic that only it matches.
func subscription(place string, n int) (filter, topic string) {
	switch leaf := fmt.Sprintf("d%d", n); {
	case n%20 < 14:
		return place + "/" + leaf + "/state", place + "/" + leaf + "/state"
	case n%20 < 17:
		return place + "/+/" + leaf, place + "/any/" + leaf
	default:
		return place + "/" + leaf + "/#", place + "/" + leaf + "/some/where"
	}
}

func hash(s string) uint16 {
	h := uint32(2166136261)
	for i := range len(s) {
		h = (h ^ uint32(s[i])) * 16777619
	}
	return uint16(h>>16) ^ uint16(h)
}

// Retained is one publisher of Count retained messages with topics of their own; then Receivers clients subscribe to all of them, which is what is measured.
func Retained(ctx context.Context, o Options) (Result, error) {
	s, err := newStage(&o, "retained", "delivered message")
	if err != nil {
		return Result{}, err
	}
	topics := make([]string, o.Count)
	for i := range topics {
		topics[i] = number(o.Topic, i)
	}
	c := o.sender(o.Receivers, 0, topics...)
	c.Publish.Retain, c.Publish.AnyOrder, c.Publish.Limit, c.Publish.QoS = true, true, uint32(o.Count), 1
	if _, err = s.Add([]load.Client{c}); err == nil {
		err = s.connect(ctx)
	}
	if err == nil {
		_, err = s.Run(ctx, load.Run{Duration: o.Duration, Drain: o.Drain})
	}
	if err == nil && s.Sent() < uint64(o.Count) {
		err = fmt.Errorf("only %d of %d retained messages were taken in %s", s.Sent(), o.Count, o.Duration)
	}
	if err != nil {
		return s.finish(0, err)
	}
	var list []load.Client
	for i := range o.Receivers {
		list = append(list, o.receiver(i, o.Filter))
	}
	c.Publish.Copies = o.Receivers
	m := &s.result.Measure
	if _, err = s.Add(list); err == nil {
		m.BrokerCPU, m.OwnCPU, m.Elapsed, err = measured(o.Broker, func() error {
			if err := s.Connect(ctx); err != nil {
				return err
			}
			_, err := s.Collect(ctx, uint64(o.Count)*uint64(o.Receivers), o.Duration, 5*time.Second)
			return err
		})
	}
	m.Delivered = s.Delivered()
	return s.finish(m.Delivered, err)
}

// senders is how many publishers write to the offline sessions.
const senders = 20

// Offline is Count persistent sessions that subscribe and go away; PerClient messages are published to each and acknowledged, which is what is measured; then
// Between happens to the broker, the sessions come back, and what they get is compared with what was acknowledged.
func Offline(ctx context.Context, o Options) (Result, error) {
	o.Clean = false
	s, err := newStage(&o, "offline", "message stored")
	if err != nil {
		return Result{}, err
	}
	sessions, err := s.leave(ctx)
	if err != nil {
		return s.finish(0, err)
	}
	if err = s.store(ctx); err != nil {
		return s.finish(s.Sent(), err)
	}
	if o.Between != nil {
		g, err := o.Between(ctx)
		if err != nil {
			return s.finish(s.Sent(), err)
		}
		s.SetBroker(g)
	}
	if err = s.Connect(ctx, sessions...); err == nil {
		_, err = s.Collect(ctx, s.Sent(), o.Duration, 5*time.Second)
	}
	return s.finish(s.Sent(), err)
}

// leave makes the sessions and disconnects them.
func (s *stage) leave(ctx context.Context) ([]int, error) {
	o := s.o
	var list []load.Client
	for i := range o.Count {
		c := o.receiver(i, number(o.Topic, i))
		if c.QoS == 0 {
			return nil, errors.New("messages of QoS 0 are not kept for sessions that are away: say -q 1 or -q 2")
		}
		list = append(list, c)
	}
	if _, err := s.Add(list); err != nil {
		return nil, err
	}
	if err := s.connect(ctx); err != nil {
		return nil, err
	}
	if s.Connected() < o.Count {
		return nil, fmt.Errorf("%d of %d sessions were made: %w", s.Connected(), o.Count, s.FirstError())
	}
	numbers := make([]int, o.Count)
	for i := range numbers {
		numbers[i] = i
	}
	return numbers, s.Hangup(true, numbers...)
}

// store publishes to the sessions and disconnects the publishers. Each session gets its messages from one of them, so their order is promised.
func (s *stage) store(ctx context.Context) error {
	o := s.o
	n := min(senders, o.Count)
	var list []load.Client
	for k := range n {
		var topics []string
		for i := k; i < o.Count; i += n {
			topics = append(topics, number(o.Topic, i))
		}
		c := o.sender(o.Count+k, 0, topics...)
		c.Clean = true
		c.Publish.Limit = uint32(len(topics) * o.PerClient)
		list = append(list, c)
	}
	first, err := s.Add(list)
	if err != nil {
		return err
	}
	numbers := make([]int, n)
	for k := range numbers {
		numbers[k] = first + k
	}
	if err = s.Connect(ctx, numbers...); err != nil {
		return err
	}
	s.result.Measure, err = s.Run(ctx, load.Run{Duration: o.Duration, Drain: o.Drain})
	if err != nil {
		return err
	}
	want := uint64(o.Count) * uint64(o.PerClient)
	if b := s.Books(); b.Sent < want || b.Unacked > 0 || b.Refused > 0 {
		return fmt.Errorf("of %d messages %d were sent, %d are not acknowledged and %d were refused", want, b.Sent, b.Unacked, b.Refused)
	}
	for i := range list {
		list[i].Publish.Copies = 1 // from now on they are waited for
	}
	return s.Hangup(true, numbers...)
}
