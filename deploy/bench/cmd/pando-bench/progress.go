package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pando-mq/pando/deploy/bench/load"
)

// progress is a bar on a terminal, and a line every few seconds elsewhere.
type progress struct {
	w        io.Writer
	terminal bool
	last     load.Progress
	shown    time.Time
	dirty    bool
}

// linesEvery is how often a line comes where there is no terminal.
const linesEvery = 5 * time.Second

func newProgress(w io.Writer) *progress {
	p := &progress{w: w, shown: time.Now()}
	if f, ok := w.(*os.File); ok {
		_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
		p.terminal = err == nil
	}
	return p
}

func (p *progress) show(now load.Progress) {
	since := time.Since(p.shown)
	if !p.terminal && since < linesEvery {
		return
	}
	rate := func(a, b uint64) float64 { return float64(a-b) / max(since.Seconds(), 0.001) }
	line := fmt.Sprintf("%-8s %3.0f %%  %d connected, %d sent (%.0f/s), %d delivered (%.0f/s)", now.Phase, 100*now.Done, now.Connected,
		now.Sent, rate(now.Sent, p.last.Sent), now.Delivered, rate(now.Delivered, p.last.Delivered))
	if p.terminal {
		const cells = 20
		n := int(now.Done * cells)
		fmt.Fprintf(p.w, "\r[%s%s] %s\x1b[K", strings.Repeat("#", n), strings.Repeat("-", cells-n), line)
		p.dirty = true
	} else {
		fmt.Fprintln(p.w, line)
	}
	p.last, p.shown = now, time.Now()
}

// end takes the bar away.
func (p *progress) end() {
	if p.dirty {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
