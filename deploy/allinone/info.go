package allinone

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Info is what a running process tells about itself: to people at its start, and to `pando status` through a file in the data directory.
type Info struct {
	PID         int
	Node        string
	Version     string
	Started     time.Time
	DataDir     string
	Durability  string
	Files       []string // configuration files that were read
	Ops         string   // host:port of the admin port
	REST        string   // host:port of the REST API; "": none
	Listeners   []Listener
	CAFile      string // of the certificate made at the first start; "": every TLS listener has one of its own
	Fingerprint string // SHA-256 of that authority
}

// Listener is one listener of the gateway.
type Listener struct {
	Name string
	Kind string // tcp, ssl, ws, wss
	Addr string // host:port, as bound
	Path string // of the WebSocket
	Own  bool   // it has a configured certificate, not the one made at the first start
}

const infoFile = "pando.run.json"

// ReadInfo reads what the process that uses the data directory told when it was ready. fs.ErrNotExist: it is not there, or not ready yet.
func ReadInfo(dataDir string) (Info, error) {
	var i Info
	text, err := os.ReadFile(filepath.Join(dataDir, infoFile))
	if err == nil {
		err = json.Unmarshal(text, &i)
	}
	return i, err
}

// write puts the file in place at once.
func (i Info) write() error {
	text, err := json.MarshalIndent(i, "", "  ")
	if err != nil {
		return err
	}
	name := filepath.Join(i.DataDir, infoFile)
	if err := os.WriteFile(name+".new", append(text, '\n'), 0o640); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

// remove takes the file away; none is no error.
func (i Info) remove() error {
	err := os.Remove(filepath.Join(i.DataDir, infoFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

var kindTitles = map[string]string{"tcp": "MQTT", "ssl": "MQTT over TLS", "ws": "WebSocket", "wss": "WebSocket over TLS"}

// url is how a client names the listener.
func (l Listener) url() string {
	if l.Kind == "ws" || l.Kind == "wss" {
		return l.Kind + "://" + l.Addr + l.Path
	}
	return l.Addr
}

// Tell writes what listens where, in about a dozen lines.
func (i Info) Tell(w io.Writer) {
	fmt.Fprintf(w, "Pando %s, node %s, process %d. Durability: %s. Everything it keeps is in %s\n", i.Version, i.Node, i.PID, i.Durability, i.DataDir)
	for _, f := range i.Files {
		fmt.Fprintf(w, "Configuration: %s\n", f)
	}
	row := func(title, text string) { fmt.Fprintf(w, "  %-20s %s\n", title, text) }
	for _, l := range i.Listeners {
		row(kindTitles[l.Kind], l.url())
	}
	if i.REST != "" {
		row("REST", "http://"+i.REST+"/api/v2/   and /status")
	}
	row("Operations", "http://"+i.Ops+"/metrics   and /healthz, /readyz, /debug/pprof/")
	if i.Fingerprint != "" {
		row("CA of the TLS ports", i.CAFile)
		row("  its SHA-256", i.Fingerprint)
	}
}

// Next writes what to type next. The certificate made at the first start names localhost, not every address that a listener may be bound to.
func (i Info) Next(w io.Writer) {
	plain := slices.IndexFunc(i.Listeners, func(l Listener) bool { return l.Kind == "tcp" })
	secure := slices.IndexFunc(i.Listeners, func(l Listener) bool {
		return l.Kind == "ssl" && !l.Own && i.CAFile != "" && l.host() == "localhost"
	})
	switch {
	case secure >= 0:
		fmt.Fprintf(w, "Listen:  mosquitto_sub -h localhost -p %s --cafile %s -t 'hello/#' -v\n", port(i.Listeners[secure].Addr), quote(i.CAFile))
	case plain >= 0:
		fmt.Fprintf(w, "Listen:  mosquitto_sub %s -t 'hello/#' -v\n", i.Listeners[plain].place())
	}
	if plain >= 0 {
		fmt.Fprintf(w, "Publish: mosquitto_pub %s -t hello/world -m hi -q 1\n", i.Listeners[plain].place())
	}
	fmt.Fprintf(w, "Look:    %s --data-dir %s clients list\n", quote(beside("pandoctl")), quote(i.DataDir))
}

// beside is how to call a program that was built or installed with this one: by its path if it lies in the same directory, else by its name.
func beside(name string) string {
	self, err := os.Executable()
	if err != nil {
		return name
	}
	path := filepath.Join(filepath.Dir(self), name)
	if _, err := os.Stat(path); err != nil {
		return name
	}
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, path); err == nil && !strings.HasPrefix(rel, "..") {
			return rel
		}
	}
	return path
}

// host is how a client on this machine names the listener's host.
func (l Listener) host() string {
	host, _, err := net.SplitHostPort(l.Addr)
	a, bad := netip.ParseAddr(host)
	if err != nil || bad != nil || a.IsUnspecified() || a == netip.IPv6Loopback() || a == netip.AddrFrom4([4]byte{127, 0, 0, 1}) {
		return "localhost"
	}
	return host
}

// place is where mosquitto's programs, which assume localhost, find the listener.
func (l Listener) place() string {
	if h := l.host(); h != "localhost" {
		return "-h " + h + " -p " + port(l.Addr)
	}
	return "-p " + port(l.Addr)
}

// quote writes a path as a shell takes it.
func quote(path string) string {
	if strings.ContainsAny(path, " \t\n'\"$`&|;<>()*?[]#~!{}") {
		return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
	}
	return path
}

func port(addr string) string {
	_, p, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	return p
}
