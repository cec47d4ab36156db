package edge_test

import (
	"fmt"
	"testing"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/edge/edgetest"
)

// Within one gateway the strategy chooses among the members that have room.
func TestSharedStrategies(t *testing.T) {
	t.Parallel()
	for _, strategy := range broker.Strategies() {
		t.Run(strategy, func(t *testing.T) {
			t.Parallel()
			b := edgetest.New(t)
			b.Router.SetStrategy(strategy)
			e := b.Edge(t, nil)
			var members []*edgetest.Device
			for i := range 4 {
				d := b.Connect(t, e, edgetest.Clean(fmt.Sprint("m", i)))
				granted(t, d.Subscribe(0, "$share/g/t/+"))
				members = append(members, d)
			}
			pub := b.Connect(t, e, edgetest.Clean("pub"))
			counts := func() (total int, each []int) {
				for _, d := range members {
					each = append(each, len(d.Got()))
					total += len(d.Got())
				}
				return total, each
			}
			const n = 40
			for i := range n { // one after the other: a member with something in its queue is passed over
				receive(t, pub.Publish(fmt.Sprint("t/", i%8), fmt.Sprint(i), 1, uint16(i+1)))
				eventually(t, "delivered", func() bool { total, _ := counts(); return total == i+1 })
			}
			_, each := counts()
			most, served := 0, 0
			for _, c := range each {
				most = max(most, c)
				served += min(c, 1)
			}
			switch strategy {
			case broker.StrategyRoundRobin, broker.StrategyLocal:
				if most != n/4 {
					t.Errorf("unfair: %v", each)
				}
			case broker.StrategySticky, broker.StrategyHashClientID:
				if most != n {
					t.Errorf("not with one member: %v", each)
				}
			case broker.StrategyHashTopic:
				for _, d := range members {
					for topic, c := range byTopic(d.Got()) {
						if c != n/8 {
							t.Errorf("%d of %d messages of %s", c, n/8, topic)
						}
					}
				}
			default:
				if served < 2 {
					t.Errorf("not random: %v", each)
				}
			}
		})
	}
}

func byTopic(got []edgetest.Got) map[string]int {
	m := map[string]int{}
	for _, g := range got {
		m[g.Msg.Topic]++
	}
	return m
}
