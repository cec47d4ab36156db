package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pando-mq/pando/deploy/chaos"
)

// Every service in turn is stopped gracefully and started again while publishers and persistent sessions come and go: nothing acknowledged is lost, nothing of
// QoS 2 comes twice, the order holds. This test is not parallel, so it is over before the others begin: they run on a suite whose every process was restarted.
func TestRestartOfEveryServiceLosesNothing(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var took []string
	r, err := chaos.Run(ctx, chaos.Options{
		Publishers: 40, Sessions: 20, Pace: 50 * time.Millisecond, Stay: 2 * time.Second, Away: 500 * time.Millisecond, Settle: time.Minute, Addrs: suite.MQTT,
	}, func(ctx context.Context) error {
		for _, service := range suite.Services() {
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
