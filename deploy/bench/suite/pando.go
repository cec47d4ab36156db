package suite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pando-mq/pando/deploy/bench/load"
	"github.com/pando-mq/pando/deploy/bench/process"
)

// pando is the all-in-one process, used as an operator uses it: its programs, its configuration file, what it tells of itself.
type pando struct {
	name, bin, dir string
	args           []string
	info           pandoInfo
}

// pandoInfo is what a running process writes to pando.run.json, as far as it is of use here.
type pandoInfo struct {
	PID        int
	Version    string
	Ops        string
	CAFile     string
	Durability string
	Listeners  []struct{ Name, Kind, Addr string }
}

// newPando prepares a directory. bin holds the programs.
func newPando(name, bin, dir string) (*pando, error) {
	if err := os.WriteFile(filepath.Join(dir, "acl.conf"), []byte(pandoRules()), 0o600); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "pando.yaml")
	if err := os.WriteFile(file, []byte(pandoConfig(dir)), 0o600); err != nil {
		return nil, err
	}
	offset, err := freeOffset()
	if err != nil {
		return nil, err
	}
	return &pando{name: name, bin: bin, dir: dir, args: []string{
		"--config", file, "--data-dir", filepath.Join(dir, "data"), "--port-offset", strconv.Itoa(offset), "--set", "node.name=pando@127.0.0.1",
	}}, nil
}

// pandoConfig has users and rules, and nothing else that differs from the defaults.
func pandoConfig(dir string) string {
	text := fmt.Sprintf("auth:\n  acl_file: %q\n  users:\n", filepath.Join(dir, "acl.conf"))
	for i := range users {
		text += fmt.Sprintf("    - {username: %q, password: %q}\n", strings.ReplaceAll(userName, "%i", strconv.Itoa(i)), password)
	}
	return text
}

func pandoRules() string {
	return fmt.Sprintf("{allow, all, pubsub, [\"%s\"]}.\n{deny, all}.\n", strings.Join(permitted, `", "`))
}

// freeOffset finds an offset of Pando's ports at which all are free, below those that the system gives to outgoing connections.
func freeOffset() (int, error) {
	for range 100 {
		offset, ok := 11000+rand.IntN(9000), true
		for _, port := range []int{1883, 8883, 8083, 8084, 8080, 9880} {
			ok = ok && free(port+offset)
		}
		if ok {
			return offset, nil
		}
	}
	return 0, errors.New("found no offset with free ports")
}

// Name implements Broker.
func (p *pando) Name() string { return p.name }

func (p *pando) verb(ctx context.Context, verb string) error {
	_, err := command(ctx, filepath.Join(p.bin, "pando"), append([]string{verb}, p.args...)...)
	return err
}

// Start implements Broker.
func (p *pando) Start(ctx context.Context) error {
	if err := p.verb(ctx, "start"); err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(p.dir, "data", "pando.run.json"))
	if err != nil {
		return err
	}
	p.info = pandoInfo{}
	return json.Unmarshal(text, &p.info)
}

// Stop implements Broker.
func (p *pando) Stop(ctx context.Context) error { return p.verb(ctx, "stop") }

// Kill implements Broker. A process that never became ready is known by its pid file only.
func (p *pando) Kill(ctx context.Context) error {
	pid := p.info.PID
	if text, err := os.ReadFile(filepath.Join(p.dir, "data", "pando.pid")); err == nil {
		first, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
		if n, err := strconv.Atoi(strings.TrimSpace(first)); err == nil {
			pid = n
		}
	}
	return kill(ctx, pid)
}

// Pids implements Broker.
func (p *pando) Pids() process.Group { return process.Group{p.info.PID} }

// CAFile implements Broker.
func (p *pando) CAFile() string { return p.info.CAFile }

// Rest implements Broker: an idle process of Go collects its garbage every two minutes, and when it is asked for a heap profile with gc=1.
func (p *pando) Rest(ctx context.Context) error {
	_, err := get(ctx, "http://"+p.info.Ops+"/debug/pprof/heap?gc=1")
	return err
}

// Addr implements Broker.
func (p *pando) Addr(kind string) (netip.AddrPort, error) {
	if kind == load.TLS {
		kind = "ssl"
	}
	for _, l := range p.info.Listeners {
		if l.Kind == kind {
			return netip.ParseAddrPort(l.Addr)
		}
	}
	return netip.AddrPort{}, fmt.Errorf("%s has no listener of kind %s", p.name, kind)
}

// planned is where MQTT will be, before the process runs.
func (p *pando) planned() netip.AddrPort {
	for i, a := range p.args {
		if a == "--port-offset" {
			offset, _ := strconv.Atoi(p.args[i+1]) // newPando wrote it
			return netip.AddrPortFrom(loopback, uint16(1883+offset))
		}
	}
	return netip.AddrPort{}
}

// Settings implements Broker.
func (p *pando) Settings(ctx context.Context) (Settings, error) {
	addr, err := p.Addr(load.TCP)
	if err != nil {
		return Settings{}, err
	}
	s, err := probe(addr)
	if err != nil {
		return s, err
	}
	s.Version = p.info.Version
	if s.Metrics, err = scrape(ctx, p.info.Ops); err != nil {
		return s, err
	}
	out, err := command(ctx, filepath.Join(p.bin, "pandoctl"), "--data-dir", filepath.Join(p.dir, "data"), "status", "-o", "json")
	if err != nil {
		return s, err
	}
	if s.Durability, err = durability(out); err != nil {
		return s, err
	}
	s.Counts = s.defaults()
	return s, nil
}

// durability is the lowest level that a node of `pandoctl status` names.
func durability(status string) (string, error) {
	var suite struct {
		Nodes []struct{ Durability string }
	}
	if err := json.Unmarshal([]byte(status), &suite); err != nil {
		return "", err
	}
	if len(suite.Nodes) == 0 {
		return "", errors.New("pandoctl status names no node")
	}
	level := suite.Nodes[0].Durability
	for _, n := range suite.Nodes {
		if n.Durability != level {
			return "", fmt.Errorf("nodes differ: %s and %s", level, n.Durability)
		}
	}
	return level, nil
}
