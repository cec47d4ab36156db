package transport

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Mode is what serves the connections of a listener.
type Mode string

// The modes.
const (
	Auto      Mode = "auto"      // Loop where it exists, otherwise Goroutine
	Loop      Mode = "loop"      // event loops: Linux
	Goroutine Mode = "goroutine" // one goroutine per connection: everywhere
)

// looping reports whether a listener in this mode has event loops.
func (m Mode) looping() bool { return m != Goroutine && loopsExist }

// Loops are the event loops that several listeners share. They run while a
// listener that uses them is started or has connections, and end with the last.
type Loops struct {
	n int

	mu    sync.Mutex
	users int
	group *loopGroup // nil without users
}

// NewLoops makes n loops that do not run yet; 0: one for each processor that the
// program may use.
func NewLoops(n int) *Loops {
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	return &Loops{n: n}
}

// loopGroup is one run of the loops.
type loopGroup struct {
	loops   []*loop
	turn    atomic.Uint32
	busy    atomic.Int32 // loops within a turn: each wakes the others at its end
	running sync.WaitGroup
}

// next chooses the loop of a new connection: in turn, so that each has as many.
func (g *loopGroup) next() *loop { return g.loops[int(g.turn.Add(1))%len(g.loops)] }

// acquire begins to use the loops. The error is one of the system: there may be
// no file descriptor left.
func (l *Loops) acquire() (*loopGroup, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.group == nil {
		g := new(loopGroup)
		for range l.n {
			lp, err := newLoop(g)
			if err != nil {
				for _, made := range g.loops {
					made.close()
				}
				return nil, err
			}
			g.loops = append(g.loops, lp)
		}
		for _, lp := range g.loops {
			g.running.Go(lp.run)
		}
		l.group = g
	}
	l.users++
	return l.group, nil
}

// release ends a use. The last one stops the loops and gets them to wait for.
func (l *Loops) release() *loopGroup {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.users--; l.users > 0 {
		return nil
	}
	g := l.group
	l.group = nil
	for _, lp := range g.loops {
		lp.stop()
	}
	return g
}
