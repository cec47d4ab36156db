package chaos_test

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/pando-mq/pando/deploy/chaos"
)

// workload is what the suite has to keep its promises to: 200 publishers of QoS 1 and 2, 100 persistent sessions that come and go.
func workload(v *victim) chaos.Options {
	return chaos.Options{
		Publishers: 200, Sessions: 100, Pace: 100 * time.Millisecond, Stay: 2 * time.Second, Away: time.Second, Settle: time.Minute,
		Addrs: func() []string { return []string{v.addr()} },
	}
}

// moment is a time after the port answers at which a kill meets a replay, a reconnect or the full flow.
func moment() time.Duration { return 500*time.Millisecond + rand.N(2*time.Second) }

// murder kills the suite at a random moment and starts it again.
func murder(t *testing.T, ctx context.Context, v *victim) error {
	t.Helper()
	if err := v.serves(ctx); err != nil {
		return err
	}
	select {
	case <-time.After(moment()):
	case <-ctx.Done():
		return ctx.Err()
	}
	v.kill()
	v.start(t)
	return nil
}

// No SIGKILL of the process that is the whole suite breaks a promise: what was acknowledged arrives, QoS 2 once, in order; sessions and retained messages are
// there. How many kills there are is in kills: some in `make test`, 50 in `make test-long`.
func TestSIGKILLBreaksNoPromise(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	v := newVictim(t, build(t))
	if err := v.serves(ctx); err != nil {
		t.Fatal(err)
	}
	killed := 0
	r, err := chaos.Run(ctx, workload(v), func(ctx context.Context) error {
		for begin := time.Now(); more(killed, time.Since(begin)); killed++ {
			if err := murder(t, ctx, v); err != nil {
				return err
			}
		}
		return v.serves(ctx)
	})
	if err != nil {
		t.Fatalf("after %d kills: %v", killed, err)
	}
	t.Logf("%d kills: %s", killed, line(r))
	if r.Bad() || r.Acknowledged == 0 || r.Reconnects < killed {
		t.Error("a promise is broken")
	}
	if err := v.stop(ctx); err != nil {
		t.Errorf("the graceful end: %v", err)
	}
}

func line(r *chaos.Report) string {
	var text strings.Builder
	r.Print(&text)
	return text.String()
}

// The checker can fail: a build that acknowledges before the append (build tag broken_ack of services/journal) is caught within five kills. Each kill hits
// a suite of its own.
func TestACheckerThatCannotFailProvesNothing(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	program := build(t, "broken_ack")
	for kill := 1; kill <= 5; kill++ {
		v := newVictim(t, program)
		if err := v.serves(ctx); err != nil {
			t.Fatal(err)
		}
		o := workload(v)
		o.Settle = 10 * time.Second // what is lost does not come later
		r, err := chaos.Run(ctx, o, func(ctx context.Context) error {
			if err := murder(t, ctx, v); err != nil {
				return err
			}
			return v.serves(ctx)
		})
		v.kill()
		if err != nil {
			t.Fatal(err)
		}
		if r.Bad() {
			t.Logf("caught after %d kills: %s", kill, line(r))
			return
		}
	}
	t.Error("five kills of a suite that acknowledges before the append went unnoticed")
}
