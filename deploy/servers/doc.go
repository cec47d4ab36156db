// Package servers runs the embedded etcd and NATS servers as processes of their own, for a cluster on one machine that needs nothing but our binaries.
// Whoever has etcd and NATS already points cluster.etcd.endpoints and cluster.nats.urls at them and never starts these.
package servers
