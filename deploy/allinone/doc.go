// Package allinone is the whole suite in one process: etcd and NATS JetStream embedded under the data directory, and every service built and handed to the
// others as a plain value. wire.go is the one place where that is written down.
//
// No service knows that it runs this way. What differs from separate processes is only here: interfaces are passed instead of clients, no port is opened
// between services, and the process is alone in its cluster, so that a restart does not wait for the leases of the one before.
package allinone
