package cluster

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"text/template"
)

// Options of a new cluster.
type Options struct {
	Dir        string // everything it keeps; made if it is not there
	Bin        string // directory of the binaries
	Offset     int    // of the first process; 0: one is chosen at which all ports are free
	Topology   Topology
	Durability string    // "": fsync
	Extra      string    // further YAML of the common configuration file
	Progress   io.Writer // nil: silence
}

// Cluster is a cluster on disk, running or not.
type Cluster struct {
	state
	dir  string
	list []Process

	mu       sync.Mutex // serialises what several starts report
	progress io.Writer
}

// state is what a later process must know; Dir/cluster.json.
type state struct {
	Bin        string
	Offset     int
	Topology   Topology
	Durability string
}

// ErrNone says that the directory holds no cluster.
var ErrNone = errors.New("there is no cluster here")

// Create writes the configuration of a new cluster, or opens the one that is there; it starts nothing.
func Create(o Options) (*Cluster, error) {
	c, err := Open(o.Dir, o.Progress)
	if !errors.Is(err, ErrNone) {
		return c, err
	}
	if o.Topology == (Topology{}) {
		o.Topology = DefaultTopology()
	}
	if o.Durability == "" {
		o.Durability = "fsync"
	}
	if o.Offset == 0 {
		if o.Offset, err = freeOffset(o.Topology); err != nil {
			return nil, err
		}
	}
	if o.Bin, err = filepath.Abs(o.Bin); err != nil {
		return nil, err
	}
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return nil, err
	}
	c = &Cluster{state: state{o.Bin, o.Offset, o.Topology, o.Durability}, dir: o.Dir, list: o.Topology.processes(o.Offset), progress: o.Progress}
	return c, c.write(o.Extra)
}

// Open finds a cluster that was created before. ErrNone: there is none.
func Open(dir string, progress io.Writer) (*Cluster, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(dir, "cluster.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", dir, ErrNone)
	}
	if err != nil {
		return nil, err
	}
	c := &Cluster{dir: dir, progress: progress}
	if err := json.Unmarshal(text, &c.state); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, "cluster.json"), err)
	}
	c.list = c.Topology.processes(c.Offset)
	return c, nil
}

// UsualOffset is what people remember: a client connects to 21883. Free says whether it can be used.
const UsualOffset = 20000

// Free reports why a cluster of this size cannot be started at an offset: the first port that is in use.
func Free(t Topology, offset int) error { return free(t.processes(offset)) }

// freeOffset finds an offset at which all ports are free, and below those that the system gives to outgoing connections.
func freeOffset(t Topology) (int, error) {
	var err error
	for range 50 {
		offset := 11000 + mathrand.IntN(9000)
		if err = free(t.processes(offset)); err == nil {
			return offset, nil
		}
	}
	return 0, fmt.Errorf("no offset with free ports found: %w", err)
}

var configFile = template.Must(template.New("pando.yaml").Parse(`# Made by pando-cluster. All processes of the cluster read this file; what differs between them is on their command lines.
cluster:
  name: pando
  etcd:
    endpoints: [{{range $i, $e := .Etcd}}{{if $i}}, {{end}}"{{$e}}"{{end}}]
  nats:
    urls: [{{range $i, $e := .NATS}}{{if $i}}, {{end}}"{{$e}}"{{end}}]
journal:
  durability: {{.Durability}}
{{- if .Mgmt}}
mgmt:
  administrators:
    admin:
      password: "file://{{.Password}}"
{{- end}}
{{.Extra}}`))

// write makes the files of a new cluster, cluster.json last.
func (c *Cluster) write(extra string) error {
	if err := os.MkdirAll(c.dir, 0o750); err != nil {
		return err
	}
	secret := make([]byte, 12)
	_, _ = rand.Read(secret) // never fails
	if err := os.WriteFile(c.PasswordFile(), []byte(hex.EncodeToString(secret)), 0o600); err != nil {
		return err
	}
	var text strings.Builder
	err := configFile.Execute(&text, map[string]any{
		"Etcd": c.urls(KindEtcd, "http://", portEtcd), "NATS": c.urls(KindNATS, "nats://", portNATS), "Durability": c.Durability,
		"Mgmt": c.Topology.Mgmt > 0, "Password": filepath.ToSlash(c.PasswordFile()), "Extra": extra,
	})
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.ConfigFile(), []byte(text.String()), 0o640); err != nil {
		return err
	}
	state, err := json.MarshalIndent(c.state, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(c.dir, "cluster.json"), append(state, '\n'), 0o640)
}

// urls are the addresses of all processes of a kind.
func (c *Cluster) urls(kind, scheme string, port int) []string {
	var list []string
	for _, p := range c.Kind(kind) {
		list = append(list, scheme+p.Addr(port))
	}
	return list
}

// Processes lists all processes in the order of their start. The slice is shared: read only.
func (c *Cluster) Processes() []Process { return c.list }

// Kind lists the processes of one kind.
func (c *Cluster) Kind(kind string) []Process {
	var list []Process
	for _, p := range c.list {
		if p.Kind == kind {
			list = append(list, p)
		}
	}
	return list
}

// Process finds a process by name.
func (c *Cluster) Process(name string) (Process, error) {
	var names []string
	for _, p := range c.list {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return Process{}, fmt.Errorf("there is no process %q; there are %s", name, strings.Join(names, ", "))
}

// Dir is the directory of the cluster, absolute.
func (c *Cluster) Dir() string { return c.dir }

// ConfigFile is the configuration that all processes share.
func (c *Cluster) ConfigFile() string { return filepath.Join(c.dir, "pando.yaml") }

// PasswordFile holds the password of the administrator admin.
func (c *Cluster) PasswordFile() string { return filepath.Join(c.dir, "admin.password") }

// DataDir is the directory of one process.
func (c *Cluster) DataDir(p Process) string { return filepath.Join(c.dir, p.Name) }

// LogFile is where a process writes its log.
func (c *Cluster) LogFile(p Process) string { return filepath.Join(c.dir, p.Name+".log") }
