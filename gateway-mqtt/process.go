package gatewaymqtt

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"

	"github.com/pando-mq/pando/services/transport"
)

// Authority is the certificate authority of a process that has no certificate of its own.
type Authority struct {
	File        string // PEM, for clients; "": every TLS listener has a certificate of its own
	Fingerprint string // SHA-256
}

// Certify makes the certificate of the first start under dir, or finds it there, if a listener of kind ssl or wss needs one. It names this host.
func (c *Config) Certify(dir string) (cert Certificate, ca Authority, err error) {
	needed := false
	for _, l := range c.Listeners {
		needed = needed || !l.Disabled && l.secure() && l.TLS.CertFile == ""
	}
	if !needed {
		return cert, ca, nil
	}
	var hosts []string
	if name, err := os.Hostname(); err == nil && name != "" {
		hosts = append(hosts, name)
	}
	cert.CertFile, cert.KeyFile, ca.File, ca.Fingerprint, err = transport.EnsureCA(dir, hosts)
	return cert, ca, err
}

// MoveListeners changes the address of every listener, as port_offset does.
func (c *Config) MoveListeners(move func(addr *string) error) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(c.Listeners)) {
		l := c.Listeners[name]
		if err := move(&l.Bind); err != nil {
			errs = append(errs, fmt.Errorf("mqtt.listeners.%s.bind: %w", name, err))
		}
		c.Listeners[name] = l
	}
	return errors.Join(errs...)
}

// CheckFiles reads the certificates that the listeners name, as Start would.
func (c *Config) CheckFiles() error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(c.Listeners)) {
		l := c.Listeners[name]
		if l.Disabled || !l.secure() || l.TLS.CertFile == "" {
			continue
		}
		_, err := transport.New(l.transport(name, c, Certificate{}), transport.Deps{
			Log: slog.New(slog.DiscardHandler), Accept: func(transport.Conn) transport.Handler { return nil },
		})
		if err != nil {
			errs = append(errs, fmt.Errorf("mqtt.listeners.%s.tls: %w", name, err))
		}
	}
	return errors.Join(errs...)
}
