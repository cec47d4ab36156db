// Package cluster runs a cluster of separate processes on the loopback of this machine: etcd and NATS servers, routers, session-stores, authsvc, gateways
// and mgmt-api, each from its own binary, each with its own directory, pid file, log and port offset.
//
// All state is on disk, so whoever opens the directory can go on: `pando-cluster start` makes a cluster and ends, `pando-cluster stop` finds it again, and
// the end-to-end tests start, stop, kill and restart single processes by name. It waits for readiness (/readyz), never for time to pass.
package cluster
