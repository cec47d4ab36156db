// Command pando-cluster runs a cluster of separate processes on loopback, to try out and to test what happens when one of them goes away.
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
