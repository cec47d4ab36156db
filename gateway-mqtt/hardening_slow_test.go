package gatewaymqtt_test

import (
	"bytes"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
)

// Case 18: a client that reads nothing while 32 MB (in full: 1 GB) are sent to it has a bounded output, slows nobody, and is disconnected.
func TestHardening18SlowReader(t *testing.T) {
	without := fanOut(t, 0)
	with := fanOut(t, 4)
	t.Logf("%d bytes more with 4 slow readers", with-without)
	if limit := 4*(1<<20) + 4<<20; with-without > limit { // max_pending for each, and what is under way
		t.Errorf("4 slow readers hold %d bytes, want at most %d", with-without, limit)
	}
}

// fanOut sends messages to a client that reads and to some that do not, and returns the most memory that was in use meanwhile.
func fanOut(t *testing.T, readers int) (highest int) {
	t.Helper()
	const size = 32 << 10
	w := start(t, func(s *setup) {
		s.session.Queue.MaxBytes = 1 << 20
		s.listener("tcp", func(l *gatewaymqttListener) { l.SendTimeout, l.SndBuf = time.Second, 64<<10 })
	})
	w.backend.Router.Forget()
	for i := range readers {
		slow := w.connect(t, packet.V5, fmt.Sprint("slow ", i))
		slow.subscribe(byte(i%2), "big")
		_ = slow.nc.(*net.TCPConn).SetReadBuffer(4 << 10)
	}
	witness, publisher := w.connect(t, packet.V5, "reads"), w.connect(t, packet.V5, "writes")
	witness.subscribe(0, "big")
	before := heap()
	payload := string(bytes.Repeat([]byte{'x'}, size))
	for i := range fanOutMessages {
		publisher.send(message(0, 0, "big", payload))
		witness.expectMessage("big", payload)
		if i%(fanOutMessages/8) == fanOutMessages/16 {
			highest = max(highest, heap()-before)
		}
	}
	w.eventually(t, "the slow readers are disconnected", func() bool { return w.gw.Listeners()[0].CurrentClients == 2 })
	witness.quiet()
	return highest
}

// Case 19: whoever connects and says nothing, or little, is disconnected in time on every kind of listener; one that is
// connected, by its keep-alive, which max_keepalive bounds for clients that can be told so (5.0).
func TestHardening19Slowloris(t *testing.T) {
	t.Parallel()
	const limit = 400 * time.Millisecond
	w := start(t, func(s *setup) {
		s.open("ssl", "ws", "wss")
		s.cfg.IdleTimeout, s.cfg.MaxKeepAlive = limit, time.Second
		for _, name := range []string{"tcp", "ssl", "ws", "wss"} {
			s.listener(name, func(l *gatewaymqttListener) { l.HandshakeTimeout = limit })
		}
	})
	drips := map[string]string{
		"tcp": "\x10\x80\x01\x00\x04MQTT\x05\x02\x00\x00", "ssl": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "wss": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"ws": "GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nX-Drip: xxxxxxxxxxxxxxxxxxx",
	}
	for name, text := range drips {
		for _, b := range []string{"", text} {
			t.Run(fmt.Sprint(name, len(b)), func(t *testing.T) {
				t.Parallel()
				w.drips(t, name, b)
			})
		}
		if name != "tcp" { // the handshakes are done, CONNECT does not come
			t.Run(name+" handshake only", func(t *testing.T) {
				t.Parallel()
				(&client{t: t, nc: w.opened(t, name), v: packet.V311}).expectClosed()
			})
		}
	}
	for _, keepAlive := range []uint16{0, 65535} {
		t.Run(fmt.Sprint("keep-alive ", keepAlive), func(t *testing.T) {
			t.Parallel()
			c := w.dial(t, "tcp", packet.V5)
			c.send(connectPacket(packet.V5, fmt.Sprint("idle 5 ", keepAlive), func(p *packet.Connect) { p.KeepAlive = keepAlive }))
			if got := expect[*packet.Connack](c).Properties.ServerKeepAlive; got != packet.Some(uint16(1)) {
				t.Errorf("server keep-alive %v", got)
			}
			old := w.connect(t, packet.V311, fmt.Sprint("idle 4 ", keepAlive), func(p *packet.Connect) { p.KeepAlive = keepAlive })
			c.expectEnd(packet.KeepAliveTimeout)
			old.quiet() // it was not told of another keep-alive, so its own holds
		})
	}
	t.Cleanup(func() {
		if n := w.shutdowns("panic"); n != 0 || w.logged() != "" {
			t.Errorf("%d panics, log:\n%s", n, w.logged())
		}
	})
}

// opened is a connection whose handshakes are done.
func (w *world) opened(t *testing.T, listener string) net.Conn {
	t.Helper()
	nc, err := w.open(t, listener)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	return nc
}

// drips sends a byte every 30 ms, and then nothing, until the connection is closed.
func (w *world) drips(t *testing.T, listener, text string) {
	t.Helper()
	nc, err := net.Dial("tcp", w.gw.Addr(listener).String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	over := make(chan struct{})
	go func() {
		defer close(over)
		_ = nc.SetReadDeadline(time.Now().Add(patience))
		for b := make([]byte, 512); ; {
			if _, err := nc.Read(b); err != nil {
				if !ended(err) {
					t.Errorf("not closed in time: %v", err)
				}
				return
			}
		}
	}()
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-over:
			return
		case <-tick.C:
			if i < len(text) {
				_, _ = nc.Write([]byte{text[i]}) // its failure is the end
			}
		}
	}
}

// Case 20: one client id from 100 sockets at once, again and again: one of them has it, everybody else is told and closed.
func TestHardening20OneClientID(t *testing.T) {
	t.Parallel()
	w := start(t)
	const sockets, rounds = 100, 3
	for round := range rounds {
		var all sync.WaitGroup
		left := make(chan *client, sockets)
		for i := range sockets {
			c := w.dial(t, "tcp", packet.V5)
			all.Go(func() {
				if _, err := c.nc.Write(c.encode(connectPacket(packet.V5, "one", func(p *packet.Connect) {
					p.CleanStart = (i+round)%2 == 0
					p.Properties.SessionExpiry = packet.Some(uint32(100 * (i % 2)))
				}))); err != nil {
					t.Error(err)
				}
				left <- c
			})
		}
		all.Wait()
		close(left)
		w.eventually(t, "one connection is left", func() bool { return w.gw.Listeners()[0].CurrentClients == 1 })
		if owners := w.owners(t, left); owners != 1 {
			t.Fatalf("%d connections have the client id", owners)
		}
	}
	if n := w.shutdowns("panic"); n != 0 || w.logged() != "" {
		t.Errorf("%d panics, log:\n%s", n, w.logged())
	}
}

// owners reads what each connection was told: the one that has the client id answers PINGREQ and is closed here.
func (w *world) owners(t *testing.T, cs <-chan *client) (owners int) {
	t.Helper()
	for c := range cs {
		_, _ = c.nc.Write([]byte("\xc0\x00")) // closed connections are read to their end
		for over := false; !over; {
			switch p := c.read().(type) {
			case nil:
				over = true
			case *packet.Pingresp:
				owners, over = owners+1, true
			case *packet.Disconnect:
				if p.Reason != packet.SessionTakenOver && p.Reason != packet.ServerBusy {
					t.Errorf("DISCONNECT %s", p.Reason)
				}
			}
		}
		_ = c.nc.Close()
	}
	return owners
}
