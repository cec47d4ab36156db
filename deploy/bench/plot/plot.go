package plot

import (
	"fmt"
	"html"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Point of a line.
type Point struct{ X, Y float64 }

// Line has a name in the legend.
type Line struct {
	Name   string
	Points []Point
}

// Chart is one diagram. Values that are not finite, and those not above 0 on a logarithmic axis, are left out.
type Chart struct {
	Title, X, Y string
	LogX, LogY  bool
	Lines       []Line
	Bar         float64 // a horizontal line that should not be crossed; 0: none
}

// The size of one chart and of its margins, in pixels.
const (
	width, height          = 720, 320
	left, right, top, foot = 76, 170, 34, 46
)

var (
	colours = []string{"#0b6e4f", "#c0392b", "#1f4e9c", "#8e5a00", "#6b3fa0", "#00798c"}
	dashes  = []string{"", "6 3", "2 3", "8 3 2 3", "1 2", "10 4"}
)

// Write draws charts below one another.
func Write(w io.Writer, charts ...Chart) error {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">`+"\n", width, height*len(charts))
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, height*len(charts))
	for i, c := range charts {
		fmt.Fprintf(&b, `<g transform="translate(0 %d)">`+"\n", i*height)
		c.draw(&b)
		b.WriteString("</g>\n")
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func (c Chart) draw(b *strings.Builder) {
	x, y := newAxis(c.LogX, left, width-right), newAxis(c.LogY, height-foot, top)
	if !c.LogY {
		y.add(0)
	}
	if c.Bar > 0 {
		y.add(c.Bar)
	}
	for _, l := range c.Lines {
		for _, p := range l.Points {
			if x.fits(p.X) && y.fits(p.Y) {
				x.add(p.X)
				y.add(p.Y)
			}
		}
	}
	text(b, left, 20, "start", c.Title, `font-weight="bold"`)
	for _, t := range x.ticks() {
		at := x.at(t)
		fmt.Fprintf(b, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#dddddd"/>`+"\n", at, top, at, height-foot)
		text(b, at, height-foot+16, "middle", short(t), "")
	}
	for _, t := range y.ticks() {
		at := y.at(t)
		fmt.Fprintf(b, `<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="#dddddd"/>`+"\n", left, at, width-right, at)
		text(b, left-6, at+4, "end", short(t), "")
	}
	text(b, (left+width-right)/2, height-10, "middle", c.X, "")
	text(b, 14, (top+height-foot)/2, "middle", c.Y, fmt.Sprintf(`transform="rotate(-90 14 %d)"`, (top+height-foot)/2))
	if c.Bar > 0 {
		fmt.Fprintf(b, `<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="#c0392b" stroke-width="1"/>`+"\n", left, y.at(c.Bar), width-right, y.at(c.Bar))
		text(b, width-right+6, y.at(c.Bar)-3, "start", "bar "+short(c.Bar), `fill="#c0392b"`)
	}
	for i, l := range c.Lines {
		l.draw(b, i, x, y)
	}
}

// marked is up to how many points of a line each has a mark.
const marked = 20

func (l Line) draw(b *strings.Builder, i int, x, y *axis) {
	style := fmt.Sprintf(`fill="none" stroke="%s" stroke-width="2" stroke-dasharray="%s"`, colours[i%len(colours)], dashes[i%len(dashes)])
	var path strings.Builder
	for _, p := range l.Points {
		if !x.fits(p.X) || !y.fits(p.Y) {
			continue
		}
		fmt.Fprintf(&path, "%.1f,%.1f ", x.at(p.X), y.at(p.Y))
		if len(l.Points) <= marked {
			fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", x.at(p.X), y.at(p.Y), colours[i%len(colours)])
		}
	}
	fmt.Fprintf(b, `<polyline points="%s" %s/>`+"\n", strings.TrimSpace(path.String()), style)
	at := top + 10 + 18*i
	fmt.Fprintf(b, `<line x1="%d" y1="%d" x2="%d" y2="%d" %s/>`+"\n", width-right+8, at, width-right+34, at, style)
	text(b, width-right+40, float64(at)+4, "start", l.Name, "")
}

func text(b *strings.Builder, x, y float64, anchor, s, more string) {
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="%s" %s>%s</text>`+"\n", x, y, anchor, more, html.EscapeString(s))
}

// axis maps values to pixels.
type axis struct {
	log      bool
	from, to float64 // pixels
	min, max float64
}

func newAxis(log bool, from, to float64) *axis {
	return &axis{log: log, from: from, to: to, min: math.Inf(1), max: math.Inf(-1)}
}

func (a *axis) fits(v float64) bool {
	return !math.IsNaN(v) && !math.IsInf(v, 0) && (!a.log || v > 0)
}

func (a *axis) add(v float64) { a.min, a.max = math.Min(a.min, v), math.Max(a.max, v) }

func (a *axis) at(v float64) float64 {
	low, high, value := a.min, a.max, v
	if a.log {
		low, high, value = math.Log10(low), math.Log10(high), math.Log10(v)
	}
	if high <= low {
		return (a.from + a.to) / 2
	}
	return a.from + (value-low)/(high-low)*(a.to-a.from)
}

// ticks are about five round values, or the powers of ten and the ends.
func (a *axis) ticks() []float64 {
	if a.max < a.min {
		return nil
	}
	var list []float64
	if a.log {
		for v := math.Pow(10, math.Ceil(math.Log10(a.min)-1e-9)); v <= a.max*(1+1e-9); v *= 10 {
			list = append(list, v)
		}
		if len(list) < 2 {
			list = slices.Compact([]float64{a.min, a.max})
		}
		return list
	}
	step := math.Pow(10, math.Floor(math.Log10(math.Max(a.max-a.min, 1e-9))))
	for (a.max-a.min)/step > 6 {
		step *= 2
	}
	for (a.max-a.min)/step < 3 {
		step /= 2
	}
	for v := math.Ceil(a.min/step-1e-9) * step; v <= a.max+step*1e-9; v += step {
		list = append(list, v)
	}
	return list
}

// short writes 12000 as 12k.
func short(v float64) string {
	unit := ""
	switch {
	case math.Abs(v) >= 1e6:
		v, unit = v/1e6, "M"
	case math.Abs(v) >= 1e3:
		v, unit = v/1e3, "k"
	case math.Abs(v) < 1e-9: // also the zero with a sign
		v = 0
	}
	return strconv.FormatFloat(v, 'g', 3, 64) + unit
}
