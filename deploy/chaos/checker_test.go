package chaos

import (
	"strings"
	"testing"
)

// TestChecker holds the checker against what clients could have noted. Publisher 0 sends QoS 1, publisher 1 QoS 2; both are subscribed to by session 0.
func TestChecker(t *testing.T) {
	t.Parallel()
	type step struct {
		what      string // ack, arrive, back (the session was there), forgotten
		publisher int
		n         uint64
	}
	for _, c := range []struct {
		name     string
		steps    []step
		retained map[int]uint64
		want     Report
	}{
		{"all is well", []step{{"ack", 0, 1}, {"arrive", 0, 1}, {"ack", 1, 1}, {"arrive", 1, 1}, {"back", 0, 0}}, map[int]uint64{0: 1, 1: 1},
			Report{Acknowledged: 2, Delivered: 2, Reconnects: 1}},
		{"acknowledged, never arrived", []step{{"ack", 0, 1}, {"ack", 0, 2}, {"arrive", 0, 2}}, map[int]uint64{0: 2},
			Report{Acknowledged: 2, Delivered: 1, Lost: 1}},
		{"not acknowledged, never arrived", []step{{"ack", 0, 1}, {"arrive", 0, 1}, {"sent", 0, 2}}, map[int]uint64{0: 1},
			Report{Acknowledged: 1, Delivered: 1}},
		{"not acknowledged, arrived", []step{{"ack", 0, 1}, {"arrive", 0, 1}, {"sent", 0, 2}, {"arrive", 0, 2}}, map[int]uint64{0: 2},
			Report{Acknowledged: 1, Delivered: 2}},
		{"QoS 1 twice", []step{{"ack", 0, 1}, {"arrive", 0, 1}, {"arrive", 0, 1}}, map[int]uint64{0: 1},
			Report{Acknowledged: 1, Delivered: 2, Duplicates: 1}},
		{"QoS 2 twice", []step{{"ack", 1, 1}, {"arrive", 1, 1}, {"arrive", 1, 1}}, map[int]uint64{1: 1},
			Report{Acknowledged: 1, Delivered: 2, Twice: 1}},
		{"first arrivals in the wrong order", []step{{"ack", 0, 1}, {"ack", 0, 2}, {"arrive", 0, 2}, {"arrive", 0, 1}}, map[int]uint64{0: 2},
			Report{Acknowledged: 2, Delivered: 2, OutOfOrder: 1}},
		{"an old one repeated is not out of order", []step{{"ack", 0, 1}, {"ack", 0, 2}, {"arrive", 0, 1}, {"arrive", 0, 2}, {"arrive", 0, 1}}, map[int]uint64{0: 2},
			Report{Acknowledged: 2, Delivered: 3, Duplicates: 1}},
		{"two publishers have no order", []step{{"ack", 0, 5}, {"ack", 1, 1}, {"arrive", 0, 5}, {"arrive", 1, 1}}, map[int]uint64{0: 5, 1: 1},
			Report{Acknowledged: 2, Delivered: 2}},
		{"the session was forgotten", []step{{"ack", 0, 1}, {"arrive", 0, 1}, {"forgotten", 0, 0}}, map[int]uint64{0: 1},
			Report{Acknowledged: 1, Delivered: 1, LostState: 1, Reconnects: 1}},
		{"retained is older than the last acknowledged", []step{{"ack", 0, 1}, {"ack", 0, 2}, {"arrive", 0, 1}, {"arrive", 0, 2}}, map[int]uint64{0: 1},
			Report{Acknowledged: 2, Delivered: 2, Retained: 1}},
		{"retained is missing", []step{{"ack", 0, 1}, {"arrive", 0, 1}}, nil,
			Report{Acknowledged: 1, Delivered: 1, Retained: 1}},
		{"retained was never sent", []step{{"ack", 0, 1}, {"arrive", 0, 1}}, map[int]uint64{0: 9},
			Report{Acknowledged: 1, Delivered: 1, Retained: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n := newNotes()
			for _, s := range c.steps {
				switch s.what {
				case "sent":
					n.sent(s.publisher, s.n)
				case "ack":
					n.sent(s.publisher, s.n)
					n.ack(s.publisher, s.n)
				case "arrive":
					n.deliver(0, s.publisher, s.n, false)
				case "back":
					n.connected(true, true)
				case "forgotten":
					n.connected(true, false)
				}
			}
			got := n.check(func(p int) byte { return byte(1 + p) }, func(int) int { return 0 })
			n.checkRetained(got, c.retained)
			if bad := c.want.Lost+c.want.Twice+c.want.OutOfOrder+c.want.LostState+c.want.Retained > 0; got.Bad() != bad {
				t.Errorf("bad is %t, want %t", got.Bad(), bad)
			}
			var line, want strings.Builder
			got.Examples = nil
			got.Print(&line)
			c.want.Print(&want)
			if line.String() != want.String() {
				t.Errorf("got  %swant %s", line.String(), want.String())
			}
		})
	}
}

// What went wrong is told by example, and not without end.
func TestReportGivesExamples(t *testing.T) {
	t.Parallel()
	n := newNotes()
	for i := range uint64(100) {
		n.sent(7, i+1)
		n.ack(7, i+1)
	}
	r := n.check(func(int) byte { return 1 }, func(int) int { return 3 })
	var text strings.Builder
	r.Print(&text)
	if r.Lost != 100 || len(r.Examples) != 20 || !strings.Contains(text.String(), "of publisher 7 (QoS 1), acknowledged at ") || !strings.Contains(text.String(), "never arrived at session 3") {
		t.Errorf("lost %d: %s", r.Lost, text.String())
	}
}
