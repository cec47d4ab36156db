package topic

import (
	"slices"
	"strings"
)

// chunkMax is how many nodes a chunk holds before it is cut in two: insertion moves at most so many pointers, plus one per chunk.
const chunkMax = 256

// nodeList is the children of a node in order of their levels: a list of sorted chunks, so that a million children are as quick as ten.
type nodeList[V any] struct {
	chunks [][]*nameNode[V] // none is empty
}

// place is a position in a nodeList; it holds until the list changes.
type place struct{ chunk, i int }

func (l *nodeList[V]) empty() bool { return len(l.chunks) == 0 }

// at is the node at a place, nil behind the end.
func (l *nodeList[V]) at(p place) *nameNode[V] {
	if p.chunk >= len(l.chunks) {
		return nil
	}
	return l.chunks[p.chunk][p.i]
}

// after is the place behind p.
func (l *nodeList[V]) after(p place) place {
	if p.chunk < len(l.chunks) && p.i+1 < len(l.chunks[p.chunk]) {
		return place{p.chunk, p.i + 1}
	}
	return place{p.chunk + 1, 0}
}

// seek is the place of the first node at or above level.
func (l *nodeList[V]) seek(level string) place {
	c, _ := slices.BinarySearchFunc(l.chunks, level, func(chunk []*nameNode[V], level string) int {
		return strings.Compare(chunk[len(chunk)-1].level, level)
	})
	if c == len(l.chunks) {
		return place{c, 0}
	}
	i, _ := slices.BinarySearchFunc(l.chunks[c], level, compareLevel)
	return place{c, i}
}

func compareLevel[V any](n *nameNode[V], level string) int { return strings.Compare(n.level, level) }

func (l *nodeList[V]) find(level string) *nameNode[V] {
	if n := l.at(l.seek(level)); n != nil && n.level == level {
		return n
	}
	return nil
}

// insert adds a node whose level is not there yet.
func (l *nodeList[V]) insert(n *nameNode[V]) {
	if len(l.chunks) == 0 {
		l.chunks = [][]*nameNode[V]{{n}}
		return
	}
	p := l.seek(n.level)
	if p.chunk == len(l.chunks) {
		p = place{p.chunk - 1, len(l.chunks[p.chunk-1])}
	}
	c := slices.Insert(l.chunks[p.chunk], p.i, n)
	if len(c) <= chunkMax {
		l.chunks[p.chunk] = c
		return
	}
	half := len(c) / 2
	upper := slices.Clone(c[half:])
	clear(c[half:])
	l.chunks[p.chunk] = c[:half]
	l.chunks = slices.Insert(l.chunks, p.chunk+1, upper)
}

// remove takes a level out, if it is there.
func (l *nodeList[V]) remove(level string) {
	p := l.seek(level)
	if n := l.at(p); n == nil || n.level != level {
		return
	}
	c := slices.Delete(l.chunks[p.chunk], p.i, p.i+1)
	if len(c) > 0 {
		l.chunks[p.chunk] = c
		return
	}
	l.chunks = slices.Delete(l.chunks, p.chunk, p.chunk+1)
	if len(l.chunks) == 0 {
		l.chunks = nil
	}
}
