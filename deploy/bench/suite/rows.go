package suite

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/pando-mq/pando/deploy/bench/load"
	"github.com/pando-mq/pando/deploy/bench/process"
	"github.com/pando-mq/pando/deploy/bench/scenario"
)

const (
	cpuUnit  = "CPU us"
	byteUnit = "bytes"
)

// Rows is the table of bars.
func Rows() []Row {
	cpu := func(bar float64, exact bool, emqx, flash, mosq string) []Figure {
		return []Figure{{Name: "per delivered message", Unit: cpuUnit, Bar: bar, Exact: exact, EMQX: emqx, Flash: flash, Mosq: mosq}}
	}
	allocating := func(list []Figure, bar float64) []Figure {
		return append(list, Figure{Name: "per delivered message", Unit: "allocations", Bar: bar})
	}
	return []Row{
		{Key: "p2p-q0", Title: "p2p, 50 pairs, 100 in flight each, QoS 0", Figures: allocating(cpu(0.8, false, "11.6", "0.77", "5.9"), 0.01), run: p2pMessages},
		{Key: "p2p-q1", Title: "p2p, 50 pairs, 20 in flight each, QoS 1", Figures: allocating(cpu(1.6, true, "21", "1.5", "9.3"), 0), run: p2p(1, 20)},
		{Key: "p2p-q2", Title: "p2p, 50 pairs, 20 in flight each, QoS 2", Figures: allocating(cpu(2.8, true, "39", "2.6", "22"), 0), run: p2p(2, 20)},
		{Key: "fanout-q0", Title: "fan-out 1->1000, 32 in flight, QoS 0", Figures: cpu(1.2, false, "11.8", "1.7", "8.1"), run: fanout(0, 1000)},
		{Key: "fanout-q1", Title: "fan-out 1->1000, 32 in flight, QoS 1", Figures: cpu(1.8, true, "19.5", "1.8", "10"), run: fanout(1, 1000)},
		{Key: "shared-q1", Title: "500 publishers -> 5 shared subscribers, 4 in flight each, QoS 1", Figures: cpu(2.5, true, "50", "1.9 (loses)", "7.4"), run: shared},
		{Key: "p2p-one", Title: "p2p, 50 pairs, one in flight each, QoS 1", Figures: cpu(12, true, "42", "12", "12.5"), run: p2p(1, 1)},
		{Key: "latency", Title: "p2p, 50 pairs, 10,000 messages/s together, QoS 1", Figures: []Figure{
			{Name: "p50", Unit: "us", Bar: 90, Exact: true, EMQX: "117", Flash: "81", Mosq: "84"},
			{Name: "p99", Unit: "us", Bar: 300, Exact: true, EMQX: "324", Flash: "250", Mosq: "340"},
			{Name: "per delivered message", Unit: cpuUnit},
		}, run: latency},
		{Key: "idle-tcp", Title: "idle connections with one subscription each, TCP", Figures: idleFigures(1200, "31 KB", "4.9 KB", "1.0 KB"), run: idle(load.TCP), files: 18000},
		{Key: "idle-ws", Title: "idle connections with one subscription each, WebSocket", Figures: idleFigures(1500, "", "", ""), run: idle(load.WS), files: 18000},
		{Key: "idle-tls", Title: "idle connections with one subscription each, TLS", Figures: idleFigures(9000, "", "", ""), run: idle(load.TLS), files: 18000},
		{Key: "connect", Title: "connect + authenticate, TCP", Figures: []Figure{{Name: "per connection", Unit: cpuUnit, Bar: 60, EMQX: "274", Flash: "39", Mosq: "28"}}, run: connect},
		{Key: "subs", Title: "subscriptions on 1,000 connections; then one message in flight, each matching one of them", Figures: []Figure{
			{Name: "per subscription", Unit: byteUnit, Bar: 250, Flash: "1436", Mosq: "1763"},
			{Name: "per message", Unit: cpuUnit, Bar: 10, Flash: "15", Mosq: "15"},
		}, run: subs},
		{Key: "offline", Title: "100 acknowledged QoS 1 messages for each offline session, then SIGKILL and start", Figures: []Figure{
			{Name: "lost + repeated + out of order", Unit: "messages", Bar: 0, Exact: true, EMQX: "all lost", Flash: "all lost", Mosq: "all lost"},
			{Name: "per stored message", Unit: cpuUnit, Bar: 12, Exact: true, Flash: "2.1", Mosq: "6.9"},
		}, run: offline},
		{Key: "retained", Title: "retained messages, then subscribe r/+/v", Figures: cpu(2, true, "326", "2.1", "3.1"), run: retained},
		{Key: "start", Title: "start to first CONNACK", Figures: []Figure{
			{Name: "warm", Unit: "s", Bar: 1.5}, {Name: "first", Unit: "s", Bar: 3}, {Name: "idle RSS", Unit: "MiB", Bar: 80},
		}, run: start, lone: true},
		{Key: "apart", Title: "apart (15 processes, gRPC hops), p2p, 50 pairs, 20 in flight each, QoS 1, all processes", Figures: []Figure{
			{Name: "per delivered message", Unit: cpuUnit, Exact: true}, {Name: "against all-in-one", Unit: "times", Bar: 4, Exact: true},
		}, run: p2p(1, 20), apart: true},
	}
}

