package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
)

// subscriber is one persistent session. It comes and goes by itself, and keeps the packet ids of QoS 2 messages it has not released, as a receiver must.
type subscriber struct {
	id     int
	filter string
	notes  *notes
	addr   func() string
	stay   time.Duration // how long it stays connected, about; 0: for ever
	away   time.Duration

	known    bool
	held     map[uint16]bool
	routed   chan struct{} // closed when the first SUBACK was read
	announce bool
}

// run receives until ctx ends. When settle ends it stops going away by itself.
func (s *subscriber) run(ctx, settle context.Context) {
	s.held = map[uint16]bool{}
	for ctx.Err() == nil {
		l, err := dial(ctx, s.addr(), fmt.Sprintf("chaos-sub-%d", s.id), false)
		if err != nil {
			pause(ctx, 50*time.Millisecond)
			continue
		}
		s.notes.connected(s.known, l.present)
		s.known = true
		if !l.present {
			s.held = map[uint16]bool{}
			if err := l.write(&packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: s.filter, QoS: 2}}}); err != nil {
				l.close()
				continue
			}
		}
		s.serve(ctx, settle, l)
		if settle.Err() == nil {
			pause(ctx, rand.N(s.away+1))
		}
	}
}

func (s *subscriber) serve(ctx, settle context.Context, l *link) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for s.receive(l) == nil {
		}
	}()
	defer func() { l.close(); <-done }()
	var leave <-chan time.Time
	if s.stay > 0 && settle.Err() == nil {
		t := time.NewTimer(s.stay/2 + rand.N(s.stay))
		defer t.Stop()
		leave = t.C
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-done:
			return
		case <-leave:
			if settle.Err() == nil {
				return
			}
			leave = nil
		}
	}
}

// receive handles one packet.
func (s *subscriber) receive(l *link) error {
	x, err := l.read()
	if err != nil {
		return err
	}
	switch p := x.(type) {
	case *packet.Suback:
		if !s.announce {
			s.announce = true
			close(s.routed)
		}
	case *packet.Publish:
		return s.publish(l, p)
	case *packet.Ack:
		if p.Type == packet.TypePubrel {
			delete(s.held, p.ID)
			return l.write(&packet.Ack{Type: packet.TypePubcomp, ID: p.ID})
		}
	}
	return nil
}

func (s *subscriber) publish(l *link, p *packet.Publish) error {
	fresh := p.QoS < 2 || !s.held[p.ID]
	if fresh && !p.Retain { // what was retained before the subscription is not counted
		publisher, n, err := parse(p.Payload)
		if err != nil {
			return err
		}
		s.notes.deliver(s.id, publisher, n, p.Dup)
	}
	switch p.QoS {
	case 1:
		return l.write(&packet.Ack{Type: packet.TypePuback, ID: p.ID})
	case 2:
		s.held[p.ID] = true
		return l.write(&packet.Ack{Type: packet.TypePubrec, ID: p.ID})
	}
	return nil
}

// parse reads "publisher:number".
func parse(b []byte) (int, uint64, error) {
	who, what, ok := strings.Cut(string(b), ":")
	publisher, err1 := strconv.Atoi(who)
	n, err2 := strconv.ParseUint(what, 10, 64)
	if !ok || err1 != nil || err2 != nil {
		return 0, 0, errors.New("a payload that nobody published")
	}
	return publisher, n, nil
}
