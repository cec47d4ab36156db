package suite

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// values writes the figures of one sample.
func values(figures []Figure, list []float64) string {
	var parts []string
	for i, v := range list {
		if i < len(figures) {
			parts = append(parts, fmt.Sprintf("%s %s %s", round(v), figures[i].Unit, figures[i].Name))
		}
	}
	return strings.Join(parts, ", ")
}

// round writes three significant digits, and whole numbers above 100.
func round(v float64) string {
	if math.Abs(v) >= 100 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// Verdict of one figure of the first broker.
func (l Line) Verdict(i int) string {
	c := l.Cells[0]
	f := l.Figures[i]
	switch {
	case i >= len(c.Median):
		return "not measured"
	case f.Bar == 0 && !f.Exact || f.Bar == 0 && f.Unit != "messages":
		return ""
	case !c.counts():
		return "does not count"
	case f.Unit == byteUnit && c.Median[i] <= 0:
		return "not measured: less than the noise"
	case f.Exact && c.faults() > 0:
		return fmt.Sprintf("MISSED: %d lost, repeated or out of order", c.faults())
	case c.Median[i] > f.Bar:
		return fmt.Sprintf("MISSED, %.1f times", c.Median[i]/max(f.Bar, 1e-9))
	}
	return "met"
}

// counts says whether every sample had the defaults on.
func (c Cell) counts() bool {
	return !slices.ContainsFunc(c.Samples, func(s Sample) bool { return !s.Settings.Counts })
}

func (c Cell) faults() (n uint64) {
	for _, s := range c.Samples {
		n += s.Lost + s.Repeated + s.Disorder
	}
	return n
}

// Markdown writes the table for people.
func (t Table) Markdown(w io.Writer) error {
	var b strings.Builder
	m := t.Machine
	fmt.Fprintf(&b, "# Figures of %s\n\n", m.When.Format("2006-01-02 15:04"))
	fmt.Fprintf(&b, "%s, %d cores, %.0f GiB, %s, kernel %s, %s, %d open files per process; load before the run %s, at its end %s.\n", m.CPU, m.Cores, float64(m.Memory)/(1<<30),
		m.System, m.Kernel, m.Go, m.Files, m.Load, t.lastLoad())
	fmt.Fprintf(&b, "Generator and broker share the processors. Fresh broker for each figure, brokers in turn, medians of up to %d; %s in all.\n", t.Scale.Repetitions, t.Took.Round(time.Second))
	b.WriteString("CPU is user + system of the broker. EMQX 4 and FlashMQ were measured beforehand on such a machine; the number in brackets after mosquitto's too.\n")
	if t.Scale.Quick {
		b.WriteString("\n**A quick run: fewer messages, connections and repetitions. Not for publication.**\n")
	}
	if t.Bounded != "" {
		fmt.Fprintf(&b, "\nBounded: %s.\n", t.Bounded)
	}
	t.settings(&b)
	names := t.brokers()
	fmt.Fprintf(&b, "\n| figure | unit | EMQX 4 | FlashMQ |%s bar | |\n|---|---|---|---|%s---|---|\n", cells(names, func(n string) string { return n }), strings.Repeat("---|", len(names)))
	for _, l := range t.Lines {
		l.rows(&b, names)
	}
	t.notes(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

func (t Table) lastLoad() string {
	last := ""
	for _, l := range t.Lines {
		for _, c := range l.Cells {
			for _, s := range c.Samples {
				last = s.Load
			}
		}
	}
	return last
}

// settings says what each broker was found to do, each different answer once.
func (t Table) settings(b *strings.Builder) {
	var seen []string
	for _, l := range t.Lines {
		for _, c := range l.Cells {
			for _, s := range c.Samples {
				line := fmt.Sprintf("- %s %s: %s", c.Broker, s.Settings.Version, s.Settings)
				if l.Key == "apart" {
					line = fmt.Sprintf("- %s apart: %s", c.Broker, s.Settings)
				}
				if !slices.Contains(seen, line) {
					seen = append(seen, line)
				}
			}
		}
	}
	b.WriteString("\nWhat the running brokers answered, before each figure:\n\n" + strings.Join(seen, "\n") + "\n")
}

func (t Table) brokers() []string {
	var names []string
	for _, l := range t.Lines {
		for _, c := range l.Cells {
			if !slices.Contains(names, c.Broker) {
				names = append(names, c.Broker)
			}
		}
	}
	return names
}

func cells(names []string, text func(string) string) string {
	var b strings.Builder
	for _, n := range names {
		b.WriteString(" " + text(n) + " |")
	}
	return b.String()
}

// rows of one line, a figure each. Beside what Pando did stands what it was set to while it did it.
func (l Line) rows(b *strings.Builder, names []string) {
	for i, f := range l.Figures {
		value := func(name string) string {
			at := slices.IndexFunc(l.Cells, func(c Cell) bool { return c.Broker == name })
			if at < 0 || i >= len(l.Cells[at].Median) {
				return "-"
			}
			text := round(l.Cells[at].Median[i])
			if f.Unit == byteUnit && l.Cells[at].Median[i] <= 0 {
				text = "less than the noise"
			}
			if name == "mosquitto" {
				if f.Mosq != "" {
					text += " (" + f.Mosq + ")"
				}
				return text
			}
			return text + " " + l.Cells[at].marks()
		}
		bar := "-"
		if f.Bar > 0 || f.Unit == "messages" {
			bar = "<= " + round(f.Bar)
		}
		fmt.Fprintf(b, "| %s: %s | %s | %s | %s |%s %s | %s |\n", l.Title, f.Name, f.Unit, dash(f.EMQX), dash(f.Flash), cells(names, value), bar, l.Verdict(i))
	}
}

// marks is the running configuration in short.
func (c Cell) marks() string {
	if len(c.Samples) == 0 {
		return ""
	}
	s := c.Samples[len(c.Samples)-1].Settings
	return fmt.Sprintf("(auth %s, ACL %s, metrics %s, %s)", s.Authentication, s.ACL, s.Metrics, s.Durability)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// notes are what a number alone would hide.
func (t Table) notes(b *strings.Builder) {
	b.WriteString("\n| figure | broker | samples | spread | lost | repeated | out of order | generator's own CPU us | per second | |\n|---|---|---|---|---|---|---|---|---|---|\n")
	for _, l := range t.Lines {
		for _, c := range l.Cells {
			if len(c.Samples) == 0 {
				fmt.Fprintf(b, "| %s | %s | 0 | | | | | | | %s |\n", l.Key, c.Broker, strings.ReplaceAll(firstLine(c.Error), "|", "/"))
				continue
			}
			low, high := math.Inf(1), math.Inf(-1)
			var lost, repeated, disorder uint64
			for _, s := range c.Samples {
				low, high = min(low, s.Values[0]), max(high, s.Values[0])
				lost, repeated, disorder = lost+s.Lost, repeated+s.Repeated, disorder+s.Disorder
			}
			last := c.Samples[len(c.Samples)-1]
			fmt.Fprintf(b, "| %s | %s | %d | %s to %s | %d | %d | %d | %s | %s | %s |\n", l.Key, c.Broker, len(c.Samples), round(low), round(high), lost, repeated, disorder,
				round(last.Own), round(last.Rate), strings.TrimSpace(last.Note+" "+strings.ReplaceAll(firstLine(c.Error), "|", "/")))
		}
	}
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}
