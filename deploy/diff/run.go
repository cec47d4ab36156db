package diff

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

var errSilent = errors.New("mosquitto does not answer PINGREQ")

// Options say what to run.
type Options struct {
	Seed      uint64
	First     uint64 // number of the first sequence
	Sequences int
	Workers   int           // sequences at the same time
	Limit     time.Duration // for Pando to say what mosquitto said; three times that when a sequence is tried again
	Retries   int           // how often a sequence that differs is tried again
	Pando     string
	Mosquitto string // addresses, host:port
	Table     []Entry
}

// Report is the outcome.
type Report struct {
	Sequences int
	Steps     int
	Repeated  int      // sequences that were tried again, because of a difference that did not come back
	Failures  []string // each with its sequence, at most 20
	Failed    int
	Hits      []Hit // by entry, in the order of the table
}

// Hit is how often an entry matched.
type Hit struct {
	Entry string
	Count int64
}

// maxFailures is how many failures are described.
const maxFailures = 20

// Run plays sequences. The error is ctx's.
func Run(ctx context.Context, o Options) (*Report, error) {
	r := &runner{o: o, entries: compile(o.Table)}
	numbers := make(chan uint64)
	var workers sync.WaitGroup
	for range max(o.Workers, 1) {
		workers.Go(func() {
			for n := range numbers {
				r.one(n)
			}
		})
	}
	for i := range o.Sequences {
		if ctx.Err() != nil {
			break
		}
		numbers <- o.First + uint64(i)
	}
	close(numbers)
	workers.Wait()
	for i := range r.entries {
		r.report.Hits = append(r.report.Hits, Hit{r.entries[i].String(), r.entries[i].hits.Load()})
	}
	return &r.report, ctx.Err()
}

// runner is one Run.
type runner struct {
	o       Options
	entries []Entry

	mu     sync.Mutex
	report Report
}

// one plays a sequence, again and slowly if it differs.
func (r *runner) one(number uint64) {
	seq := generate(r.o.Seed, number)
	v := r.play(seq, false)
	repeated := 0
	for range r.o.Retries {
		if v.good() {
			break
		}
		repeated++
		if again := r.play(regenerate(seq, repeated), true); again.good() {
			v = again
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Sequences++
	r.report.Steps += v.comparisons
	if v.good() {
		r.report.Repeated += min(repeated, 1)
		for _, e := range v.intended {
			e.hits.Add(1)
		}
		return
	}
	r.report.Failed++
	if len(r.report.Failures) < maxFailures {
		r.report.Failures = append(r.report.Failures, describeFailure(seq, &v))
	}
}

// regenerate is the same sequence with names of its own, so that nothing of the first try is in the way.
func regenerate(s *sequence, try int) *sequence {
	return generateAs(s.seed, s.number, fmt.Sprintf("d%d-%d.%d", s.seed, s.number, try))
}

func (r *runner) play(seq *sequence, slow bool) verdict {
	limit := r.o.Limit
	if slow {
		limit *= 3
	}
	p := play{seq: seq, ours: newSide(r.o.Pando, slots), theirs: newSide(r.o.Mosquitto, slots), entries: r.entries, limit: limit, slow: slow}
	return p.run()
}

func describeFailure(s *sequence, v *verdict) string {
	text := fmt.Sprintf("%safter step %d:", s, v.step)
	if v.note != "" {
		text += " " + v.note
	}
	for _, d := range v.failed {
		text += "\n  " + d.String()
	}
	return text
}
