package cluster

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// Assign returns the node id for each partition of a space: what the assigner writes. It is pure: the same arguments give the same
// result, whatever the order of nodes.
//
// Every node gets the same number of partitions, give or take one. A partition moves only if its node is gone or has too many, so
// the number of moves is the least that this balance allows; which ones move, and where to, is decided by rendezvous hashing. prev
// is the present assignment, with "" or missing entries for none. Without nodes, prev stays.
func Assign(s Space, partitions int, prev, nodes []string) []string {
	out := make([]string, partitions)
	if len(nodes) == 0 {
		copy(out, prev)
		return out
	}
	nodes = slices.Compact(slices.Sorted(slices.Values(nodes)))
	held := make(map[string][]int, len(nodes))
	for p, id := range prev[:min(len(prev), partitions)] {
		if _, ok := slices.BinarySearch(nodes, id); ok {
			held[id] = append(held[id], p)
		}
	}
	room := quotas(s, partitions, nodes, held)
	for id, ps := range held {
		slices.SortFunc(ps, func(a, b int) int { return cmp.Compare(score(s, id, b), score(s, id, a)) })
		for _, p := range ps[:min(len(ps), room[id])] {
			out[p] = id
		}
		room[id] -= min(len(ps), room[id])
	}
	for p, id := range out {
		if id == "" {
			id = bestWithRoom(s, p, nodes, room)
			out[p] = id
			room[id]--
		}
	}
	return out
}

// quotas returns how many partitions each node may have. What cannot be divided goes to those that hold most, so that it stays.
func quotas(s Space, partitions int, nodes []string, held map[string][]int) map[string]int {
	order := slices.Clone(nodes)
	slices.SortStableFunc(order, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(held[b]), len(held[a])), cmp.Compare(score(s, b, -1), score(s, a, -1)))
	})
	room := make(map[string]int, len(nodes))
	for i, id := range order {
		room[id] = partitions / len(nodes)
		if i < partitions%len(nodes) {
			room[id]++
		}
	}
	return room
}

// bestWithRoom returns the node of the highest score for p among those below their quota. There is always one.
func bestWithRoom(s Space, p int, nodes []string, room map[string]int) string {
	var best string
	var high uint64
	for _, id := range nodes {
		if sc := score(s, id, p); room[id] > 0 && (best == "" || sc > high) {
			best, high = id, sc
		}
	}
	return best
}

// score is the rendezvous weight of a node for a partition; -1 stands for the space as a whole.
func score(s Space, id string, p int) uint64 {
	var room [128]byte
	b := append(append(room[:0], s...), 0)
	b = append(append(b, id...), 0)
	b = binary.BigEndian.AppendUint64(b, uint64(int64(p)))
	return xxhash.Sum64(b)
}
