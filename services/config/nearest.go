package config

import (
	"slices"
	"strings"
)

// Distance counts the insertions, deletions, substitutions and swaps of
// neighbours that turn a into b.
func Distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	before, prev := make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row := make([]int, len(y)+1)
		row[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, prev = prev, row
	}
	return prev[len(y)]
}

// Nearest returns the candidate closest to word, or "" if none is close
// enough to be meant: a third of its letters, and one more, may differ.
func Nearest(word string, candidates []string) string {
	best, at := "", len([]rune(word))/3+2
	for _, c := range candidates {
		if d := Distance(word, c); d < at {
			best, at = c, d
		}
	}
	return best
}

// suggest names the key that was probably meant by the unknown key name under
// the section s at path: a neighbour, a key written with dots, or the same
// word in another section.
func (s *schema) suggest(root *schema, path, name string) string {
	var near []string
	for _, f := range s.fields {
		near = append(near, f.name)
	}
	if hit := Nearest(name, near); hit != "" {
		return join(path, hit)
	}
	var full, leaves []string
	for _, k := range root.leaves() {
		full = append(full, k.path)
		if k.name != anyName {
			leaves = append(leaves, k.name)
		}
	}
	if hit := Nearest(join(path, name), full); hit != "" {
		return hit
	}
	hit := Nearest(name, leaves)
	if hit == "" || Distance(hit, name) > 1 {
		return ""
	}
	for _, k := range root.leaves() {
		if k.name == hit {
			return k.path
		}
	}
	return ""
}

// unknownKey words the refusal of a key.
func unknownKey(s, root *schema, path, name string, others []string) string {
	text := "unknown key"
	if hit := s.suggest(root, path, name); hit != "" {
		return text + ", did you mean " + hit + "?"
	}
	var names []string
	for _, f := range s.fields {
		names = append(names, f.name)
	}
	if path == "" {
		if hit := Nearest(name, others); hit != "" {
			return text + ", did you mean " + hit + "?"
		}
		names = append(names, others...)
	}
	slices.Sort(names)
	where := "the keys here are "
	if path != "" {
		where = "the keys of " + path + " are "
	}
	if len(names) == 0 {
		return text
	}
	return text + ", " + where + strings.Join(names, ", ")
}
