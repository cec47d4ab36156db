package tally_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pando-mq/pando/deploy/bench/tally"
)

func fill(list ...uint32) *tally.Inbox {
	var b tally.Inbox
	for _, seq := range list {
		b.Add(seq)
	}
	return &b
}

func TestInbox(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name                               string
		got                                []uint32
		sent                               uint32
		received, lost, repeated, disorder uint64
		gaps                               uint64
	}{
		{"all in order", []uint32{0, 1, 2, 3}, 4, 4, 0, 0, 0, 0},
		{"nothing", nil, 3, 0, 3, 0, 0, 0},
		{"one lost in between", []uint32{0, 2}, 3, 2, 1, 0, 0, 1},
		{"the last lost: only who knows what was sent can tell", []uint32{0, 1}, 3, 2, 1, 0, 0, 0},
		{"the first lost", []uint32{1, 2}, 3, 2, 1, 0, 0, 0},
		{"one twice", []uint32{0, 1, 1, 2}, 3, 3, 0, 1, 0, 0},
		{"a lost and a repeated one do not cancel out", []uint32{0, 1, 1, 3}, 4, 3, 1, 1, 0, 1},
		{"two swapped", []uint32{0, 2, 1, 3}, 4, 4, 0, 0, 1, 0},
		{"a repeated one that is late is not out of order", []uint32{0, 1, 2, 0}, 3, 3, 0, 1, 0, 0},
		{"over the borders of words", []uint32{63, 64, 127, 128, 64}, 129, 4, 125, 1, 0, 62},
		{"below the first that came", []uint32{200, 5, 201}, 202, 3, 199, 0, 1, 194},
	}
	for _, tc := range tests {
		b := fill(tc.got...)
		if b.Received != tc.received || b.Lost(tc.sent) != tc.lost || b.Repeated != tc.repeated || b.Disordered != tc.disorder || b.Gaps() != tc.gaps {
			t.Errorf("%s: received %d, lost %d, repeated %d, out of order %d, gaps %d; want %+v", tc.name, b.Received, b.Lost(tc.sent), b.Repeated, b.Disordered, b.Gaps(), tc)
		}
	}
}

// What is lost and repeated at random is counted exactly, in any order.
func TestInboxAgainstAMap(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		var b tally.Inbox
		seen, repeated := map[uint32]bool{}, uint64(0)
		const sent = 300
		for range r.IntN(600) {
			seq := uint32(r.IntN(sent))
			if seen[seq] {
				repeated++
			}
			if first := b.Add(seq); first == seen[seq] {
				t.Fatalf("seed %d: %d is the first of its number: %v", seed, seq, first)
			}
			seen[seq] = true
		}
		if b.Received != uint64(len(seen)) || b.Repeated != repeated || b.Lost(sent) != uint64(sent-len(seen)) {
			t.Fatalf("seed %d: received %d, repeated %d, lost %d; want %d, %d, %d", seed, b.Received, b.Repeated, b.Lost(sent), len(seen), repeated, sent-len(seen))
		}
	}
}

func TestShared(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name           string
		members        []*tally.Inbox
		sent           uint32
		lost, repeated uint64
	}{
		{"each got some", []*tally.Inbox{fill(0, 2), fill(1, 3)}, 4, 0, 0},
		{"nobody got one", []*tally.Inbox{fill(0), fill(2)}, 3, 1, 0},
		{"two got the same", []*tally.Inbox{fill(0, 1), fill(1, 2)}, 3, 0, 1},
		{"one got it twice", []*tally.Inbox{fill(0, 0), fill(1)}, 2, 0, 1},
		{"a member that joined late", []*tally.Inbox{fill(0, 1), fill(130)}, 131, 128, 0},
		{"no members", nil, 5, 5, 0},
	}
	for _, tc := range tests {
		if lost, repeated := tally.Shared(tc.members, tc.sent); lost != tc.lost || repeated != tc.repeated {
			t.Errorf("%s: lost %d, repeated %d; want %d, %d", tc.name, lost, repeated, tc.lost, tc.repeated)
		}
	}
}

// A number that nobody can have sent does not take the memory of all before it.
func TestRubbishIsNotBelieved(t *testing.T) {
	t.Parallel()
	b := fill(0, 1)
	if b.Add(1<<31) || b.Received != 2 || b.Disordered != 1 {
		t.Errorf("%+v", b.Received)
	}
}

func TestStamp(t *testing.T) {
	t.Parallel()
	want := tally.Stamp{Run: 1, Stream: 2, Seq: 3, Sent: 1 << 60}
	b := make([]byte, tally.StampSize)
	want.Put(b)
	if got, ok := tally.Read(b); !ok || got != want {
		t.Errorf("%+v, %v", got, ok)
	}
	if _, ok := tally.Read(b[:tally.StampSize-1]); ok {
		t.Error("read a stamp from too few bytes")
	}
}

func TestLatency(t *testing.T) {
	t.Parallel()
	l := tally.NewLatency()
	for i := range 1000 {
		l.Record(int64(i+1) * int64(time.Millisecond))
	}
	for percent, want := range map[float64]time.Duration{50: 500 * time.Millisecond, 99: 990 * time.Millisecond, 100: time.Second} {
		if got := l.At(percent); got < want*998/1000 || got > want*1002/1000 {
			t.Errorf("p%g is %s, want %s within 0.2 %%", percent, got, want)
		}
	}
	other := tally.NewLatency()
	other.Record(int64(5 * time.Minute))
	l.Merge(other)
	if s := l.Summary(); s.Count != 1001 || s.Max < 59_900_000 || s.Max > 60_100_000 {
		t.Errorf("after a duration beyond the range: %+v", s)
	}
	if l.Reset(); l.Count() != 0 || l.Summary() != (tally.Summary{}) {
		t.Error("something is left after a reset")
	}
}
