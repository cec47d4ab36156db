package diff

import (
	"fmt"
	"strings"
)

// observer is the slot of the connection that subscribes to everything.
const observer = 0

// slots is how many connections a sequence has at most, the observer included.
const slots = 5

// action is what a step does besides writing.
type action uint8

const (
	send  action = iota // write the bytes
	open                // connect first
	drop                // close the socket behind the bytes
	hold                // acknowledge nothing from now on
	letGo               // acknowledge what was held back
)

// step is one thing that a client does.
type step struct {
	slot    int
	what    action
	name    string // what the table calls it
	version byte   // of the connection
	bytes   []byte
}

func (s *step) String() string {
	verb := [...]string{"", "open ", "drop ", "hold ", "let go "}[s.what]
	return fmt.Sprintf("c%d v%d %s%s: %x", s.slot, s.version, verb, s.name, s.bytes)
}

// sequence is what the generator makes.
type sequence struct {
	seed, number uint64
	steps        []step
}

func (s *sequence) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "sequence %d of seed %d\n", s.number, s.seed)
	for i := range s.steps {
		fmt.Fprintf(&b, "  %2d %s\n", i, &s.steps[i])
	}
	return b.String()
}
