package mgmtapi

import (
	"errors"
	"net"
	"strings"
	"time"

	"github.com/pando-mq/pando/services/config"
)

// Config is the section `mgmt` of the configuration.
type Config struct {
	Listen         string                   `yaml:"listen" default:"127.0.0.1:8080" doc:"Address of the REST API and of /status, host:port. Empty: none."`
	Administrators map[string]Administrator `yaml:"administrators" doc:"Who may use the REST API, by name. Without any, an administrator admin with a random password is made at the first start, and the password is shown once."`
	Timeout        time.Duration            `yaml:"timeout" default:"3s" doc:"How long one service may take to answer a question. The answer names the services that did not."`
	MaxPageSize    int                      `yaml:"max_page_size" default:"1000" doc:"Rows of one page at most; larger wishes are cut to it."`
	MaxBody        int64                    `yaml:"max_body" default:"1MB" unit:"bytes" doc:"Largest body of a request, REST and gRPC, so also the largest message that can be published here."`
	MaxRequests    int                      `yaml:"max_requests" default:"64" doc:"Requests of the REST API that are worked on at the same time; further ones wait a little, then get status 503."`
}

// Administrator may use the REST API.
type Administrator struct {
	Password config.Secret `yaml:"password" doc:"Password: a value, file:///path or env:NAME."`
}

// Default is the configuration without a file.
func Default() Config {
	return Config{Listen: "127.0.0.1:8080", Timeout: 3 * time.Second, MaxPageSize: 1000, MaxBody: 1 << 20, MaxRequests: 64}
}

// Validate refuses values that cannot work.
func (c Config) Validate() error {
	var errs []error
	if c.Listen != "" {
		if _, _, err := net.SplitHostPort(c.Listen); err != nil {
			errs = append(errs, config.Invalid("listen", "%q is not host:port", c.Listen))
		}
	}
	for name, a := range c.Administrators {
		if name == "" || strings.Contains(name, ":") {
			errs = append(errs, config.Invalid("administrators", "the name %q must not be empty nor contain a colon (HTTP Basic)", name))
		}
		if a.Password.Value() == "" {
			errs = append(errs, config.Invalid("administrators."+name+".password", "must not be empty"))
		}
	}
	if c.Timeout < 100*time.Millisecond || c.Timeout > time.Minute {
		errs = append(errs, config.Invalid("timeout", "found %v, expected 100ms to 1m", c.Timeout))
	}
	if c.MaxPageSize < 1 || c.MaxPageSize > 1000 {
		errs = append(errs, config.Invalid("max_page_size", "found %d, expected 1 to 1000", c.MaxPageSize))
	}
	if c.MaxBody < 1<<10 || c.MaxBody > 256<<20 {
		errs = append(errs, config.Invalid("max_body", "expected 1KB to 256MB"))
	}
	if c.MaxRequests < 1 {
		errs = append(errs, config.Invalid("max_requests", "at least 1"))
	}
	return errors.Join(errs...)
}
