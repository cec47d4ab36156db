package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Env is a running suite. Lists of addresses have one element per gateway, host:port.
type Env interface {
	MQTT() []string
	TLS() []string
	WS() []string
	WSS() []string
	More(name string) []string // listeners of morePorts
	CAFile() string            // PEM of the authorities that signed the gateways' certificates
	REST() (url, user, password string)
	ConfigFile() string // the configuration of every process
	ACLFile() string    // the file of access rules; `pandoctl acl reload` reads it again
	Ctl(ctx context.Context, stdin string, args ...string) (string, error)
	Services() []string
	Restart(ctx context.Context, service string) error // graceful
	Kill(ctx context.Context, service string) error    // with SIGKILL; returns when it is gone
	Start(ctx context.Context, service string) error   // of one that was killed
	Stop(ctx context.Context) error
	Logs() []string // files
}

// suite is the one that the tests share. Each uses topics and client ids of its own.
var suite Env

// waiting is how many tests wait for something at the same time; they use little of the processor meanwhile.
const waiting = "6"

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", waiting); err != nil {
		panic(err)
	}
	code, err := within(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// within runs the tests inside a suite of their own.
func within(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "pando-e2e-")
	if err != nil {
		return 1, err
	}
	bin := os.Getenv("PANDO_BIN")
	if bin == "" {
		bin = filepath.Join("..", "..", "bin")
	}
	if bin, err = filepath.Abs(bin); err != nil {
		return 1, err
	}
	release, err := guard(bin, dir)
	if err != nil {
		return 1, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	begin := time.Now()
	name := os.Getenv("PANDO_E2E")
	if err := os.Unsetenv("PANDO_E2E"); err != nil { // no test may know which one it is
		return 1, err
	}
	if suite, err = open(ctx, name, bin, dir); err != nil {
		return 1, err
	}
	fmt.Printf("the suite serves after %s, its files are in %s\n", time.Since(begin).Round(time.Millisecond), dir)
	code = m.Run()
	ctx, cancel = context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	begin = time.Now()
	err = errors.Join(suite.Stop(ctx), node.stop(), release())
	fmt.Printf("the suite stopped after %s\n", time.Since(begin).Round(time.Millisecond))
	if code != 0 || err != nil {
		for _, name := range suite.Logs() {
			tail(os.Stdout, name)
		}
		return code, err
	}
	return code, os.RemoveAll(dir)
}

// guard starts a process that ends the suite if this one dies without doing so: it waits until its input is closed. release lets it go.
func guard(bin, dir string) (release func() error, err error) {
	const script = `cat >/dev/null; "$0"/pando stop --data-dir "$1"/data; "$0"/pando-cluster kill --dir "$1"/cluster; exit 0`
	cmd := exec.Command("sh", "-c", script, bin, dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is not for it
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	return func() error { return errors.Join(in.Close(), cmd.Wait()) }, cmd.Start()
}

// open starts the environment of a name.
func open(ctx context.Context, name, bin, dir string) (Env, error) {
	if err := os.WriteFile(filepath.Join(dir, "acl.conf"), []byte(rules), 0o600); err != nil {
		return nil, err
	}
	switch name {
	case "", "allinone":
		return startAllInOne(ctx, bin, dir)
	case "procs":
		return startProcs(ctx, bin, dir)
	}
	return nil, fmt.Errorf("PANDO_E2E=%s: want allinone or procs", name)
}

// rules are those that the suite starts with.
const rules = "{deny, all, subscribe, [{eq, \"denied/by/file\"}]}.\n{allow, all}.\n"

// morePorts are the listeners beside the suite's own, with their ports before the offset: behind a proxy that sends the PROXY protocol, behind one that sends
// HTTP headers, and over IPv6 where the machine has it.
var morePorts = map[string]int{"proxied": 1891, "forwarded": 8092, "six": 1893}

// settings is what the tests need, whatever the environment.
func settings(dir string) string {
	six := ""
	if l, err := net.Listen("tcp", "[::1]:0"); err == nil {
		_ = l.Close()
		six = fmt.Sprintf("six: {bind: \"[::1]:%d\"}", morePorts["six"])
	}
	return fmt.Sprintf(`auth:
  allow_anonymous: true
  acl_file: %q
sys:
  interval: 2s
  monitor: {busy_port: true}
mqtt:
  max_packet_size: 2MB
  listeners:
    proxied: {bind: "127.0.0.1:%d", proxy_protocol: true, peer_cert_as_username: cn, trusted_proxies: [127.0.0.1, "::1"]}
    forwarded: {kind: ws, bind: "127.0.0.1:%d", proxy_address_header: X-Forwarded-For, proxy_port_header: X-Forwarded-Port, trusted_proxies: [127.0.0.1]}
    %s
session:
  queue:
    max_length: 100000
    max_bytes: 64MB
retained:
  max_payload: 1MB
`, filepath.Join(dir, "acl.conf"), morePorts["proxied"], morePorts["forwarded"], six)
}

// tail shows the end of a log.
func tail(w io.Writer, name string) {
	const most = 6000
	f, err := os.Open(name)
	if err != nil {
		return
	}
	defer f.Close()
	if i, err := f.Stat(); err == nil && i.Size() > most {
		_, _ = f.Seek(-most, io.SeekEnd)
	}
	text, _ := io.ReadAll(f)
	fmt.Fprintf(w, "--- end of %s\n%s\n", name, text)
}
