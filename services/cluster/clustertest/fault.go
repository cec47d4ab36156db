package clustertest

import (
	"context"
	"testing"

	"github.com/pando-mq/pando/services/cluster"
)

// Pause stops the keep-alives of a member, as if its process were paused or cut off: Valid turns false a margin before the lease's time
// to live is over, then the lease ends, others take over, and Lost closes.
func Pause(t testing.TB, m cluster.Member) {
	t.Helper()
	faults(t, m).Pause()
}

// Resume ends Pause. If the lease still lives, the member is Valid again with the next keep-alive.
func Resume(t testing.TB, m cluster.Member) {
	t.Helper()
	faults(t, m).Resume()
}

// Expire ends the lease of a member at once, as if the time had passed without keep-alives: Valid is false and Lost closed when it
// returns, and its keys are gone.
func Expire(t testing.TB, m cluster.Member) {
	t.Helper()
	faults(t, m).Expire(context.Background())
}

type faulty interface {
	Pause()
	Resume()
	Expire(ctx context.Context)
}

func faults(t testing.TB, m cluster.Member) faulty {
	t.Helper()
	f, ok := m.(faulty)
	if !ok {
		t.Fatalf("%T has no faults", m)
	}
	return f
}
