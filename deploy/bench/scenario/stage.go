package scenario

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pando-mq/pando/deploy/bench/load"
	"github.com/pando-mq/pando/deploy/bench/process"
)

// stage is a fleet and the result that is being made.
type stage struct {
	*load.Fleet
	o      *Options
	result Result
}

func newStage(o *Options, name, unit string) (*stage, error) {
	f, err := load.New(load.Options{Dial: o.Dial, Broker: o.Broker, Progress: o.Progress, Foreign: name == "sub"})
	if err != nil {
		return nil, err
	}
	s := &stage{Fleet: f, o: o, result: Result{Scenario: name, Unit: unit}}
	s.result.Memory.Before, err = o.Broker.Memory()
	return s, err
}

// connect connects all clients that are added, and measures that. None of them being there at the end is an error.
func (s *stage) connect(ctx context.Context, numbers ...int) error {
	begin := time.Now()
	before, err := s.o.Broker.CPU()
	if err != nil {
		return err
	}
	if err := s.Connect(ctx, numbers...); err != nil {
		return err
	}
	after, err := s.o.Broker.CPU()
	if err != nil {
		return err
	}
	n := s.Connected()
	if n == 0 {
		return fmt.Errorf("nobody could connect: %w", s.FirstError())
	}
	s.result.Connect = ConnectResult{Seconds: time.Since(begin).Seconds(), BrokerCPU: micros(after-before) / float64(n)}
	return nil
}

// grown measures the broker's memory again and divides the difference.
func (s *stage) grown(units int) error {
	var err error
	m := &s.result.Memory
	m.After, err = s.o.Broker.Memory()
	m.Each = float64(m.After.RSS-m.Before.RSS) / float64(max(units, 1))
	return err
}

// finish closes the fleet and divides what was measured.
func (s *stage) finish(units uint64, err error) (Result, error) {
	r := &s.result
	r.Books = s.Books()
	if units > 0 {
		r.PerUnit, r.OwnUnit = micros(r.Measure.BrokerCPU)/float64(units), micros(r.Measure.OwnCPU)/float64(units)
	}
	if r.Measure.Elapsed > 0 {
		r.Rate = float64(units) / r.Measure.Elapsed.Seconds()
	}
	return *r, errors.Join(err, s.Close())
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// traffic is the usual course: everybody connects, then messages flow.
func traffic(ctx context.Context, o *Options, name string, clients []load.Client) (Result, error) {
	s, err := newStage(o, name, "delivered message")
	if err != nil {
		return Result{}, err
	}
	if _, err = s.Add(clients); err == nil {
		err = s.connect(ctx)
	}
	if err == nil {
		s.result.Measure, err = s.Run(ctx, o.run())
	}
	return s.finish(s.result.Measure.Delivered, err)
}

// measured adds up what a part takes that is no Run.
func measured(g process.Group, part func() error) (broker, own, elapsed time.Duration, err error) {
	begin, mine := time.Now(), process.Own()
	before, err := g.CPU()
	if err != nil {
		return 0, 0, 0, err
	}
	if err = part(); err != nil {
		return 0, 0, 0, err
	}
	after, err := g.CPU()
	return after - before, process.Own() - mine, time.Since(begin), err
}
