package chaos

import (
	"fmt"
	"io"
	"time"
)

// Report is the outcome of one run.
type Report struct {
	Acknowledged int // messages whose PUBACK or PUBREC was read
	Delivered    int // arrivals at sessions
	Lost         int // acknowledged, and never arrived
	Duplicates   int // QoS 1 arrivals after the first: allowed, printed
	Twice        int // QoS 2 arrivals after the first: a broken promise
	OutOfOrder   int // first arrivals before an earlier one of the same publisher
	LostState    int // sessions the server had forgotten
	Retained     int // retained topics that are older than the last acknowledged publish, or missing
	Reconnects   int
	Examples     []string // of what went wrong, at most 20
	Took         time.Duration
}

// Bad reports whether a promise was broken.
func (r *Report) Bad() bool {
	return r.Lost+r.Twice+r.OutOfOrder+r.LostState+r.Retained > 0
}

// Print writes the report.
func (r *Report) Print(w io.Writer) {
	fmt.Fprintf(w, "acknowledged %d, delivered %d, lost %d, duplicate %d (QoS 2: %d), out of order %d, sessions lost %d, retained wrong %d, reconnects %d, in %s\n",
		r.Acknowledged, r.Delivered, r.Lost, r.Duplicates, r.Twice, r.OutOfOrder, r.LostState, r.Retained, r.Reconnects, r.Took.Round(time.Millisecond))
	for _, e := range r.Examples {
		fmt.Fprintln(w, "  "+e)
	}
}

func (r *Report) example(format string, args ...any) {
	if len(r.Examples) < 20 {
		r.Examples = append(r.Examples, fmt.Sprintf(format, args...))
	}
}

// check compares what was acknowledged with what arrived. qos gives a publisher's QoS, home the session that was subscribed to it.
func (n *notes) check(qos func(publisher int) byte, home func(publisher int) int) *Report {
	n.mu.Lock()
	defer n.mu.Unlock()
	r := &Report{Acknowledged: len(n.acked), LostState: n.lostState, Reconnects: n.reconnect}
	seen := map[messageKey]int{}
	last := map[int]uint64{}
	for session, list := range n.delivered {
		r.Delivered += len(list)
		for _, d := range list {
			seen[d.messageKey]++
			if seen[d.messageKey] > 1 {
				if qos(d.publisher) == 2 {
					r.Twice++
					r.example("QoS 2 message %d of publisher %d arrived again at session %d", d.n, d.publisher, session)
				} else {
					r.Duplicates++
				}
				continue
			}
			if d.n < last[d.publisher] {
				r.OutOfOrder++
				r.example("message %d of publisher %d (QoS %d) arrived first after %d", d.n, d.publisher, qos(d.publisher), last[d.publisher])
			}
			last[d.publisher] = max(last[d.publisher], d.n)
		}
	}
	for k, at := range n.acked {
		if seen[k] == 0 {
			r.Lost++
			r.example("message %d of publisher %d (QoS %d), acknowledged at %s, never arrived at session %d",
				k.n, k.publisher, qos(k.publisher), at.Format("15:04:05.000"), home(k.publisher))
		}
	}
	return r
}

// checkRetained compares the retained messages found with the last acknowledged publish of each publisher.
func (n *notes) checkRetained(r *Report, found map[int]uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	last := map[int]uint64{}
	for k := range n.acked {
		last[k.publisher] = max(last[k.publisher], k.n)
	}
	for p, want := range last {
		got := found[p]
		if got < want || got > n.published[p] {
			r.Retained++
			r.example("the retained message of publisher %d is %d, the last acknowledged one %d, the last sent %d", p, got, want, n.published[p])
		}
	}
}
