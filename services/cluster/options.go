package cluster

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// Options configure a Cluster. The zero value is useful.
type Options struct {
	Name   string        // the cluster's name, a part of the keys' prefix; default "pando", no slash
	TTL    time.Duration // of the leases; default 3 s, whole seconds in etcd, which may raise it
	Margin time.Duration // how long before the lease's end Valid turns false; default a sixth of TTL
	// Settle is how long the assigner waits after a node came before it moves partitions to it, so that nodes that start together
	// are counted together; default 300 ms, or 0 with Sole. A node that went is answered at once.
	Settle       time.Duration
	DrainTimeout time.Duration // how long a Release may take; default 10 s
	// Sole promises that no other process of this cluster is alive (all-in-one, which holds the lock of its data directory). Then
	// Register does not wait for a living key of the same id: it ends that key's lease.
	Sole bool
	// Bootstrap is written as Meta if the cluster has none yet; missing values are filled from DefaultMeta.
	Bootstrap  Meta
	Log        *slog.Logger // default: discards
	Registerer Registerer   // of the metrics; nil: none are published
}

// DefaultMeta returns the usual partition counts (64 topic, 16 retained, 16 session, 1 auth) and one replica.
func DefaultMeta() Meta {
	return Meta{
		Partitions: map[Space]int{TopicSpace: 64, RetainedSpace: 16, SessionSpace: 16, AuthSpace: 1},
		Replicas:   1,
	}
}

// withDefaults fills what is missing, but for Settle, whose 0 has a meaning.
func (o Options) withDefaults() Options {
	setDefault(&o.Name, "pando")
	setDefault(&o.TTL, 3*time.Second)
	setDefault(&o.Margin, o.TTL/6)
	setDefault(&o.DrainTimeout, 10*time.Second)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Bootstrap = o.Bootstrap.withDefaults()
	return o
}

// validate refuses what cannot work, after withDefaults.
func (o Options) validate() error {
	switch {
	case strings.Contains(o.Name, "/"):
		return fmt.Errorf("cluster name %q contains a slash", o.Name)
	case o.TTL < 0 || o.Margin < 0 || o.Settle < 0 || o.DrainTimeout < 0:
		return errors.New("a duration is negative")
	case o.Margin >= o.TTL:
		return fmt.Errorf("margin %v is not below the lease's time to live %v", o.Margin, o.TTL)
	}
	return o.Bootstrap.validate()
}

// withDefaults returns a copy with the missing values of DefaultMeta.
func (m Meta) withDefaults() Meta {
	d := DefaultMeta()
	for s, n := range m.Partitions {
		d.Partitions[s] = n
	}
	if m.Replicas != 0 {
		d.Replicas = m.Replicas
	}
	return d
}

// validate refuses unknown spaces and counts outside 1..4096 (Replicas: 1..5).
func (m Meta) validate() error {
	for s, n := range m.Partitions {
		if s.Role() == "" {
			return fmt.Errorf("unknown space %q", s)
		}
		if n < 1 || n > 4096 {
			return fmt.Errorf("%d partitions of space %q, outside 1..4096", n, s)
		}
	}
	if m.Replicas < 1 || m.Replicas > 5 {
		return fmt.Errorf("%d replicas, outside 1..5", m.Replicas)
	}
	return nil
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}
