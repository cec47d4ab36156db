package cluster_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/pando-mq/pando/services/cluster"
)

// nodes draws up to 9 of 12 node ids.
func nodes(t *rapid.T, label string) []string {
	ids := rapid.SliceOfNDistinct(rapid.IntRange(0, 11), 0, 9, rapid.ID[int]).Draw(t, label)
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = fmt.Sprint("node-", id)
	}
	return names
}

func counts(assignment []string) map[string]int {
	c := make(map[string]int)
	for _, id := range assignment {
		c[id]++
	}
	return c
}

// From any assignment to any set of nodes: balanced, and by no more moves than that needs.
func TestAssign(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 64).Draw(t, "partitions")
		prev := rapid.SliceOfN(rapid.SampledFrom([]string{"", "node-0", "node-1", "node-2", "node-3", "gone"}), 0, n).Draw(t, "prev")
		now := nodes(t, "nodes")
		got := cluster.Assign(cluster.TopicSpace, n, prev, now)
		if len(got) != n {
			t.Fatalf("%d entries", len(got))
		}
		if len(now) == 0 {
			if !slices.Equal(got[:len(prev)], prev) {
				t.Fatalf("without nodes %v became %v", prev, got)
			}
			return
		}
		for id, c := range counts(got) {
			if !slices.Contains(now, id) || c < n/len(now) || c > (n+len(now)-1)/len(now) {
				t.Fatalf("%q has %d of %d partitions among %d nodes", id, c, n, len(now))
			}
		}
		if moves, least := moved(prev, got), leastMoves(n, prev, now); moves != least {
			t.Fatalf("%d moves, %d are enough: %v -> %v", moves, least, prev, got)
		}
		slices.Reverse(now)
		if again := cluster.Assign(cluster.TopicSpace, n, got, now); !slices.Equal(again, got) {
			t.Fatalf("not stable: %v -> %v", got, again)
		}
	})
}

func moved(prev, got []string) int {
	n := 0
	for p, id := range got {
		if p >= len(prev) || prev[p] != id {
			n++
		}
	}
	return n
}

// leastMoves keeps as many as each node may have, the largest quotas for those that hold most.
func leastMoves(n int, prev, now []string) int {
	held := counts(prev)
	var holding []int
	for _, id := range now {
		holding = append(holding, held[id])
	}
	slices.Sort(holding)
	slices.Reverse(holding)
	kept := 0
	for i, h := range holding {
		quota := n / len(now)
		if i < n%len(now) {
			quota++
		}
		kept += min(h, quota)
	}
	return n - kept
}

// Rendezvous hashing decides who gets what, so that the spaces do not put their remainders on the same node.
func TestAssignDependsOnTheSpace(t *testing.T) {
	t.Parallel()
	ids := []string{"a", "b", "c"}
	topic, retained := cluster.Assign(cluster.TopicSpace, 64, nil, ids), cluster.Assign(cluster.RetainedSpace, 64, nil, ids)
	if slices.Equal(topic, retained) {
		t.Error("two spaces are assigned alike")
	}
}
