package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pando-mq/pando/deploy/chaos"
)

// Every service in turn is stopped gracefully and started again while publishers and persistent sessions come and go: nothing acknowledged is lost, nothing of
// QoS 2 comes twice, the order holds. This test is not parallel, so it is over before the others begin: they run on a suite whose every process was restarted.
func TestRestartOfEveryServiceLosesNothing(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	const publishers = 40
	var took []string
	var acknowledged atomic.Int64
	r, err := chaos.Run(ctx, chaos.Options{
		Publishers: publishers, Sessions: 20, Pace: 50 * time.Millisecond, Stay: 2 * time.Second, Away: 500 * time.Millisecond, Settle: time.Minute, Addrs: suite.MQTT,
		Progress: func(acked, _ int) { acknowledged.Store(int64(acked)) },
	}, func(ctx context.Context) error {
		for _, service := range suite.Services() {
			before := acknowledged.Load()
			eventually(t, time.Minute, func() error { // so that each restart meets traffic
				if n := acknowledged.Load() - before; n < 5*publishers {
					return fmt.Errorf("only %d messages were acknowledged before the restart of %s", n, service)
				}
				return nil
			})
			begin := time.Now()
			if err := suite.Restart(ctx, service); err != nil {
				return fmt.Errorf("restart %s: %w", service, err)
			}
			took = append(took, fmt.Sprintf("%s %.1f s", service, time.Since(begin).Seconds()))
		}
		return nil
	})
	t.Log("restarts took " + strings.Join(took, ", "))
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	r.Print(&text)
	t.Log(text.String())
	if r.Bad() || r.Acknowledged == 0 {
		t.Error("a promise is broken")
	}
}
