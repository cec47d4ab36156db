package suite

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/pando-mq/pando/deploy/bench/load"
	"github.com/pando-mq/pando/deploy/bench/scenario"
	"github.com/pando-mq/pando/deploy/bench/wire"
)

// idleFigures are what a connection holds that says nothing. What is held afterwards is that after one message on each connection, and silence. The bars of the
// differences are tolerances: the processes' own comings and goings are a few goroutines and some hundred kB, whatever the number of connections.
func idleFigures(rss float64, emqx, flash, mosq string) []Figure {
	return []Figure{
		{Name: "resident memory per connection", Unit: byteUnit, Bar: rss, EMQX: emqx, Flash: flash, Mosq: mosq},
		{Name: "more with all connections than with none", Unit: "goroutines", Bar: 49},
		{Name: "more after a message on each and silence", Unit: "goroutines", Bar: 5},
		{Name: "more live heap after a message on each and silence", Unit: "% of it", Bar: 2},
	}
}

// idle connects, and looks at what the process holds: before, with all connections, and after each of them has sent and received one message and was silent for
// a while. The second look makes a sample longer by that while, so only the first sample of each broker has it.
func idle(kind string) func(context.Context, *stand) (Sample, error) {
	return func(ctx context.Context, s *stand) (Sample, error) {
		o, err := s.options(kind, s.scale.Connections)
		if err != nil {
			return Sample{}, err
		}
		o.Count, o.Subscribed, o.Settle = s.scale.Connections, true, s.scale.Settle
		p, ok := s.broker.(*pando)
		if !ok || s.turn > 0 {
			r, err := scenario.Conn(ctx, o)
			return sample(r, r.Memory.Each), err
		}
		if err := p.touch(); err != nil {
			return Sample{}, err
		}
		before, err := p.hold(ctx)
		if err != nil {
			return Sample{}, err
		}
		var looks []held
		o.Silence, o.QoS, o.Inflight = s.scale.Silence, 1, 1
		o.Look = func(ctx context.Context) error {
			h, err := p.hold(ctx)
			looks = append(looks, h)
			return err
		}
		r, err := scenario.Conn(ctx, o)
		if err != nil {
			return sample(r), err
		}
		with, after := looks[0], looks[1]
		result := sample(r, r.Memory.Each, with.goroutines-before.goroutines, after.goroutines-with.goroutines, 100*(after.heap/with.heap-1))
		result.Note += fmt.Sprintf(" %d connections; before, with all, after a message on each and %s of silence: goroutines %.0f, %.0f, %.0f; live heap %s, %s, %s MiB; heap in use %s, %s, %s MiB",
			r.Books.Clients, o.Silence, before.goroutines, with.goroutines, after.goroutines, mega(before.heap), mega(with.heap), mega(after.heap), mega(before.inUse), mega(with.inUse), mega(after.inUse))
		result.Profiles = map[string][]byte{"connected": with.profile, "silent": after.profile}
		return result, nil
	}
}

// touch publishes to so many topics, with a subscriber, that every topic partition has delivered a message: what the process makes at the first of each, and
// keeps, is nothing that a connection holds.
func (p *pando) touch() error {
	addr, err := p.Addr(load.TCP)
	if err != nil {
		return err
	}
	user := strings.ReplaceAll(userName, "%i", "0")
	publish := func(c net.Conn) error {
		for i := range 1000 {
			if code, err := ask(c, "bench/touch/"+strconv.Itoa(i)); err != nil || code != 0 {
				return fmt.Errorf("publish: code 0x%02x, %w", code, err)
			}
		}
		return nil
	}
	code, err := hello(addr, user, password, func(c net.Conn) error {
		if _, err := c.Write(wire.AppendSubscribe(nil, wire.V5, 1, 0, []string{"bench/touch/#"})); err != nil {
			return err
		}
		if _, err := answer(c, wire.Suback); err != nil {
			return err
		}
		_, err := hello(addr, user, password, publish)
		return err
	})
	if err == nil && code != 0 {
		err = fmt.Errorf("connect: code 0x%02x", code)
	}
	return err
}

func mega(v float64) string { return fmt.Sprintf("%.2f", v/(1<<20)) }
