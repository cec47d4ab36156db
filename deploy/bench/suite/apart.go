package suite

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/pando-mq/pando/deploy/bench/load"
	"github.com/pando-mq/pando/deploy/bench/process"
)

// apart is Pando as separate processes, the cluster of `make cluster`: all of them together are the broker. Publishers connect to the first gateway, receivers to
// the last.
type apart struct {
	bin, dir string
	gateways []netip.AddrPort
	pids     process.Group
	ops      string // of the first gateway
}

func newApart(bin, dir string) *apart { return &apart{bin: bin, dir: filepath.Join(dir, "cluster")} }

// Name implements Broker.
func (a *apart) Name() string { return "apart" }

func (a *apart) cluster(ctx context.Context, args ...string) (string, error) {
	return command(ctx, filepath.Join(a.bin, "pando-cluster"), append(args, "--dir", a.dir)...)
}

func (a *apart) ctl(ctx context.Context, stdin string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(a.bin, "pandoctl"), append([]string{"--data-dir", filepath.Join(a.dir, "mgmt-api-1")}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("pandoctl %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return string(out), err
}

// What pando-cluster prints: where the gateways listen, and the processes.
var (
	gatewayLine = regexp.MustCompile(`^\s+gateway-mqtt-\d+\s+MQTT (\S+)`)
	processLine = regexp.MustCompile(`^(\S+)\s+(\d+)\s+ops http://(\S+)`)
)

// Start implements Broker.
func (a *apart) Start(ctx context.Context) error {
	out, err := a.cluster(ctx, "start", "--bin", a.bin)
	if err != nil {
		return err
	}
	if err := a.read(out); err != nil {
		return err
	}
	for i := range users {
		if _, err := a.ctl(ctx, password+"\n", "users", "add", strings.ReplaceAll(userName, "%i", strconv.Itoa(i)), "--password-stdin"); err != nil {
			return err
		}
	}
	for _, topic := range permitted {
		if _, err := a.ctl(ctx, "", "acl", "add", "allow", "--topic", topic); err != nil {
			return err
		}
	}
	_, err = a.ctl(ctx, "", "acl", "add", "deny", "--topic", "#")
	return err
}

// read finds gateways and process ids. `status` fails while a process is not ready, and names its process id all the same.
func (a *apart) read(started string) error {
	a.gateways, a.pids = nil, nil
	s := bufio.NewScanner(strings.NewReader(started))
	for s.Scan() {
		if m := gatewayLine.FindStringSubmatch(s.Text()); m != nil {
			addr, err := netip.ParseAddrPort(m[1])
			if err != nil {
				return err
			}
			a.gateways = append(a.gateways, addr)
		}
	}
	status, _ := a.cluster(context.Background(), "status")
	s = bufio.NewScanner(strings.NewReader(status))
	for s.Scan() {
		if m := processLine.FindStringSubmatch(s.Text()); m != nil {
			pid, err := strconv.Atoi(m[2])
			if err != nil {
				return err
			}
			a.pids = append(a.pids, pid)
			if m[1] == "gateway-mqtt-1" {
				a.ops = m[3]
			}
		}
	}
	if len(a.gateways) < 2 || len(a.pids) < 8 || a.ops == "" {
		return fmt.Errorf("pando-cluster names %d gateways and %d processes:\n%s%s", len(a.gateways), len(a.pids), started, status)
	}
	return nil
}

// Stop implements Broker.
func (a *apart) Stop(ctx context.Context) error {
	_, err := a.cluster(ctx, "stop")
	return err
}

// Kill implements Broker.
func (a *apart) Kill(ctx context.Context) error {
	_, err := a.cluster(ctx, "kill")
	return err
}

// Pids implements Broker.
func (a *apart) Pids() process.Group { return a.pids }

// CAFile implements Broker; only TCP is measured.
func (a *apart) CAFile() string { return "" }

// Rest implements Broker; no memory is measured.
func (a *apart) Rest(context.Context) error { return nil }

// Addr implements Broker.
func (a *apart) Addr(kind string) (netip.AddrPort, error) {
	if kind != load.TCP {
		return netip.AddrPort{}, errors.New("only TCP is measured of separate processes")
	}
	return a.gateways[0], nil
}

// last is where receivers connect.
func (a *apart) last() netip.AddrPort { return a.gateways[len(a.gateways)-1] }

// Settings implements Broker.
func (a *apart) Settings(ctx context.Context) (Settings, error) {
	s, err := probe(a.gateways[0])
	if err != nil {
		return s, err
	}
	if s.Metrics, err = scrape(ctx, a.ops); err != nil {
		return s, err
	}
	out, err := a.ctl(ctx, "", "status", "-o", "json")
	if err != nil {
		return s, err
	}
	if s.Durability, err = durability(out); err != nil {
		return s, err
	}
	s.Counts = s.defaults()
	return s, nil
}
