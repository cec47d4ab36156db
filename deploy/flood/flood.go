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
	Name string  // with its rate
	Unit string  // what done counts
	Most float64 // of them per second, if the server has to slow it down; 0: no limit
	Run  func(ctx context.Context, addr string, done *atomic.Int64)
}

// Floods are all of them.
func Floods() []Flood {
	return []Flood{
		{"320 connects/s", "connects", 0, connects},
		{"one client id from 100 sockets, 200 connects/s", "connects that were admitted", 5, oneID},
		{"slow readers, 100 messages/s", "messages of 16 KiB to 50 readers that do not read", 0, slowReaders},
		{"slowloris, 1000 connections", "bytes", 0, slowloris},
	}
}

// workers runs n loops until ctx ends, each of which begins no more often than every pause. The first ones begin evenly spread over one.
func workers(ctx context.Context, n int, pause time.Duration, loop func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			first := time.NewTimer(pause * time.Duration(i) / time.Duration(n))
			defer first.Stop()
			tick := time.NewTicker(pause)
			defer tick.Stop()
			for next := first.C; ; next = tick.C {
				select {
				case <-ctx.Done():
					return
				case <-next:
					loop(i)
				}
			}
		})
	}
	all.Wait()
}

// connects connects and leaves.
func connects(ctx context.Context, addr string, done *atomic.Int64) {
	var id atomic.Int64
	workers(ctx, 32, 100*time.Millisecond, func(int) {
		if c, err := dial(ctx, addr); err == nil {
			if c.greet(fmt.Sprint("flood-", id.Add(1)), true) == nil {
				done.Add(1)
			}
			_ = c.nc.Close()
		}
	})
}

// oneID connects 100 sockets with one client id, each again after another has taken it over, clean start and not in turn.
func oneID(ctx context.Context, addr string, done *atomic.Int64) {
	workers(ctx, 100, 500*time.Millisecond, func(i int) {
		c, err := dial(ctx, addr)
		if err != nil {
			return
		}
		defer c.nc.Close()
		defer context.AfterFunc(ctx, func() { _ = c.nc.Close() })()
		if c.greet("the-one", i%2 == 0) == nil {
			done.Add(1)
			_ = c.until(packet.TypePingresp) // nobody asked: this waits for the end
		}
	})
}

// slowReaders subscribes 50 clients that never read, and publishes to them.
func slowReaders(ctx context.Context, addr string, done *atomic.Int64) {
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
		if p.send(&packet.Publish{QoS: 1, ID: 1, Topic: []byte("slow"), Payload: payload}) != nil || p.until(packet.TypePuback) != nil {
			return
		}
		done.Add(1)
	}
}

// slowloris holds 1000 connections, each of which sends a byte of a CONNECT every second.
func slowloris(ctx context.Context, addr string, done *atomic.Int64) {
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
			if _, err := c.nc.Write([]byte{hello[i]}); err != nil {
				return // the server had enough
			}
			done.Add(1)
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	})
}
