package suite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/pando-mq/pando/deploy/bench/load"
	"github.com/pando-mq/pando/deploy/bench/process"
)

// Options of a run.
type Options struct {
	Scale    Scale
	Rows     []Row               // none: Rows()
	Only     []string            // keys of rows; none: all
	Bins     []Bin               // builds of Pando to measure, the first is the one that is judged
	Peer     bool                // mosquitto, too
	Report   io.Writer           // a line for each sample
	Progress func(load.Progress) // within one sample
}

// Bin is a directory with programs of Pando.
type Bin struct{ Name, Dir string }

// Cell is all samples of one row and broker.
type Cell struct {
	Broker  string    `json:"broker"`
	Samples []Sample  `json:"samples"`
	Median  []float64 `json:"median"`
	Error   string    `json:"error,omitempty"`
}

// Line is a row with its cells.
type Line struct {
	Key     string   `json:"key"`
	Title   string   `json:"title"`
	Figures []Figure `json:"figures"`
	Cells   []Cell   `json:"cells"`
}

// Table is what a run found.
type Table struct {
	Machine process.Machine `json:"machine"`
	Scale   Scale           `json:"scale"`
	Took    time.Duration   `json:"took_ns"`
	Bounded string          `json:"bounded,omitempty"` // what the system did not permit
	Lines   []Line          `json:"lines"`
}

// SpareFiles are those that a broker needs beside its connections.
const SpareFiles = 1000

// Run takes all samples. Rows that fail have the error in their cell; only a context that ended is an error of the run.
func Run(ctx context.Context, o Options) (Table, error) {
	t := Table{Machine: process.Describe(), Scale: o.Scale}
	if most := int(t.Machine.Files) - SpareFiles; t.Scale.Connections > most {
		t.Bounded = fmt.Sprintf("%d instead of %d idle connections: a process may open %d files here", most, t.Scale.Connections, t.Machine.Files)
		t.Scale.Connections = most
	}
	rows := o.chosen()
	for _, r := range rows {
		t.Lines = append(t.Lines, Line{Key: r.Key, Title: r.Title, Figures: r.Figures})
	}
	begin, took := time.Now(), make([]time.Duration, len(rows))
	for n := range t.Scale.Repetitions {
		fit := make([]bool, len(rows))
		for i := range fit {
			fit[i] = true
		}
		if n > 0 {
			fit = affordable(took, t.Scale.Budget-time.Since(begin))
		}
		for i, r := range rows {
			if !fit[i] {
				fmt.Fprintf(o.Report, "%-10s no time for sample %d of %d\n", r.Key, n+1, t.Scale.Repetitions)
				continue
			}
			row := time.Now()
			if err := t.take(ctx, o, r, &t.Lines[i], n); err != nil {
				return t, err
			}
			took[i] = time.Since(row)
		}
	}
	t.Took = time.Since(begin)
	t.finish()
	return t, nil
}

// affordable chooses the rows that are taken once more when not all of them fit into the time that is left: the cheapest first.
func affordable(took []time.Duration, left time.Duration) []bool {
	order := make([]int, len(took))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(took[a], took[b]) })
	fit := make([]bool, len(took))
	for _, i := range order {
		if left -= took[i]; left >= 0 {
			fit[i] = true
		}
	}
	return fit
}

func (o Options) chosen() []Row {
	rows := o.Rows
	if rows == nil {
		rows = Rows()
	}
	return slices.DeleteFunc(slices.Clone(rows), func(r Row) bool { return len(o.Only) > 0 && !slices.Contains(o.Only, r.Key) })
}

// candidate is a broker that can be made in a directory.
type candidate struct {
	name string
	make func(dir string) (Broker, error)
}

// candidates of one row, Pando first.
func (o Options) candidates(ctx context.Context, r Row) []candidate {
	var list []candidate
	for _, b := range o.Bins {
		list = append(list, candidate{b.Name, func(dir string) (Broker, error) {
			if r.apart {
				return newApart(b.Dir, dir), nil
			}
			return newPando(b.Name, b.Dir, dir)
		}})
	}
	if o.Peer && !r.apart {
		list = append(list, candidate{"mosquitto", func(dir string) (Broker, error) {
			program, err := FindMosquitto()
			if err != nil {
				return nil, err
			}
			return newMosquitto(ctx, program, dir)
		}})
	}
	return list
}

