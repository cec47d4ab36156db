// Package boot is what every process of the suite does before it is one service or another: it reads the common sections of the configuration, connects to
// etcd and NATS, opens the registry, and keeps the process's services alive through the loss of a lease.
//
// A service lives as an incarnation: it registers, serves, and when its lease is lost it is torn down and made anew under a new incarnation, in the
// same process. Nothing of the old one is kept (architecture: "a gateway that lost its lease comes back as a new incarnation").
package boot
