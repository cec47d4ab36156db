package gatewaymqtt_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
)

// packetFilters is how many filters one SUBSCRIBE of case 15 has.
const packetFilters = 1000

// Case 15: as many filters of one client as it may have, 10,000 of which match the same topic, and more. The last ones cost what the first ones did, memory
// is in proportion, what is beyond the bound is refused, a match is one delivery in bounded time, and the end of the session holds up nobody.
func TestHardening15Subscriptions(t *testing.T) {
	const levels, overlapping = 14, 10_000
	w := start(t, func(s *setup) { s.session.MaxSubscriptions = explosionFilters })
	w.backend.Router.Forget()
	c := w.connect(t, packet.V5, "explosion")
	topic := strings.Repeat("a/", levels-1) + "a"
	before := inUse()
	c.explode(overlapping, func(mask int) string {
		b := []byte(topic)
		for i := range levels {
			if mask>>i&1 == 1 {
				b[2*i] = '+'
			}
		}
		return string(b)
	})
	took := c.explode(explosionFilters-overlapping, func(i int) string { return fmt.Sprintf("d/%d/%d", i%100, i) })
	grown := inUse() - before
	t.Logf("%d filters: %d bytes each, %s for the first %d of those that are alike, %s for the last", explosionFilters, grown/explosionFilters, took[0], packetFilters, took[len(took)-1])
	if limit := explosionFilters * 2 << 10; grown > limit {
		t.Errorf("%d bytes more are in use, want at most %d", grown, limit)
	}
	tenth := len(took) / 10
	if first, last := sum(took[:tenth]), sum(took[len(took)-tenth:]); last > 10*first+time.Second {
		t.Errorf("the first tenth of the filters took %s, the last %s", first, last)
	}
	for i := range 10 {
		c.send(&packet.Subscribe{ID: 2, Subscriptions: []packet.Subscription{{Filter: fmt.Sprint("more/", i)}}})
		if r := expect[*packet.Suback](c).Reasons[0]; r != packet.QuotaExceeded {
			t.Fatalf("SUBACK %s for one more", r)
		}
	}
	publisher := w.connect(t, packet.V5, "publisher")
	for i := range 10 {
		publisher.send(message(0, 0, topic, fmt.Sprint(i)))
		if p := c.expectMessage(topic, fmt.Sprint(i)); p.QoS != 0 {
			t.Errorf("QoS %d", p.QoS)
		}
	}
	c.quiet() // one delivery for all of them
	_ = c.nc.Close()
	w.eventually(t, "it is gone", func() bool { return w.gw.Listeners()[0].CurrentClients == 1 })
	publisher.quiet()
}

// explode subscribes to n filters, and returns how long each packet took.
func (c *client) explode(n int, filter func(i int) string) (took []time.Duration) {
	c.t.Helper()
	for begin := 0; begin < n; begin += packetFilters {
		p := &packet.Subscribe{ID: 1}
		for i := begin; i < begin+packetFilters; i++ {
			p.Subscriptions = append(p.Subscriptions, packet.Subscription{Filter: filter(i), QoS: byte(i % 3)})
		}
		start := time.Now()
		c.send(p)
		for _, r := range expect[*packet.Suback](c).Reasons {
			if r.Failed() {
				c.t.Fatalf("SUBACK %s", r)
			}
		}
		took = append(took, time.Since(start))
	}
	return took
}

func sum(ds []time.Duration) (all time.Duration) {
	for _, d := range ds {
		all += d
	}
	return all
}
