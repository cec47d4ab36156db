package boot

import (
	"context"
	"fmt"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
)

// Status is the seed's text of /status, and whether it stands for a node that serves.
func Status(node string, serving bool) (text string, ok bool) {
	if serving {
		return "Node " + node + " is started\nemqttd is running", true
	}
	return "Node " + node + " is starting\nemqttd is not_running", false
}

// Access is who is let in, as far as it matters for where a gateway may listen.
type Access struct {
	Authentication bool // there is a user or a client id
	Anonymous      bool // strangers are let in on every listener, because the configuration says so
}

// AwaitAccess asks authsvc until it answers or ctx ends: processes start in any order.
func AwaitAccess(ctx context.Context, auth broker.Auth, admin broker.AuthAdmin) (Access, error) {
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		a, err := AccessOf(ctx, auth, admin)
		if err == nil || !broker.KindOf(err).Retryable() {
			return a, err
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return a, err
		}
	}
}

// AccessOf asks authsvc. That strangers are let in shows when one who comes from elsewhere than this machine is.
func AccessOf(ctx context.Context, auth broker.Auth, admin broker.AuthAdmin) (Access, error) {
	var a Access
	users, err := admin.Users(ctx, "", "", 1)
	if err != nil {
		return a, fmt.Errorf("ask whether there are users: %w", err)
	}
	clients, err := admin.ClientIDs(ctx, "", "", 1)
	if err != nil {
		return a, fmt.Errorf("ask whether there are client ids: %w", err)
	}
	a.Authentication = len(users)+len(clients) > 0
	_, err = auth.Authenticate(ctx, &broker.Credentials{ClientID: "pando-listener-check", Protocol: "mqtt", Version: 5, Listener: "check"})
	switch {
	case err == nil:
		a.Anonymous = true
	case broker.KindOf(err) != broker.KindUnauthenticated && broker.KindOf(err) != broker.KindDenied:
		return a, fmt.Errorf("ask whether anonymous clients are let in: %w", err)
	}
	return a, nil
}

// AwaitOwners waits until every partition of the spaces has an owner, so that the first client of a cluster that starts is not turned away. It gives up
// after the time given, because a cluster that has lost a part of itself must still be able to start gateways.
func AwaitOwners(ctx context.Context, c cluster.Cluster, patience time.Duration, spaces ...cluster.Space) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var missing error
	c.Watch(ctx, func(v *cluster.View) {
		if missing = unowned(v, c.Meta(), spaces); missing == nil {
			cancel()
		}
	})
	return missing
}

// Unowned names a partition of the spaces that has no owner now, nil if all have one.
func Unowned(c cluster.Cluster, spaces ...cluster.Space) error {
	return unowned(c.View(), c.Meta(), spaces)
}

func unowned(v *cluster.View, m cluster.Meta, spaces []cluster.Space) error {
	for _, s := range spaces {
		for p := range m.Partitions[s] {
			if _, ok := v.Owner(s, p); !ok {
				return broker.Errorf(broker.KindUnavailable, "%s partition %d has no owner", s, p)
			}
		}
	}
	return nil
}