// p2pMessages is p2p of QoS 0 with a number of messages, so that what the process allocates while it is idle, too, has its share of them and not of seconds.
func p2pMessages(ctx context.Context, s *stand) (Sample, error) {
	return pairs(ctx, s, 0, 100, s.scale.Messages)
}

func p2p(qos byte, inflight int) func(context.Context, *stand) (Sample, error) {
	return func(ctx context.Context, s *stand) (Sample, error) { return pairs(ctx, s, qos, inflight, 0) }
}

// pairs measures for the usual time, or until so many messages were sent.
func pairs(ctx context.Context, s *stand, qos byte, inflight int, messages uint64) (Sample, error) {
	o, err := s.options(load.TCP, 100)
	if err != nil {
		return Sample{}, err
	}
	o.Count, o.QoS, o.Inflight = 50, qos, inflight
	if o.Messages = messages; messages > 0 {
		o.Duration = time.Minute
	}
	if a, ok := s.broker.(*apart); ok {
		o.SubAddr = a.last()
		if err := s.remember(o.SubAddr); err != nil {
			return Sample{}, err
		}
	}
	p, ok := s.broker.(*pando)
	if !ok {
		r, err := scenario.P2P(ctx, o)
		return sample(r, r.PerUnit), err
	}
	idle, err := p.idleMallocs(ctx)
	if err != nil {
		return Sample{}, err
	}
	m := mallocs{ops: p.info.Ops}
	o.Mark = m.mark
	r, err := scenario.P2P(ctx, o)
	n := float64(max(r.Measure.Delivered, 1))
	result := sample(r, r.PerUnit, m.made/n)
	result.Note += fmt.Sprintf(" of the allocations %s per message are those of an idle process, %.0f per second", round(idle*r.Measure.Elapsed.Seconds()/n), idle)
	return result, err
}
func fanout(qos byte, receivers int) func(context.Context, *stand) (Sample, error) {
	return func(ctx context.Context, s *stand) (Sample, error) {
		o, err := s.options(load.TCP, receivers)
		if err != nil {
			return Sample{}, err
		}
		o.Count, o.QoS, o.Inflight, o.Topic = receivers, qos, 32, "bench/all"
		r, err := scenario.FanOut(ctx, o)
		return sample(r, r.PerUnit), err
	}
}

func shared(ctx context.Context, s *stand) (Sample, error) {
	o, err := s.options(load.TCP, 505)
	if err != nil {
		return Sample{}, err
	}
	o.Count, o.Receivers, o.QoS, o.Inflight, o.Topic, o.Filter = 500, 5, 1, 4, "bench/in/%i", "bench/in/+"
	r, err := scenario.Shared(ctx, o)
	return sample(r, r.PerUnit), err
}

func latency(ctx context.Context, s *stand) (Sample, error) {
	o, err := s.options(load.TCP, 100)
	if err != nil {
		return Sample{}, err
	}
	o.Count, o.QoS, o.Rate = 50, 1, 10_000
	r, err := scenario.P2P(ctx, o)
	result := sample(r, float64(r.Measure.Latency.P50), float64(r.Measure.Latency.P99), r.PerUnit)
	result.Note += fmt.Sprintf(" generator late by p50 %d us, p99 %d us", r.Measure.Late.P50, r.Measure.Late.P99)
	return result, err
}

