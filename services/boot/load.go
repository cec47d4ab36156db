package boot

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pando-mq/pando/services/config"
	"github.com/pando-mq/pando/services/config/emq"
	"github.com/pando-mq/pando/services/run"
)

// Sections are the top-level keys of a configuration file for the whole suite. A process reads the common ones and its own, and skips the others.
func Sections() []string {
	return []string{"mqtt", "session", "retained", "router", "store", "auth", "mgmt", "modules", "sys", "dashboard"}
}

// Options say where a configuration comes from: flags of a program, and the environment.
type Options struct {
	File    string   // YAML; "": PANDO_CONFIG, else none
	EMQ     string   // installation of the seed: its directory or its emq.conf; "": PANDO_EMQ, else etc/emq.conf beside the data directory; "none": none
	DataDir string   // "": not given
	Offset  string   // of the ports; "": not given
	Set     []string // "a.b=value"
	Environ []string // nil: os.Environ()
}

// notKeys are variables with our prefix that programs and scripts read, and that are no configuration.
var notKeys = []string{"PANDO_CONFIG", "PANDO_EMQ", "PANDO_BIN", "PANDO_E2E", "PANDO_LAB", "PANDO_SERVER", "PANDO_SOCKET", "PANDO_TOKEN", "PANDO_OUTPUT"}

// Loaded is a configuration with what was said about it.
type Loaded struct {
	*config.Loaded
	Files   []string     // that were read
	Notices []emq.Notice // one line for each key of an emq.conf that does not simply take effect
}

// Load fills dst, a pointer to a struct with Common embedded. Errors list every problem, with run.CodeUsage.
func Load(dst any, o Options) (*Loaded, error) {
	if o.Environ == nil {
		o.Environ = os.Environ()
	}
	src := config.Source{
		File: first(o.File, lookup(o.Environ, "PANDO_CONFIG")), Environ: o.Environ, IgnoreEnviron: notKeys, Overrides: o.Set, OtherSections: others(dst),
	}
	if o.DataDir != "" {
		src.Overrides = append(src.Overrides, "data_dir="+o.DataDir)
	}
	if o.Offset != "" {
		src.Overrides = append(src.Overrides, "port_offset="+o.Offset)
	}
	out := &Loaded{}
	seed := seedPath(o, src.File)
	layer, notices, err := emq.Read(seed, o.Environ)
	if err != nil {
		return nil, run.WithCode(run.CodeUsage, fmt.Errorf("configuration refused:\n%w", err))
	}
	src.Extra, out.Notices = []config.Layer{layer}, notices
	for _, f := range []string{seed, src.File} {
		if f != "" {
			out.Files = append(out.Files, f)
		}
	}
	if out.Loaded, err = config.Load(dst, src); err != nil {
		return nil, run.WithCode(run.CodeUsage, fmt.Errorf("configuration refused:\n%w", err))
	}
	return out, nil
}

// seedPath is the installation of the seed to read: the one that was named, or, when nothing was, an etc/emq.conf beside the data directory.
func seedPath(o Options, file string) string {
	named := first(o.EMQ, lookup(o.Environ, "PANDO_EMQ"))
	switch {
	case named == "none":
		return ""
	case named != "":
		return named
	case file != "":
		return ""
	}
	data := first(o.DataDir, lookup(o.Environ, "PANDO_DATA_DIR"), DefaultDataDir)
	conf := filepath.Join(data, "..", "etc", "emq.conf")
	if _, err := os.Stat(conf); errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return conf
}

// others are the sections that dst does not have.
func others(dst any) []string {
	keys, _ := config.Keys(dst) // its error is told by config.Load, too
	own := map[string]bool{}
	for _, k := range keys {
		name, _, _ := strings.Cut(k.Path, ".")
		own[name] = true
	}
	var list []string
	for _, s := range Sections() {
		if !own[s] {
			list = append(list, s)
		}
	}
	return list
}

func lookup(environ []string, name string) string {
	for i := len(environ) - 1; i >= 0; i-- {
		if n, v, _ := strings.Cut(environ[i], "="); n == name {
			return v
		}
	}
	return ""
}

func first(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}

// OffsetAddr adds the configured port_offset to an address in place; an empty one stays empty.
func (c *Common) OffsetAddr(addr *string) error {
	if *addr == "" || c.PortOffset == 0 {
		return nil
	}
	moved, err := Offset(*addr, c.PortOffset)
	if err != nil {
		return err
	}
	*addr = moved
	return nil
}

// ServiceAddrs settles where this process listens for the other services, and what it tells them: cluster.listen and cluster.advertise with the service's
// own port where none is given, and with the port offset added.
func (c *Common) ServiceAddrs(port int) error {
	listen, err := withPort(c.Cluster.Listen, port)
	if err == nil {
		err = c.OffsetAddr(&listen)
	}
	if err != nil {
		return fmt.Errorf("cluster.listen: %w", err)
	}
	host, bound, _ := net.SplitHostPort(listen)
	if c.Cluster.Advertise != "" {
		host = c.Cluster.Advertise
	} else if a, err := netip.ParseAddr(host); host == "" || err == nil && a.IsUnspecified() {
		if host, err = os.Hostname(); err != nil {
			return fmt.Errorf("cluster.advertise: %w", err)
		}
	}
	if number, _ := strconv.Atoi(bound); number > 0 {
		port = number
	}
	c.Cluster.Listen = listen
	if c.Cluster.Advertise, err = withPort(host, port); err != nil {
		return fmt.Errorf("cluster.advertise: %w", err)
	}
	return nil
}

// withPort completes "host" to "host:port"; "host:port" stays as it is.
func withPort(addr string, port int) (string, error) {
	if _, _, err := net.SplitHostPort(addr); err == nil {
		return addr, nil
	}
	host := strings.TrimSuffix(strings.TrimPrefix(addr, "["), "]")
	if strings.Contains(host, ":") {
		if _, err := netip.ParseAddr(host); err != nil {
			return "", fmt.Errorf("%q is neither host nor host:port", addr)
		}
	}
	return net.JoinHostPort(host, strconv.Itoa(port)), nil
}
