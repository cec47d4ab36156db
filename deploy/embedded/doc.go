// Package embedded runs etcd and NATS JetStream inside a process: in the all-in-one binary without an open port, and as members of a cluster on
// loopback or wherever a configuration says. They are the real servers; nothing of them is imitated.
package embedded
