package ops

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// Config is the section "ops" of every process.
type Config struct {
	Listen      string `yaml:"listen" default:"127.0.0.1:9880" doc:"Address of the admin port: health, readiness, metrics, profiles, reading the configuration again. It has no authentication."`
	AllowRemote bool   `yaml:"allow_remote" default:"false" doc:"Permit an address other than loopback in ops.listen. Everybody who can reach it can read metrics and take profiles."`
}

// Default is the configuration of a process that sets nothing.
func Default() Config { return Config{Listen: "127.0.0.1:9880"} }

// Validate refuses an address that is not loopback unless that is allowed.
func (c Config) Validate() error {
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("ops.listen: %w", err)
	}
	if port == "" {
		return errors.New("ops.listen: the port is missing")
	}
	if !c.AllowRemote && !loopback(host) {
		return fmt.Errorf("ops.listen: %s is not a loopback address and the admin port has no authentication: use 127.0.0.1, or set ops.allow_remote: true", c.Listen)
	}
	return nil
}

// loopback is true for localhost and for literal loopback addresses; other
// names could resolve to anything.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}
