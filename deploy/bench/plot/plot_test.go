package plot_test

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/pando-mq/pando/deploy/bench/plot"
)

// elements counts the elements of a document, which must be well-formed.
func elements(t *testing.T, text string) map[string]int {
	t.Helper()
	n := map[string]int{}
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return n
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if e, ok := token.(xml.StartElement); ok {
			n[e.Name.Local]++
		}
	}
}

func TestWrite(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	err := plot.Write(&b,
		plot.Chart{Title: "a < b & c", X: "x", Y: "y", Bar: 5, Lines: []plot.Line{{Name: "one", Points: []plot.Point{{0, 1}, {10, 9}, {20, math.NaN()}}}, {Name: "two"}}},
		plot.Chart{Title: "log", LogX: true, LogY: true, Lines: []plot.Line{{Name: "three", Points: []plot.Point{{0, 1}, {1, 10}, {1000, 100}}}}},
		plot.Chart{Title: "empty"})
	if err != nil {
		t.Fatal(err)
	}
	text := b.String()
	if n := elements(t, text); n["polyline"] != 3 || n["g"] != 3 || n["circle"] != 4 {
		t.Errorf("%v", n)
	}
	for _, want := range []string{"a &lt; b &amp; c", "bar 5", ">one<", ">two<", ">three<"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in the plot", want)
		}
	}
	for _, wrong := range []string{"NaN", "Inf"} {
		if strings.Contains(text, wrong) {
			t.Errorf("%s is in the plot", wrong)
		}
	}
	if !strings.Contains(text, `points="76.0,`) {
		t.Error("the first point is not at the left end of the axis")
	}
}
