// Command pandoctl looks into a running pando, and changes what can be changed while it runs.
package main

import (
	"context"
	"os"

	"github.com/pando-mq/pando/mgmt-api/api/ctl"
	"github.com/pando-mq/pando/services/run"
)

func main() {
	run.Main(func(ctx context.Context) error {
		return ctl.Run(ctx, ctl.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv}, os.Args[1:])
	})
}
