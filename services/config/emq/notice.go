package emq

import (
	"slices"
	"strings"

	"github.com/pando-mq/pando/services/config"
)

// Notice is one line for the user at start: what became of keys that do not
// simply take effect.
type Notice struct {
	Keys   []string // as they were written, at least one
	Origin config.Origin
	Text   string
}

// String gives "key, key: text".
func (n Notice) String() string { return strings.Join(n.Keys, ", ") + ": " + n.Text }

// notices gathers the keys that get the same answer into one line.
type notices []Notice

func (ns *notices) add(key string, origin config.Origin, text string) {
	for i := range *ns {
		n := &(*ns)[i]
		if n.Text != text {
			continue
		}
		if !slices.Contains(n.Keys, key) {
			n.Keys = append(n.Keys, key)
		}
		return
	}
	*ns = append(*ns, Notice{Keys: []string{key}, Origin: origin, Text: text})
}

// waits words the answer to a key whose owner is not there yet.
func waits(owner string) string { return "accepted, takes effect with " + owner }
