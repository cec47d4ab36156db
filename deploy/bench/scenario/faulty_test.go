package scenario_test

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
)

// fault says how often a message is delivered, and whether after the next one of its topic instead of before. n counts the deliveries to one receiver.
type fault func(n int) (times int, late bool)

// faulty is a broker of QoS 0 without wildcards that breaks its promises as it is told. It takes a filter behind "$share/<group>/" as that filter and gives
// each message to all members: a broken promise, too.
type faulty struct {
	fault fault
	mu    sync.Mutex
	subs  map[string][]*receiver
}

type receiver struct {
	conn net.Conn
	n    int
	late []byte
}

func startFaulty(t *testing.T, f fault) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &faulty{fault: f, subs: map[string][]*receiver{}}
	var group sync.WaitGroup
	group.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			group.Go(func() { defer c.Close(); b.serve(c) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); group.Wait() })
	return l.Addr().(*net.TCPAddr).AddrPort()
}

func (b *faulty) serve(c net.Conn) {
	in := bufio.NewReader(c)
	for {
		first, err := in.ReadByte()
		if err != nil {
			return
		}
		n, err := binary.ReadUvarint(in) // the same encoding as remaining lengths
		if err != nil {
			return
		}
		body := make([]byte, n)
		if _, err := io.ReadFull(in, body); err != nil {
			return
		}
		switch first >> 4 {
		case 1:
			_, _ = c.Write([]byte{0x20, 2, 0, 0})
		case 8:
			filter := string(body[4 : 4+binary.BigEndian.Uint16(body[2:])])
			if rest, ok := strings.CutPrefix(filter, "$share/"); ok {
				_, filter, _ = strings.Cut(rest, "/")
			}
			b.mu.Lock()
			b.subs[filter] = append(b.subs[filter], &receiver{conn: c})
			b.mu.Unlock()
			_, _ = c.Write([]byte{0x90, 3, body[0], body[1], 0})
		case 3:
			packet := append(binary.AppendUvarint([]byte{first}, n), body...)
			b.deliver(string(body[2:2+binary.BigEndian.Uint16(body)]), packet)
		}
	}
}

func (b *faulty) deliver(topic string, packet []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.subs[topic] {
		r.n++
		times, late := 1, false
		if b.fault != nil {
			times, late = b.fault(r.n)
		}
		if late {
			r.late = packet
			continue
		}
		for range times {
			_, _ = r.conn.Write(packet)
		}
		if r.late != nil {
			_, _ = r.conn.Write(r.late)
			r.late = nil
		}
	}
}

// startNothing is an address where nobody listens.
func startNothing(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort()
}
