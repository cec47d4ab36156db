package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"sync"

	"google.golang.org/grpc"

	"github.com/pando-mq/pando/services/broker"
)

// Stream is the implementation's end of a channel: a broker.PublishStream, DeliverStream or SessionStream.
type Stream[I any] interface {
	Send(batch []I) error
	Done() <-chan struct{}
	Err() error
	Close()
}

// Open opens the implementation's stream of a channel and says which epoch it is bound to (0 where there is none). ctx lives as long as the channel.
type Open[O, I, A any] func(ctx context.Context, open O, to *Answers[A]) (Stream[I], uint64, error)

// Answers is the way back of a channel. Safe for use by many goroutines; the order of calls is kept.
type Answers[A any] struct {
	send   func([]A)
	queued func() int
	drop   func(int)
	bound  int
}

// Send queues answers. Above the bound the channel ends with KindBusy; after its end they are dropped.
func (a *Answers[A]) Send(answers []A) { a.send(answers) }

// Pressed reports whether half of the bound is used: what may be dropped should be.
func (a *Answers[A]) Pressed() bool { return a.queued() > a.bound/2 }

// Dropped counts what was dropped.
func (a *Answers[A]) Dropped(n int) { a.drop(n) }

// acceptor is the server's end of one physical stream.
type acceptor[O, I, A any] struct {
	cfg      ServerConfig
	log      *slog.Logger
	protocol Protocol[O, I, A]
	open     Open[O, I, A]
	metrics  *streamMetrics
	panics   func()
	sender   *sender[Opened, A]
	ctx      context.Context
	running  sync.WaitGroup // one for each channel

	mu       sync.Mutex
	channels map[uint32]*accepted[O, I, A]
	closed   bool // no channel is accepted any more
}

// Serve serves one physical stream until it breaks, and returns when all its channels have ended. reg is what the service was registered with: a *Server
// gives its configuration.
func Serve[O, I, A any](ctx context.Context, reg grpc.ServiceRegistrar, p Protocol[O, I, A], wire Wire[Frame[Opened, A], Frame[O, I]], open Open[O, I, A]) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	env := environmentOf(reg)
	m := env.metrics.stream(p.Name)
	a := &acceptor[O, I, A]{
		cfg: env.cfg, log: env.log, protocol: p, open: open, metrics: m, panics: env.metrics.panicked,
		sender: newSender[Opened](p.AnswerSize, env.cfg.MaxMessage-messageSlack, m), ctx: ctx,
		channels: make(map[uint32]*accepted[O, I, A]),
	}
	defer a.running.Wait()
	defer a.close()
	defer cancel()
	a.running.Go(func() {
		// When it cannot send, gRPC has ended the stream, and Recv says so.
		if err := a.sender.run(ctx, wire.Send); ctx.Err() == nil {
			a.log.Debug("a stream cannot be written", slog.String("protocol", p.Name), slog.Any("error", err))
		}
	})
	// The reader outlives this call by a moment when the server stops: Recv returns once the call did.
	broken := make(chan error, 1)
	env.readers.Go(func() { broken <- a.read(wire) })
	select {
	case err := <-broken:
		return err
	case <-ctx.Done():
		return ToStatus(broker.E(broker.KindUnavailable, "server is stopping", nil))
	}
}

// read handles frames until the stream breaks; nil when the other side closed it.
func (a *acceptor[O, I, A]) read(wire Wire[Frame[Opened, A], Frame[O, I]]) error {
	for {
		frames, err := wire.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for i := range frames {
			a.receive(&frames[i])
		}
	}
}

func (a *acceptor[O, I, A]) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
}

// receive handles one frame. Frames of a channel that has ended are late and change nothing.
func (a *acceptor[O, I, A]) receive(f *Frame[O, I]) {
	a.mu.Lock()
	c := a.channels[f.Channel]
	a.mu.Unlock()
	switch {
	case f.Open != nil && c != nil:
		f.Bad = errors.New("the channel is open already")
	case f.Open != nil || f.Bad != nil && c == nil:
		c = a.accept(f)
	}
	if c != nil {
		c.receive(f)
	}
}

// accept makes the channel that a frame opens; nil if it is refused at once.
func (a *acceptor[O, I, A]) accept(f *Frame[O, I]) *accepted[O, I, A] {
	c := &accepted[O, I, A]{
		a: a, flow: &flow[Opened, A]{channel: f.Channel}, wake: make(chan struct{}, 1),
	}
	if f.Bad != nil {
		a.sender.refuse(c.flow, Opened{Err: broker.E(broker.KindInvalid, "open "+a.protocol.Name+" stream", f.Bad)})
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil
	}
	if len(a.channels) >= a.cfg.MaxChannels {
		a.sender.refuse(c.flow, Opened{Err: broker.Errorf(broker.KindBusy, "%d channels are open", a.cfg.MaxChannels)})
		return nil
	}
	a.channels[f.Channel] = c
	a.metrics.open(1)
	c.ctx, c.cancel = context.WithCancel(a.ctx)
	open := *f.Open
	a.running.Go(func() { c.run(open) })
	return c
}

