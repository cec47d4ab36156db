package edge_test

import (
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/edge"
	"github.com/pando-mq/pando/services/edge/edgetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// deadline is how long a test waits for something that must happen.
const deadline = 10 * time.Second

// receive takes the next value of a channel.
func receive[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(deadline):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// pending fails if a channel has a value.
func pending[T any](t *testing.T, ch <-chan T) {
	t.Helper()
	select {
	case v := <-ch:
		t.Fatalf("came too early: %v", v)
	default:
	}
}

// eventually waits for a condition that no device signals.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	end := time.After(deadline)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("%s: did not happen", what)
		}
	}
}

// texts is what a device got, as "topic=payload".
func texts(got []edgetest.Got) []string {
	list := make([]string, len(got))
	for i, g := range got {
		list[i] = g.String()
	}
	return list
}

// wantGot waits until a device got exactly these.
func wantGot(t *testing.T, d *edgetest.Device, want ...string) []edgetest.Got {
	t.Helper()
	got := d.WaitGot(len(want))
	if !slices.Equal(texts(got), want) {
		t.Fatalf("delivered %v, want %v", texts(got), want)
	}
	return got
}

// granted fails unless every filter was granted.
func granted(t *testing.T, results []edge.SubscribeResult) {
	t.Helper()
	for i, r := range results {
		if r.Err != nil {
			t.Fatalf("filter %d: %v", i, r.Err)
		}
	}
}

// kindOf is the kind of an error that must be there.
func kindOf(t *testing.T, err error) broker.Kind {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	return broker.KindOf(err)
}
