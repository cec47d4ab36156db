package fleettest

import (
	"context"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
)

// Config is the configuration of one process.
type Config struct {
	process
	changes []broker.ConfigChange
	reloads int
}

// Change has the next reload find these.
func (c *Config) Change(changes ...broker.ConfigChange) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes = changes
}

// Reloads counts ReloadConfig.
func (c *Config) Reloads() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reloads
}

// ReloadConfig implements broker.ProcessAdmin.
func (c *Config) ReloadConfig(ctx context.Context) ([]broker.ConfigChange, error) {
	if err := c.lock(ctx); err != nil {
		return nil, err
	}
	defer c.mu.Unlock()
	changes := c.changes
	c.changes = nil
	c.reloads++
	return changes, nil
}

// Config is that of the process with an id, in whatever roles.
func (s *Suite) Config(id string) *Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.configs[id] == nil {
		s.configs[id] = &Config{}
	}
	return s.configs[id]
}

// ProcessOf is fleet.Deps.Processes.
func (s *Suite) ProcessOf(n cluster.Node) broker.ProcessAdmin { return s.Config(n.ID) }
