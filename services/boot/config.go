package boot

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/pando-mq/pando/services/config"
	"github.com/pando-mq/pando/services/log"
	"github.com/pando-mq/pando/services/ops"
)

// DefaultDataDir is data_dir where nobody says otherwise.
const DefaultDataDir = "./data"

// Common are the sections that every process reads.
type Common struct {
	Node       NodeConfig    `yaml:"node"`
	DataDir    string        `yaml:"data_dir" default:"./data" doc:"Directory of everything this process keeps: logs, certificates, projections, pid file. One process uses it at a time."`
	PortOffset int           `yaml:"port_offset" default:"0" doc:"Added to every port this process listens on, so that several can run side by side: 0 to 45000. A sum above 65535 has 50000 subtracted."`
	Cluster    ClusterConfig `yaml:"cluster"`
	Journal    JournalConfig `yaml:"journal"`
	Log        log.Config    `yaml:"log"`
	Ops        ops.Config    `yaml:"ops"`
	Limits     LimitsConfig  `yaml:"limits"`
}

// NodeConfig is the section `node`.
type NodeConfig struct {
	Name string `yaml:"name" doc:"Name of this process in the cluster, <name>@<host>; unique, fixed once it joined. Default: pando@<host name>."`
}

// ClusterConfig is the section `cluster`.
type ClusterConfig struct {
	Name      string     `yaml:"name" default:"pando" doc:"Name of the cluster. Processes of different names never see one another, also on the same etcd and NATS."`
	Listen    string     `yaml:"listen" default:"127.0.0.1" doc:"Where this process listens for the other services of the cluster (gRPC): host, with the service's own port, or host:port. The all-in-one process opens none."`
	Advertise string     `yaml:"advertise" doc:"Address under which the other services reach this one: host, or host:port. Default: cluster.listen, or the host's name when that is every address."`
	Etcd      EtcdConfig `yaml:"etcd"`
	NATS      NATSConfig `yaml:"nats"`
	TLS       TLSConfig  `yaml:"tls"`

	LeaseTTL time.Duration `yaml:"lease_ttl" default:"3s" doc:"Time after which a process that does not answer is taken for dead, and its partitions move."`
}

// EtcdConfig is the section `cluster.etcd`.
type EtcdConfig struct {
	Endpoints []string      `yaml:"endpoints" doc:"etcd servers, as http://host:port. The all-in-one process runs its own when this is empty."`
	Username  string        `yaml:"username" doc:"etcd user, when etcd asks for one."`
	Password  config.Secret `yaml:"password" doc:"Password of the etcd user: a value, file:///path or env:NAME."`
	Timeout   time.Duration `yaml:"timeout" default:"5s" doc:"How long to wait for etcd at the start before each further try."`
}

// NATSConfig is the section `cluster.nats`.
type NATSConfig struct {
	URLs  []string      `yaml:"urls" doc:"NATS servers with JetStream, as nats://host:port. The all-in-one process runs its own when this is empty."`
	Token config.Secret `yaml:"token" doc:"Token for NATS, when it asks for one: a value, file:///path or env:NAME."`
}

// TLSConfig is the section `cluster.tls`: mutual TLS between the services.
type TLSConfig struct {
	CertFile string `yaml:"certfile" doc:"Certificate of this process for connections between the services (PEM). With keyfile and cacertfile every connection between services is mutual TLS."`
	KeyFile  string `yaml:"keyfile" doc:"Private key of the certificate (PEM)."`
	CAFile   string `yaml:"cacertfile" doc:"CA that signed the certificates of the other services (PEM)."`
}

// Enabled reports whether connections between services are encrypted.
func (c TLSConfig) Enabled() bool { return c.CertFile != "" }

// Validate refuses half a configuration.
func (c TLSConfig) Validate() error {
	if n := strings.Count(fmt.Sprint(c.CertFile == "", c.KeyFile == "", c.CAFile == ""), "true"); n != 0 && n != 3 {
		return config.Invalid("certfile", "certfile, keyfile and cacertfile belong together: set all three or none")
	}
	return nil
}

// JournalConfig is the section `journal`.
type JournalConfig struct {
	Durability string `yaml:"durability" default:"fsync" enum:"memory,disk,fsync" doc:"What an acknowledged QoS 1 or 2 message survives: memory: the loss of any process but the last NATS server with a copy; disk: a killed process; fsync: a power loss. With NATS servers of your own it must be what they are configured for (sync_interval: always for fsync)."`
	Replicas   int    `yaml:"replicas" default:"0" doc:"Copies of each stream, on different NATS servers; 0: three, or as many as there are servers."`
	MaxBytes   int64  `yaml:"max_bytes" default:"1GB" unit:"bytes" doc:"Largest size of one partition's log. Publishers are held back above it; an alarm rises at 70 %."`
}

// LimitsConfig is the section `limits`.
type LimitsConfig struct {
	MaxConnections int   `yaml:"max_connections" default:"0" doc:"Client connections of this process at most; 0: what the limit of open files allows, with a margin."`
	Memory         int64 `yaml:"memory" default:"0" unit:"bytes" doc:"Memory the process should stay below (GOMEMLIMIT); 0: what the environment says."`
}

// Validate checks what one key alone cannot show.
func (c *Common) Validate() error {
	if c.PortOffset < 0 || c.PortOffset > MaxPortOffset {
		return config.Invalid("port_offset", "found %d, expected 0 to %d", c.PortOffset, MaxPortOffset)
	}
	if c.DataDir == "" {
		return config.Invalid("data_dir", "must not be empty")
	}
	if c.Node.Name != "" && strings.ContainsAny(c.Node.Name, "/+# \t\n") {
		return config.Invalid("node.name", "%q must not contain / + # or blanks: it is a level of $SYS topics", c.Node.Name)
	}
	if c.Cluster.LeaseTTL < time.Second {
		return config.Invalid("cluster.lease_ttl", "at least 1s")
	}
	return errors.Join(c.Ops.Validate(), c.Log.Validate())
}

// NodeName is the configured name, or pando@<host name>.
func (c *Common) NodeName() string {
	if c.Node.Name != "" {
		return c.Node.Name
	}
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "127.0.0.1"
	}
	return "pando@" + host
}
