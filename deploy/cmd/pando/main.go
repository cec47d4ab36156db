// Command pando is the whole suite in one process: gateways, routers, session-store, authsvc and mgmt-api, with etcd and NATS JetStream embedded.
package main

import (
	"context"
	"os"

	"github.com/pando-mq/pando/services/run"
)

func main() {
	run.Main(func(ctx context.Context) error { return execute(ctx, os.Args[1:], os.Stdout, os.Stderr) })
}
