package router_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pando-mq/pando/services/broker"
)

// Groups of clean sessions alone are served by the strategy, for all topics alike where it says so.
func TestSharedStrategiesOverGateways(t *testing.T) {
	for _, strategy := range broker.Strategies() {
		t.Run(strategy, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := start(t, func(w *world) { w.limits.SharedStrategy = strategy })
				g, h := w.gateway("g1"), w.gateway("g2")
				g.subscribe(w, "a/+", "grp")
				h.subscribe(w, "a/+", "grp")
				for i := range 8 {
					p := w.publisher(g, fmt.Sprint("a/", i))
					p.mustSend(10, 1, func(m *broker.Message) { m.From, m.Node = "pub", "g2" })
				}
				elapse(time.Second)
				a, b := len(g.payloads()), len(h.payloads())
				if a+b != 80 {
					t.Fatalf("%d and %d copies", a, b)
				}
				for _, d := range append(g.got, h.got...) {
					if d.Shares[0].Strategy != strategy {
						t.Fatalf("copy %+v", d.Shares[0])
					}
				}
				switch strategy {
				case broker.StrategyRoundRobin:
					if a != 40 {
						t.Fatalf("%d and %d copies", a, b)
					}
				case broker.StrategySticky, broker.StrategyHashClientID:
					if min(a, b) != 0 {
						t.Fatalf("%d and %d copies", a, b)
					}
				case broker.StrategyLocal:
					if b != 80 {
						t.Fatalf("%d and %d copies", a, b)
					}
				case broker.StrategyHashTopic:
					if a%10 != 0 || a == 0 || b == 0 {
						t.Fatalf("%d and %d copies", a, b)
					}
				}
			})
		})
	}
}