func connect(ctx context.Context, s *stand) (Sample, error) {
	o, err := s.options(load.TCP, s.scale.Connects)
	if err != nil {
		return Sample{}, err
	}
	o.Count = s.scale.Connects
	r, err := scenario.Conn(ctx, o)
	return sample(r, r.Connect.BrokerCPU), err
}

func subs(ctx context.Context, s *stand) (Sample, error) {
	o, err := s.options(load.TCP, 1000)
	if err != nil {
		return Sample{}, err
	}
	o.Count, o.PerClient, o.Inflight, o.Settle = 1000, s.scale.PerClient, 1, s.scale.Settle/2
	r, err := scenario.Subs(ctx, o)
	result := sample(r, r.Memory.Each, r.PerUnit)
	result.Note += fmt.Sprintf(" %d subscriptions in %.1f s", r.Books.Subscribed, r.Connect.Seconds)
	return result, err
}

func offline(ctx context.Context, s *stand) (Sample, error) {
	o, err := s.options(load.TCP, s.scale.Sessions)
	if err != nil {
		return Sample{}, err
	}
	o.Count, o.PerClient, o.QoS, o.Inflight, o.AckOnly, o.Duration = s.scale.Sessions, 100, 1, 20, true, time.Minute
	o.Between = func(ctx context.Context) (process.Group, error) {
		if err := s.broker.Kill(ctx); err != nil {
			return nil, err
		}
		if err := s.broker.Start(ctx); err != nil {
			return nil, err
		}
		return s.broker.Pids(), nil
	}
	r, err := scenario.Offline(ctx, o)
	b := r.Books
	result := sample(r, float64(b.Lost+b.Repeated+b.Disordered), r.PerUnit)
	result.Note += fmt.Sprintf(" %d messages, lost %d, repeated %d, out of order %d", b.Sent, b.Lost, b.Repeated, b.Disordered)
	return result, err
}

func retained(ctx context.Context, s *stand) (Sample, error) {
	o, err := s.options(load.TCP, 10)
	if err != nil {
		return Sample{}, err
	}
	o.Count, o.Receivers, o.Topic, o.Filter, o.Inflight, o.Duration = s.scale.Retained, 5, "r/%i/v", "r/+/v", 100, time.Minute
	r, err := scenario.Retained(ctx, o)
	result := sample(r, r.PerUnit)
	result.Note += fmt.Sprintf(" %d messages to each of 5 subscribers", o.Count)
	return result, err
}

// start is measured from the moment the program is called to the first CONNACK for a user with a password, tried every 2 ms.
func start(ctx context.Context, s *stand) (Sample, error) {
	first, err := s.begin(ctx)
	if err != nil {
		return Sample{}, err
	}
	if err := s.broker.Stop(ctx); err != nil {
		return Sample{}, err
	}
	warm, err := s.begin(ctx)
	if err != nil {
		return Sample{}, err
	}
	select {
	case <-time.After(s.scale.Settle):
	case <-ctx.Done():
		return Sample{}, ctx.Err()
	}
	m, err := s.broker.Pids().Memory()
	var r scenario.Result
	r.Memory.After = m
	return sample(r, warm.Seconds(), first.Seconds(), float64(m.RSS)/(1<<20)), err
}

func (s *stand) begin(ctx context.Context) (time.Duration, error) {
	begin, started := time.Now(), make(chan error, 1)
	go func() { started <- s.broker.Start(ctx) }()
	var addr netip.AddrPort
	switch b := s.broker.(type) {
	case *pando:
		addr = b.planned()
	case *mosquitto:
		addr = netip.AddrPortFrom(loopback, uint16(b.port))
	}
	wait, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err := await(wait, func() error {
		code, err := hello(addr, "bench-0", password, nil)
		if err == nil && code != 0 {
			err = fmt.Errorf("code 0x%02x", code)
		}
		return err
	})
	took := time.Since(begin)
	if err2 := <-started; err2 != nil {
		return 0, err2
	}
	return took, err
}
