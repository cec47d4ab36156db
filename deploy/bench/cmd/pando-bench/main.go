// Command pando-bench loads an MQTT broker, counts what becomes of every message, and measures what the broker spends on it.
package main

import (
	"context"
	"os"

	"github.com/pando-mq/pando/services/run"
)

func main() {
	run.Main(func(ctx context.Context) error {
		c := command()
		c.SetArgs(os.Args[1:])
		return c.ExecuteContext(ctx)
	})
}
