package flood

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
)

// pace is the time between two messages of one witness.
const pace = 250 * time.Millisecond

// Times are round trips: from a PUBLISH of a witness to its delivery to the same witness.
type Times []time.Duration

// Quantile is the time that a share of all is not above.
func (ts Times) Quantile(share float64) time.Duration {
	if len(ts) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(ts))
	return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))]
}

// Witnesses are the clients that measure.
type Witnesses struct {
	clients []*client
}

// Connect makes n witnesses.
func Connect(ctx context.Context, addr string, n int) (*Witnesses, error) {
	w := new(Witnesses)
	for i := range n {
		c, err := dial(ctx, addr)
		if err != nil {
			w.Close()
			return nil, err
		}
		w.clients = append(w.clients, c)
		id := fmt.Sprint("witness-", i)
		if err := c.greet(id, true); err != nil {
			w.Close()
			return nil, err
		}
		sub := &packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: id, QoS: 0}}}
		if err := errors.Join(c.send(sub), c.until(packet.TypeSuback)); err != nil {
			w.Close()
			return nil, err
		}
		c.topic = []byte(id)
	}
	return w, nil
}

// Close disconnects them.
func (w *Witnesses) Close() {
	for _, c := range w.clients {
		_ = c.nc.Close()
	}
}

// Measure lets them send for a time. An error is a witness that was not served.
func (w *Witnesses) Measure(d time.Duration) (Times, error) {
	var mu sync.Mutex
	var all Times
	var errs error
	var each sync.WaitGroup
	for i, c := range w.clients {
		each.Go(func() {
			ts, err := c.measure(d, pace*time.Duration(i)/time.Duration(len(w.clients)))
			mu.Lock()
			defer mu.Unlock()
			all = append(all, ts...)
			if err != nil {
				errs = errors.Join(errs, fmt.Errorf("witness %d: %w", i, err))
			}
		})
	}
	each.Wait()
	return all, errs
}

// measure sends a message each pace, after a delay of its own, and waits for it.
func (c *client) measure(d, delay time.Duration) (ts Times, err error) {
	wait := time.NewTimer(delay)
	<-wait.C
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for end := time.Now().Add(d); time.Now().Before(end); <-tick.C {
		begin := time.Now()
		if err := errors.Join(c.send(&packet.Publish{QoS: 1, ID: 1, Topic: c.topic, Payload: []byte("x")}), c.until(packet.TypePublish, packet.TypePuback)); err != nil {
			return ts, err
		}
		ts = append(ts, time.Since(begin))
	}
	return ts, nil
}