func (a *acceptor[O, I, A]) forget(c *accepted[O, I, A]) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.channels, c.flow.channel)
	a.metrics.open(-1)
}

// accepted is the server's end of one channel. run is its goroutine: it alone calls the implementation's stream.
type accepted[O, I, A any] struct {
	a      *acceptor[O, I, A]
	flow   *flow[Opened, A]
	ctx    context.Context
	cancel context.CancelFunc
	wake   chan struct{} // holds one token: look at what came

	mu     sync.Mutex
	inbox  []I
	fresh  int   // bytes in inbox
	held   int   // bytes that came and were not given back
	closed bool  // nothing is taken any more
	err    error // why, if not because the opener closed it
}

// receive takes what the opener sent. It never blocks: the credit bounds the inbox.
func (c *accepted[O, I, A]) receive(f *Frame[O, I]) {
	c.mu.Lock()
	for i := range f.Items {
		if c.held >= c.a.cfg.Credit {
			f.Bad = fmt.Errorf("more than %d bytes without credit", c.a.cfg.Credit)
			break
		}
		n := c.a.protocol.ItemSize(&f.Items[i])
		c.held += n
		c.fresh += n
	}
	switch {
	case c.closed:
	case f.Bad != nil:
		c.closed, c.inbox, c.err = true, nil, broker.E(broker.KindInvalid, c.a.protocol.Name+" stream", f.Bad)
	default:
		c.inbox = append(c.inbox, f.Items...)
		c.closed = f.End != nil
	}
	closed := c.closed
	c.mu.Unlock()
	c.look()
	if closed && f.End != nil {
		c.cancelOpening()
	}
}

func (c *accepted[O, I, A]) look() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// cancelOpening ends the context of an opening that the opener does not wait for any more. With items in the inbox they come first.
func (c *accepted[O, I, A]) cancelOpening() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.inbox) == 0 {
		c.cancel()
	}
}

// run opens the implementation's stream and passes on what comes until one side ends.
func (c *accepted[O, I, A]) run(open O) {
	defer c.cancel()
	defer c.a.forget(c)
	defer c.recover()
	stream, epoch, err := c.a.open(c.ctx, open, &Answers[A]{send: c.answer, queued: c.queued, drop: c.a.metrics.drop, bound: c.a.cfg.QueueBytes})
	if err != nil {
		c.a.sender.refuse(c.flow, Opened{Err: err})
		return
	}
	defer stream.Close()
	c.a.sender.start(c.flow, Opened{Epoch: epoch, Credit: c.a.cfg.Credit})
	for {
		batch, size, closed, err := c.take()
		switch {
		case err != nil:
			c.a.sender.abandon(c.flow, &End{Err: err})
			return
		case len(batch) > 0:
			if err := stream.Send(batch); err != nil {
				c.finish(stream, err)
				return
			}
			c.giveBack(size)
			continue
		case closed:
			c.a.sender.abandon(c.flow, nil)
			return
		}
		select {
		case <-c.wake:
		case <-stream.Done():
			c.finish(stream, errEnded)
			return
		case <-c.ctx.Done():
			c.a.sender.abandon(c.flow, nil)
			return
		}
	}
}

// finish tells the opener why the implementation ended the stream, behind all answers.
func (c *accepted[O, I, A]) finish(stream Stream[I], err error) {
	if e := stream.Err(); e != nil {
		err = e
	}
	c.a.sender.finish(c.flow, &End{Err: err})
}

func (c *accepted[O, I, A]) take() (batch []I, size int, closed bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	batch, size = c.inbox, c.fresh
	c.inbox, c.fresh = nil, 0
	return batch, size, c.closed, c.err
}

func (c *accepted[O, I, A]) giveBack(size int) {
	c.mu.Lock()
	c.held -= size
	c.mu.Unlock()
	c.a.sender.give(c.flow, size, c.a.cfg.Credit/4)
}

// answer queues answers; a full queue ends the channel.
func (c *accepted[O, I, A]) answer(answers []A) {
	_, err := c.a.sender.push(c.flow, answers, c.a.cfg.QueueBytes)
	if err == nil || errors.Is(err, errEnded) {
		return
	}
	c.a.metrics.busy()
	c.mu.Lock()
	c.closed, c.inbox, c.err = true, nil, err
	c.mu.Unlock()
	c.look()
}

func (c *accepted[O, I, A]) queued() int { return c.a.sender.queued(c.flow) }

// recover turns a panic of the implementation into the end of this channel.
func (c *accepted[O, I, A]) recover() {
	p := recover()
	if p == nil {
		return
	}
	c.a.panics()
	c.a.log.Error("a stream panicked", slog.String("protocol", c.a.protocol.Name), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
	err := broker.Errorf(broker.KindInternal, "%s stream panicked", c.a.protocol.Name)
	c.a.sender.kill(c.flow, Opened{Err: err}, &End{Err: err})
}