// take takes one sample of a row of each broker, beginning with another one each time.
func (t *Table) take(ctx context.Context, o Options, r Row, line *Line, n int) error {
	list := o.candidates(ctx, r)
	for _, c := range list {
		if line.cell(c.name) == nil {
			line.Cells = append(line.Cells, Cell{Broker: c.name})
		}
	}
	for i := range list {
		c := list[(i+n)%len(list)]
		cell := line.cell(c.name)
		begin := time.Now()
		s, err := t.sample(ctx, o, r, c.make, len(cell.Samples))
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			cell.Error = err.Error()
			fmt.Fprintf(o.Report, "%-10s %-10s FAILED after %.0f s: %v\n", r.Key, c.name, time.Since(begin).Seconds(), err)
			continue
		}
		cell.Samples = append(cell.Samples, s)
		fmt.Fprintf(o.Report, "%-10s %-10s %s  (own %.2f us, load %s, %.0f s)%s\n", r.Key, c.name, values(r.Figures, s.Values), s.Own, s.Load, time.Since(begin).Seconds(), s.Note)
	}
	return nil
}

// sampleTime is the longest that one sample may take.
const sampleTime = 4 * time.Minute

// sample starts a broker, asks it what it is set to, and measures.
func (t *Table) sample(ctx context.Context, o Options, r Row, fresh func(string) (Broker, error), turn int) (s Sample, err error) {
	ctx, cancel := context.WithTimeout(ctx, sampleTime)
	defer cancel()
	dir, err := os.MkdirTemp("", "pando-bench-")
	if err != nil {
		return s, err
	}
	defer func() {
		if err == nil {
			err = os.RemoveAll(dir)
		} else if log := logTail(dir); log != "" {
			err = fmt.Errorf("%w\nlog in %s:\n%s", err, dir, log)
		}
	}()
	b, err := fresh(dir)
	if err != nil {
		return s, err
	}
	before := process.Load()
	if !r.lone {
		if err := b.Start(ctx); err != nil {
			_ = end(b) // whatever of it runs; there may be nothing
			return s, err
		}
	}
	var set Settings
	if !r.lone {
		if set, err = b.Settings(ctx); err != nil {
			return s, errors.Join(err, end(b))
		}
	}
	s, err = r.run(ctx, &stand{broker: b, scale: t.Scale, turn: turn, progress: o.Progress})
	if err == nil && r.lone {
		set, err = b.Settings(ctx)
	}
	s.Settings, s.Load = set, before
	return s, errors.Join(err, end(b))
}

// end kills a broker: what it keeps is thrown away.
func end(b Broker) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return b.Kill(ctx)
}

// logTail is the end of the broker's log, for a sample that failed.
func logTail(dir string) string {
	text, err := os.ReadFile(filepath.Join(dir, "data", "pando.log"))
	if err != nil {
		return ""
	}
	return string(text[max(0, len(text)-2000):])
}

// finish computes medians, and what is a ratio of two rows.
func (t *Table) finish() {
	for i := range t.Lines {
		for j := range t.Lines[i].Cells {
			c := &t.Lines[i].Cells[j]
			c.Median = medians(c.Samples)
		}
	}
	apart, together := t.line("apart"), t.line("p2p-q1")
	if apart == nil || together == nil {
		return
	}
	for i := range apart.Cells {
		c := &apart.Cells[i]
		base := together.cell(c.Broker)
		if base != nil && len(c.Median) == 1 && len(base.Median) > 0 && base.Median[0] > 0 {
			c.Median = append(c.Median, c.Median[0]/base.Median[0])
		}
	}
}

// Profiles are those that the samples brought, by row, broker and moment: "idle-tcp-pando-silent".
func (t Table) Profiles() map[string][]byte {
	all := map[string][]byte{}
	for _, l := range t.Lines {
		for _, c := range l.Cells {
			for _, s := range c.Samples {
				for moment, profile := range s.Profiles {
					all[l.Key+"-"+c.Broker+"-"+moment] = profile
				}
			}
		}
	}
	return all
}

func (t *Table) line(key string) *Line {
	for i := range t.Lines {
		if t.Lines[i].Key == key {
			return &t.Lines[i]
		}
	}
	return nil
}

// cell of a broker; nil: it was not measured.
func (l *Line) cell(broker string) *Cell {
	for i := range l.Cells {
		if l.Cells[i].Broker == broker {
			return &l.Cells[i]
		}
	}
	return nil
}

// medians of each figure over the samples. The first sample has every figure.
func medians(list []Sample) []float64 {
	if len(list) == 0 {
		return nil
	}
	var all []float64
	for i := range list[0].Values {
		var v []float64
		for _, s := range list {
			if i < len(s.Values) { // a figure that not every sample takes
				v = append(v, s.Values[i])
			}
		}
		slices.Sort(v)
		m := v[len(v)/2]
		if len(v)%2 == 0 {
			m = (m + v[len(v)/2-1]) / 2
		}
		all = append(all, m)
	}
	return all
}
