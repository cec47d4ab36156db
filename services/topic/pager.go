package topic

import (
	"container/heap"
	"slices"
)

// pager keeps the smallest `limit` strings above `after`, in a heap whose top is the largest kept.
type pager struct {
	after string
	limit int // 0: all
	kept  maxHeap
}

func (p *pager) add(s string) {
	switch {
	case s <= p.after:
	case p.limit == 0:
		p.kept = append(p.kept, s)
	case len(p.kept) < p.limit:
		heap.Push(&p.kept, s)
	case s < p.kept[0]:
		p.kept[0] = s
		heap.Fix(&p.kept, 0)
	}
}

func (p *pager) sorted() []string {
	slices.Sort(p.kept)
	return p.kept
}

type maxHeap []string

func (h maxHeap) Len() int           { return len(h) }
func (h maxHeap) Less(i, j int) bool { return h[i] > h[j] }
func (h maxHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *maxHeap) Push(x any)        { *h = append(*h, x.(string)) }
func (h *maxHeap) Pop() any {
	old := *h
	s := old[len(old)-1]
	*h = old[:len(old)-1]
	return s
}
