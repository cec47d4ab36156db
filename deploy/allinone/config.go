package allinone

import (
	"errors"
	"io"

	"github.com/pando-mq/pando/authsvc"
	gatewaymqtt "github.com/pando-mq/pando/gateway-mqtt"
	mgmtapi "github.com/pando-mq/pando/mgmt-api"
	"github.com/pando-mq/pando/router"
	"github.com/pando-mq/pando/services/boot"
	"github.com/pando-mq/pando/services/config"
	"github.com/pando-mq/pando/services/edge"
	"github.com/pando-mq/pando/services/session"
	"github.com/pando-mq/pando/services/sys"
	sessionstore "github.com/pando-mq/pando/session-store"
)

// Config is the configuration of the whole suite: what every process reads, and the sections of all services.
type Config struct {
	boot.Common
	MQTT     gatewaymqtt.Config       `yaml:"mqtt" doc:"The MQTT gateway."`
	Sys      sys.Config               `yaml:"sys" doc:"What a node tells about itself under $SYS."`
	Session  session.Config           `yaml:"session" doc:"What holds for every session, in the gateways and in the session-stores."`
	Retained router.RetainedConfig    `yaml:"retained" doc:"Retained messages, kept by the routers."`
	Router   router.Config            `yaml:"router" doc:"The routers."`
	Store    sessionstore.StoreConfig `yaml:"store" doc:"The session-stores."`
	Auth     authsvc.Config           `yaml:"auth" doc:"Who gets in, and what they may do."`
	Mgmt     mgmtapi.Config           `yaml:"mgmt" doc:"Management: REST, and gRPC for pandoctl."`
}

// Default is the configuration without a file, but for what the default tags of the common sections say: boot.Load adds that.
func Default() *Config {
	c := &Config{MQTT: gatewaymqtt.DefaultConfig(), Sys: sys.DefaultConfig(), Session: session.DefaultConfig(), Auth: authsvc.Default(), Mgmt: mgmtapi.Default()}
	c.Router, c.Retained = router.Default()
	c.Store = sessionstore.DefaultConfig().Store
	return c
}

// hot is what may change while the suite runs, besides log.level.
type hot struct {
	session session.Config
	edge    edge.Config
}

func (c *Config) hot() hot {
	return hot{session: c.Session, edge: c.MQTT.Edge(c.Session, c.Limits.Connections())}
}

// Settle finishes a loaded configuration: the listeners of the services move by port_offset (that of the admin port is moved by boot.OpenProcess, that of
// REST by mgmt-api). It refuses what this program cannot do.
func (c *Config) Settle() error {
	errs := []error{c.MQTT.MoveListeners(c.OffsetAddr)}
	if len(c.Cluster.Etcd.Endpoints) > 0 || len(c.Cluster.NATS.URLs) > 0 {
		errs = append(errs, errors.New("cluster.etcd.endpoints and cluster.nats.urls are for separate processes (router, session-store, authsvc, gateway-mqtt, mgmt-api): "+
			"pando runs everything in one process, with its own etcd and NATS; leave both empty here"))
	}
	return errors.Join(errs...)
}

// CheckFiles reads the files that the configuration names and a start needs: certificates and access rules.
func (c *Config) CheckFiles() error { return errors.Join(c.MQTT.CheckFiles(), c.Auth.CheckFiles()) }

// CheckExposure refuses listeners that strangers could use, as a start does; users says whether somebody added users beside those of the configuration.
func (c *Config) CheckExposure(users bool) error {
	return c.MQTT.CheckExposure(gatewaymqtt.Access{
		Authentication:    users || len(c.Auth.Users)+len(c.Auth.Clients) > 0,
		AnonymousExplicit: c.Auth.AllowAnonymous != nil && *c.Auth.AllowAnonymous,
	})
}

// Reference writes the reference page of all keys, as Markdown.
func Reference(w io.Writer) error {
	if _, err := io.WriteString(w, referenceHead); err != nil {
		return err
	}
	return config.Reference(w, Default())
}

const referenceHead = `# Configuration reference

Made by ` + "`pando config reference`" + ` from the code; a test keeps it true. ` + "`pando config explain KEY`" + ` says the same about one key, and where its present value comes from.

One YAML file serves the whole suite or a single service: a process reads the common sections and its own, and skips those of other services. An
unknown section, an unknown key in a section of its own and a value of another type are refused, with file, line and the nearest key that exists.

A key is set, each over the one before, by: its default, an EMQ 2 installation (` + "`--emq`" + `, ` + "`EMQ_...`" + ` variables), the YAML file (` + "`--config`" + `), the environment
(` + "`PANDO_MQTT__IDLE_TIMEOUT=20s`" + ` is mqtt.idle_timeout), ` + "`--set mqtt.idle_timeout=20s`" + `. Lists are replaced, maps are merged by name.

Keys that "may change while running" do so when the process reads its configuration again: ` + "`pando config reload`" + `, SIGHUP, or POST /reload on the admin port
(ops.listen) of any process; ` + "`pandoctl config reload`" + ` asks all processes of a cluster, or those of one node. Every other key that differs is named in the answer
and in the log, and keeps its value until the next start; a configuration that is refused changes nothing.

Durations are written 10s, 5m, 2h, 7d, 2w; sizes 64KB, 1MB, 1GiB; secrets as the value itself, file:///path or env:NAME.

Common to all processes: node, data_dir, port_offset, cluster, journal, log, ops, limits. Read by: mqtt, sys gateway-mqtt · session gateway-mqtt and
session-store · retained, router router · store session-store · auth authsvc · mgmt mgmt-api. ` + "`pando`" + ` reads all of them.

`
