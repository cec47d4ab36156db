package edge

import (
	"fmt"

	"github.com/pando-mq/pando/services/session"
)

// settings are the part of the configuration that may change while clients are connected. Immutable.
type settings struct {
	*session.Settings
	publish PublishConfig // of it, the rates
}

// Configure takes the section session and the publish rates of a configuration; everything else in it is ignored. Limits and watermarks hold from now on, the
// window, the expiry and the rates for connections that begin from now on. A configuration that makes no sense changes nothing and is the error.
func (e *Edge) Configure(cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("edge configuration: %w", err)
	}
	set, err := session.Prepare(cfg.Session)
	if err != nil {
		return fmt.Errorf("session configuration: %w", err)
	}
	e.set.Store(&settings{Settings: set, publish: cfg.Publish})
	e.each(func(c *Conn) { c.use(set) })
	return nil
}

// use takes other settings into the session of a connection that is hosted here.
func (c *Conn) use(set *session.Settings) {
	c.mu.Lock()
	if c.sess != nil {
		c.sess.Use(set)
		c.alarm()
		c.uncrowd()
	}
	due := c.schedule()
	c.mu.Unlock()
	if due {
		c.submit()
	}
}
