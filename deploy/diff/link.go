package diff

import (
	"bufio"
	"net"
	"sync"
	"time"
)

// side is one server in one sequence, with the connections to it.
type side struct {
	addr  string
	links []*link // by slot; nil: never opened

	mu    sync.Mutex
	moved chan struct{} // closed and made anew when something came
	acts  int           // acknowledgements that links sent by themselves
}

func newSide(addr string, slots int) *side {
	return &side{addr: addr, links: make([]*link, slots), moved: make(chan struct{})}
}

// link is one connection. It acknowledges what it is sent, unless held.
type link struct {
	side *side
	nc   net.Conn
	done chan struct{} // closed when the reader has ended

	// under side.mu
	answers  []answer // since the last step
	pongs    int
	over     bool
	held     bool
	withheld [][]byte

	pings int // sent
}

// open connects a slot.
func (s *side) open(slot int, version byte) error {
	nc, err := net.DialTimeout("tcp", s.addr, patience)
	if err != nil {
		return err
	}
	l := &link{side: s, nc: nc, done: make(chan struct{})}
	s.mu.Lock()
	s.links[slot] = l
	s.mu.Unlock()
	go l.read(&decoder{in: bufio.NewReader(nc), version: version, aliases: map[uint16]string{}})
	return nil
}

// alive reports whether the server has a connection open in a slot.
func (s *side) alive(slot int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.links[slot] != nil && !s.links[slot].over
}

// acted is how many acknowledgements were sent.
func (s *side) acted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.acts
}

// close ends all connections.
func (s *side) close() {
	for _, l := range s.links {
		if l != nil {
			_ = l.nc.Close()
			<-l.done
		}
	}
}

// wake tells waiters that something came. side.mu is held.
func (s *side) wake() {
	close(s.moved)
	s.moved = make(chan struct{})
}

// wait returns when cond holds, true, or when the time is over.
func (s *side) wait(limit time.Duration, cond func() bool) bool {
	end := time.NewTimer(limit)
	defer end.Stop()
	for {
		s.mu.Lock()
		moved := s.moved
		ok := cond()
		s.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-moved:
		case <-end.C:
			return false
		}
	}
}

// read collects answers until the connection ends.
func (l *link) read(d *decoder) {
	defer close(l.done)
	for {
		a, err := d.next()
		if err != nil {
			a = ended()
		}
		if !l.take(a) {
			return
		}
	}
}

// take notes an answer and acknowledges it; false at the end.
func (l *link) take(a answer) bool {
	l.side.mu.Lock()
	defer l.side.mu.Unlock()
	defer l.side.wake()
	switch a.kind {
	case "PINGRESP":
		l.pongs++
		return true
	case "END":
		l.over = true
	}
	l.answers = append(l.answers, a)
	if b := reply(&a); b != nil {
		if l.held && a.kind != "PUBREC" {
			l.withheld = append(l.withheld, b)
		} else {
			l.side.acts++
			_, _ = l.nc.Write(b) // its failure is the end, which is read
		}
	}
	return !l.over
}

// manual is the lowest packet id of a QoS 2 PUBLISH that is released by a step only.
const manual = 500

// reply is the acknowledgement of an answer, nil if it wants none.
func reply(a *answer) []byte {
	switch {
	case a.kind == "PUBREL":
		return ack(firstPubcomp, a.id)
	case a.kind == "PUBREC" && a.id < manual && a.code < 0x80:
		return ack(firstPubrel, a.id)
	case a.kind != "PUBLISH" || a.qos == 0:
		return nil
	case a.qos == 1:
		return ack(firstPuback, a.id)
	}
	return ack(firstPubrec, a.id)
}

// hold stops acknowledging, or sends what was held back.
func (l *link) hold(on bool) {
	l.side.mu.Lock()
	held := l.withheld
	l.held, l.withheld = on, nil
	l.side.mu.Unlock()
	for _, b := range held {
		l.write(b)
	}
}

// write sends bytes. A failure is the end of the connection, which the reader notes.
func (l *link) write(b []byte) {
	_ = l.nc.SetWriteDeadline(time.Now().Add(patience))
	_, _ = l.nc.Write(b)
}

// ping asks for a PINGRESP.
func (l *link) ping() {
	l.pings++
	l.write([]byte{firstPingreq, 0})
}

// drop closes the socket and waits for the reader.
func (l *link) drop() {
	_ = l.nc.Close()
	<-l.done
}

// settle asks every connection for PINGRESP until none says or acknowledges anything more.
func (s *side) settle(limit time.Duration) bool {
	for {
		acts := s.acted()
		for _, l := range s.links {
			if l != nil {
				l.ping()
			}
		}
		if !s.wait(limit, s.ponged) {
			return false
		}
		if acts == s.acted() {
			return true
		}
	}
}

// ponged reports whether every connection that is not over has answered every ping.
func (s *side) ponged() bool {
	for _, l := range s.links {
		if l != nil && !l.over && l.pongs < l.pings {
			return false
		}
	}
	return true
}
