package gatewaymqtt

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/pando-mq/pando/services/run"
)

// Access says what the process knows about who is let in.
type Access struct {
	// Authentication: users, client ids or a backend are configured, so that not everybody is let in.
	Authentication bool
	// AnonymousExplicit: the configuration itself says auth.allow_anonymous: true.
	AnonymousExplicit bool
}

// CheckExposure refuses listeners that strangers could use: one that is bound elsewhere than on loopback, or behind a proxy, while nobody has to authenticate, unless the
// configuration says that this is wanted. The error explains what to do, and ends a process with the exit code of a wrong configuration.
func (c *Config) CheckExposure(a Access) error {
	if a.Authentication || a.AnonymousExplicit {
		return nil
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(c.Listeners)) {
		l := c.Listeners[name]
		if !l.Disabled && !l.local() {
			errs = append(errs, fmt.Errorf("listener %q would admit everybody on %s: no authentication is configured. Add users (auth.users, or pandoctl users add), "+
				"bind mqtt.listeners.%s to 127.0.0.1, or set auth.allow_anonymous: true if everybody shall get in", name, l.Bind, name))
		}
	}
	return run.WithCode(run.CodeUsage, errors.Join(errs...))
}
