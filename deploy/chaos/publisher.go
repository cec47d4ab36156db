package chaos

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
)

const window = 4 // unacknowledged publishes of one publisher

// publisher sends numbered messages of one QoS, from a persistent session, and keeps what is not acknowledged across connections.
type publisher struct {
	id    int
	qos   byte
	topic string
	pace  time.Duration
	notes *notes
	addr  func() string

	mu     sync.Mutex
	next   uint64
	nextID uint16
	open   []*outgoing // in the order of publishing
	known  bool        // the server has accepted this session once
}

// outgoing is one message that is not finished.
type outgoing struct {
	n        uint64
	id       uint16
	sent     bool // once, so DUP from now on
	received bool // PUBREC was read: only PUBREL is sent from now on
}

func payload(publisher int, n uint64) []byte { return fmt.Appendf(nil, "%d:%d", publisher, n) }

// run publishes until stop ends, then until everything is acknowledged or ctx ends.
func (p *publisher) run(ctx, stop context.Context) {
	for ctx.Err() == nil {
		if stop.Err() != nil && p.idle() {
			return
		}
		l, err := dial(ctx, p.addr(), fmt.Sprintf("chaos-pub-%d", p.id), false)
		if err != nil {
			pause(ctx, 50*time.Millisecond)
			continue
		}
		p.notes.connected(p.known, l.present)
		p.known = true
		p.serve(ctx, stop, l)
	}
}

func (p *publisher) idle() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.open) == 0
}

// serve uses one connection until it ends.
func (p *publisher) serve(ctx, stop context.Context, l *link) {
	broken := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(broken)
		p.receive(l)
	}()
	defer func() { l.close(); <-done }()
	if p.resend(l) != nil {
		return
	}
	tick := time.NewTicker(p.pace)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-broken:
			return
		case <-tick.C:
		}
		if stop.Err() != nil {
			if p.idle() {
				return
			}
			continue
		}
		if p.publish(l) != nil {
			return
		}
	}
}

// resend repeats what is not finished, in order (MQTT 3.1.1 §4.4).
func (p *publisher) resend(l *link) error {
	p.mu.Lock()
	open := append([]*outgoing(nil), p.open...)
	p.mu.Unlock()
	for _, o := range open {
		if err := p.send(l, o); err != nil {
			return err
		}
	}
	return nil
}

// publish sends the next message, if the window allows one.
func (p *publisher) publish(l *link) error {
	p.mu.Lock()
	if len(p.open) >= window {
		p.mu.Unlock()
		return nil
	}
	p.next++
	p.nextID++
	if p.nextID == 0 {
		p.nextID = 1
	}
	o := &outgoing{n: p.next, id: p.nextID}
	p.open = append(p.open, o)
	p.mu.Unlock()
	p.notes.sent(p.id, o.n)
	return p.send(l, o)
}

func (p *publisher) send(l *link, o *outgoing) error {
	p.mu.Lock()
	received, dup := o.received, o.sent
	o.sent = true
	p.mu.Unlock()
	if received {
		return l.write(&packet.Ack{Type: packet.TypePubrel, ID: o.id})
	}
	return l.write(&packet.Publish{QoS: p.qos, ID: o.id, Dup: dup, Retain: true, Topic: []byte(p.topic), Payload: payload(p.id, o.n)})
}

// receive notes acknowledgements until the connection ends.
func (p *publisher) receive(l *link) {
	for {
		x, err := l.read()
		if err != nil {
			return
		}
		a, ok := x.(*packet.Ack)
		if !ok {
			continue
		}
		switch a.Type {
		case packet.TypePuback, packet.TypePubcomp:
			p.finish(a)
		case packet.TypePubrec:
			p.received(a.ID)
			if l.write(&packet.Ack{Type: packet.TypePubrel, ID: a.ID}) != nil {
				return
			}
		}
	}
}

func (p *publisher) received(id uint16) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range p.open {
		if o.id == id {
			o.received = true
			p.notes.ack(p.id, o.n)
		}
	}
}

func (p *publisher) finish(a *packet.Ack) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, o := range p.open {
		if o.id == a.ID {
			if a.Type == packet.TypePuback {
				p.notes.ack(p.id, o.n)
			}
			p.open = append(p.open[:i:i], p.open[i+1:]...)
			return
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
