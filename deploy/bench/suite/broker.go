package suite

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/pando-mq/pando/deploy/bench/load"
	"github.com/pando-mq/pando/deploy/bench/process"
)

// Broker is one that can be started on this machine, in a directory of its own.
type Broker interface {
	Name() string
	Start(ctx context.Context) error // again after Kill or Stop: with the same data
	Stop(ctx context.Context) error
	Kill(ctx context.Context) error // SIGKILL, and wait until it is gone
	Pids() process.Group
	Addr(kind string) (netip.AddrPort, error) // where a kind of connection goes
	CAFile() string
	Rest(ctx context.Context) error                 // collect garbage now, if it is a program that would do so some minutes later
	Settings(ctx context.Context) (Settings, error) // of the running process
}

// Settings are what a figure stands for.
type Settings struct {
	Version        string `json:"version"`
	Authentication string `json:"authentication"`
	ACL            string `json:"acl"`
	Metrics        string `json:"metrics"`
	Durability     string `json:"durability"`
	Counts         bool   `json:"counts"` // all defaults are on
}

// String is one line for a table.
func (s Settings) String() string {
	text := fmt.Sprintf("authentication %s; ACL %s; metrics %s; durability %s", s.Authentication, s.ACL, s.Metrics, s.Durability)
	if !s.Counts {
		text += "; DOES NOT COUNT: less than the defaults"
	}
	return text
}

// defaults says whether a Pando does all that it does by default. Its level of durability may have the number of copies behind it: "fsync x3".
func (s Settings) defaults() bool {
	level, _, _ := strings.Cut(s.Durability, " ")
	return s.Authentication == on && s.ACL == on && s.Metrics == on && level == "fsync"
}

// The users of all brokers: bench-0 and so on, with one password.
const (
	users    = 4
	userName = "bench-%i"
	password = "a password of the bench"
)

// permitted are the topics that the rules of all brokers permit; nothing else is.
var permitted = []string{"bench/#", "r/#"}

// dial says how to connect to a broker.
func dial(b Broker, kind string, connections int) (netip.AddrPort, load.Dial, error) {
	addr, err := b.Addr(kind)
	if err != nil {
		return addr, load.Dial{}, err
	}
	d := load.Dial{Kind: kind, Path: "/mqtt", Sources: load.LoopbackSources(addr.Addr(), connections)}
	if kind == load.TLS || kind == load.WSS {
		text, err := os.ReadFile(b.CAFile())
		if err != nil {
			return addr, d, err
		}
		d.TLS = &tls.Config{ServerName: "localhost", RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
		if !d.TLS.RootCAs.AppendCertsFromPEM(text) {
			return addr, d, errors.New(b.CAFile() + " holds no certificate")
		}
	}
	return addr, d, nil
}

// loopback is the address of this machine.
var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// free says whether a port can be listened on.
func free(port int) bool {
	l, err := net.Listen("tcp", netip.AddrPortFrom(loopback, uint16(port)).String())
	return err == nil && l.Close() == nil
}

// command runs a program to its end.
func command(ctx context.Context, name string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out)
	}
	return string(out), err
}

// kill ends a process with SIGKILL and waits until nothing of it is left.
func kill(ctx context.Context, pid int) error {
	if pid <= 1 {
		return errors.New("no process to end")
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return err
	}
	return await(ctx, func() error {
		if running(pid) {
			return fmt.Errorf("process %d is still there", pid)
		}
		return nil
	})
}

// running says whether anything of a process is left. A killed process is a zombie as soon as its first thread is gone, while others may still hold its files.
func running(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	threads, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	return !strings.HasPrefix(rest, "Z") || len(threads) > 1
}

// await asks again and again until there is no error, or ctx ends.
func await(ctx context.Context, ask func() error) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		}
	}
}
