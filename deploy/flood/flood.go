package flood

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
)

// Flood is one kind of misbehaviour. It runs until ctx ends and adds up what it did.
type Flood struct {
	Name string
	Rate float64 // what it tries, per second
	Unit string  // what it tries
	// Slower is how many times its value without the flood the p99 of the witnesses' round trips may be.
	Slower float64
	Most   float64 // how many of them per second the server may let through, if it has to slow them down; 0: no limit
	Run    func(ctx context.Context, addr string, t *Tally)
}

// Tally is what a flood has done.
type Tally struct {
	Tried atomic.Int64
	Done  atomic.Int64 // of those tried, what the server let through
}

// User and Password belong to an account that the server under attack has to have for the flood of wrong passwords.
const (
	User     = "somebody"
	Password = "the right one"
)

// Floods are all of them. A password is computed on one processor for tens of milliseconds without a pause, and where there are only two that is seen.
func Floods() []Flood {
	return []Flood{
		{"connects", 320, "connects", 2, 0, connects},
		{"wrong passwords", 100, "connects", 30, 1, wrongPasswords},
		{"one client id from 100 sockets", 200, "connects", 2, 5, oneID},
		{"50 readers that do not read", 100, "messages of 16 KiB to each", 2, 0, slowReaders},
		{"slowloris of 1000 connections", 1000, "bytes", 2, 0, slowloris},
	}
}

// workers runs n loops until ctx ends, each of which begins no more often than every pause. They begin evenly spread over one, so that what they do comes at
// a steady rate.
func workers(ctx context.Context, n int, pause time.Duration, loop func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause * time.Duration(i) / time.Duration(n)):
			}
			tick := time.NewTicker(pause) // from now on, or all would tick at once
			defer tick.Stop()
			for {
				loop(i)
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
			}
		})
	}
	all.Wait()
}

// connects connects and leaves.
func connects(ctx context.Context, addr string, t *Tally) {
	var id atomic.Int64
	workers(ctx, 32, 100*time.Millisecond, func(int) {
		t.Tried.Add(1)
		if c, err := dial(ctx, addr); err == nil {
			if c.greet(fmt.Sprint("flood-", id.Add(1)), true) == nil {
				t.Done.Add(1)
			}
			_ = c.nc.Close()
		}
	})
}

// wrongPasswords connects with the name of an account and a password that is not its own, more often than the server can check, and does not wait for ever.
func wrongPasswords(ctx context.Context, addr string, t *Tally) {
	const wait = 2 * time.Second
	var id atomic.Int64
	workers(ctx, 200, wait, func(int) {
		t.Tried.Add(1)
		c, err := dial(ctx, addr)
		if err != nil {
			return
		}
		defer c.nc.Close()
		n := id.Add(1)
		if c.send(&packet.Connect{
			Version: packet.V311, ClientID: fmt.Sprint("guess-", n), CleanStart: true, KeepAlive: 300,
			Username: packet.Some(User), Password: packet.Some(fmt.Append(nil, "guess ", n)),
		}) != nil {
			return
		}
		defer time.AfterFunc(wait, func() { _ = c.nc.Close() }).Stop()
		if c.until(packet.TypeConnack) == nil {
			t.Done.Add(1)
		}
	})
}

// oneID connects 100 sockets with one client id, each again after another has taken it over, clean start and not in turn.
func oneID(ctx context.Context, addr string, t *Tally) {
	workers(ctx, 100, 500*time.Millisecond, func(i int) {
		t.Tried.Add(1)
		c, err := dial(ctx, addr)
		if err != nil {
			return
		}
		defer c.nc.Close()
		defer context.AfterFunc(ctx, func() { _ = c.nc.Close() })()
		if c.greet("the-one", i%2 == 0) == nil {
			t.Done.Add(1)
			_ = c.until(packet.TypePingresp) // nobody asked: this waits for the end
		}
	})
}

// slowReaders subscribes 50 clients that never read, and publishes to them.
func slowReaders(ctx context.Context, addr string, t *Tally) {
	for i := range 50 {
		c, err := dial(ctx, addr)
		if err != nil {
			continue
		}
		defer c.nc.Close()
		_ = c.nc.(*net.TCPConn).SetReadBuffer(4 << 10)
		if c.greet(fmt.Sprint("slow-", i), true) == nil {
			_ = c.send(&packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: "slow", QoS: byte(i % 2)}}})
		}
	}
	p, err := dial(ctx, addr)
	if err != nil {
		return
	}
	defer p.nc.Close()
	if p.greet("slow-publisher", true) != nil {
		return
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for payload := make([]byte, 16<<10); ctx.Err() == nil; <-tick.C {
		t.Tried.Add(1)
		if p.send(&packet.Publish{QoS: 1, ID: 1, Topic: []byte("slow"), Payload: payload}) != nil || p.until(packet.TypePuback) != nil {
			return
		}
		t.Done.Add(1)
	}
}

// slowloris holds 1000 connections, each of which sends a byte of a CONNECT every second.
func slowloris(ctx context.Context, addr string, t *Tally) {
	const hello = "\x10\x7f\x00\x04MQTT\x04\x02\x00\x00\x00\x70xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	workers(ctx, 1000, time.Second, func(int) {
		c, err := dial(ctx, addr)
		if err != nil {
			return
		}
		defer c.nc.Close()
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for i := range len(hello) {
			t.Tried.Add(1)
			if _, err := c.nc.Write([]byte{hello[i]}); err != nil {
				return // the server had enough
			}
			t.Done.Add(1)
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	})
}
