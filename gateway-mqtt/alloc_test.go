//go:build !race

package gatewaymqtt

import (
	"testing"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
	"github.com/pando-mq/pando/services/edge"
)

// TestDeliverAllocatesNothing: a delivery costs no garbage, whatever it carries. The race detector empties pools at random, so it is not
// measured with it.
func TestDeliverAllocatesNothing(t *testing.T) {
	for _, v := range []packet.Version{packet.V31, packet.V311, packet.V5} {
		c, d := delivering(t, v), delivery()
		allocs := testing.AllocsPerRun(1000, func() {
			if c.Deliver(d) != edge.Sent {
				t.Fatal("refused")
			}
			c.Release(77)
		})
		if allocs >= 1 { // the pool may be emptied by the collector meanwhile
			t.Errorf("%s: %v allocations per delivery", v, allocs)
		}
	}
}
