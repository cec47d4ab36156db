package scenario

import (
	"context"

	"github.com/pando-mq/pando/deploy/bench/load"
)

// Pub is Count publishers and no receiver: what arrives is somebody else's business.
func Pub(ctx context.Context, o Options) (Result, error) {
	s, err := newStage(&o, "pub", "message sent")
	if err != nil {
		return Result{}, err
	}
	var list []load.Client
	for i := range o.Count {
		list = append(list, o.sender(i, 0, number(o.Topic, i)))
	}
	if _, err = s.Add(list); err == nil {
		err = s.connect(ctx)
	}
	if err == nil {
		s.result.Measure, err = s.Run(ctx, o.run())
	}
	return s.finish(s.result.Measure.Sent, err)
}

// Sub is Count receivers of what others publish, for Duration or until Messages came.
func Sub(ctx context.Context, o Options) (Result, error) {
	s, err := newStage(&o, "sub", "delivered message")
	if err != nil {
		return Result{}, err
	}
	var list []load.Client
	for i := range o.Count {
		list = append(list, o.receiver(i, number(o.Topic, i)))
	}
	if _, err = s.Add(list); err == nil {
		err = s.connect(ctx)
	}
	if err == nil {
		want := o.Messages
		if want == 0 {
			want = 1 << 62
		}
		s.result.Measure, err = s.Collect(ctx, want, o.Duration, o.Duration)
	}
	return s.finish(s.result.Measure.Delivered, err)
}

// P2P is Count pairs of one publisher and one receiver each, beside Idle connections that have nothing to do with them.
func P2P(ctx context.Context, o Options) (Result, error) {
	var list []load.Client
	for i := range o.Idle {
		list = append(list, o.receiver(2*o.Count+i, number(o.Topic, o.Count+i)))
	}
	for i := range o.Count {
		list = append(list, o.receiver(2*i, number(o.Topic, i)), o.sender(2*i+1, 1, number(o.Topic, i)))
	}
	return traffic(ctx, &o, "p2p", list)
}

// FanOut is one publisher and Count receivers of everything.
func FanOut(ctx context.Context, o Options) (Result, error) {
	list := []load.Client{o.sender(o.Count, o.Count, o.Topic)}
	for i := range o.Count {
		list = append(list, o.receiver(i, o.Topic))
	}
	return traffic(ctx, &o, "fanout", list)
}

// FanIn is Count publishers and one receiver of everything.
func FanIn(ctx context.Context, o Options) (Result, error) {
	list := []load.Client{o.receiver(o.Count, o.Filter)}
	for i := range o.Count {
		list = append(list, o.sender(i, 1, number(o.Topic, i)))
	}
	return traffic(ctx, &o, "fanin", list)
}

// Shared is Count publishers and Receivers members of one shared subscription.
func Shared(ctx context.Context, o Options) (Result, error) {
	var list []load.Client
	for i := range o.Receivers {
		list = append(list, o.receiver(o.Count+i, "$share/bench/"+o.Filter))
	}
	for i := range o.Count {
		c := o.sender(i, o.Receivers, number(o.Topic, i))
		c.Publish.Group = true
		list = append(list, c)
	}
	return traffic(ctx, &o, "shared", list)
}
