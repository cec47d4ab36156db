package suite

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Compare writes what two builds cost, and whether their samples overlap: where they do, the difference may be noise.
func (t Table) Compare(w io.Writer, base, head string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s against %s, %s, %d cores, load %s, %s\n\n", head, base, t.Machine.CPU, t.Machine.Cores, t.Machine.Load, t.Took.Round(time.Second))
	fmt.Fprintf(&b, "| figure | unit | %s | %s | change | |\n|---|---|---|---|---|---|\n", base, head)
	for i := range t.Lines {
		l := &t.Lines[i]
		one, two := l.cell(base), l.cell(head)
		for j, f := range l.Figures {
			if one == nil || two == nil || j >= len(one.Median) || j >= len(two.Median) {
				fmt.Fprintf(&b, "| %s: %s | %s | - | - | | not measured |\n", l.Key, f.Name, f.Unit)
				continue
			}
			change := "-"
			if one.Median[j] != 0 {
				change = fmt.Sprintf("%+.0f %%", 100*(two.Median[j]/one.Median[j]-1))
			}
			fmt.Fprintf(&b, "| %s: %s | %s | %s | %s | %s | %s |\n", l.Key, f.Name, f.Unit, round(one.Median[j]), round(two.Median[j]), change, judge(one.column(j), two.column(j)))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// column is one figure of all samples; ratios of rows have none.
func (c *Cell) column(i int) []float64 {
	var list []float64
	for _, s := range c.Samples {
		if i < len(s.Values) {
			list = append(list, s.Values[i])
		}
	}
	return list
}

func judge(base, head []float64) string {
	switch {
	case len(base) < 2 || len(head) < 2:
		return "too few samples to tell"
	case slices.Max(head) < slices.Min(base):
		return "less"
	case slices.Min(head) > slices.Max(base):
		return "MORE"
	}
	return "no difference that can be told from noise"
}
