package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/pando-mq/pando/deploy/cluster"
)

// procs is the suite in separate processes.
type procs struct {
	cluster *cluster.Cluster
	bin     string
	dir     string
	ca      string
}

func startProcs(ctx context.Context, bin, dir string) (Env, error) {
	c, err := cluster.Create(cluster.Options{Dir: filepath.Join(dir, "cluster"), Bin: bin, Extra: settings(dir)})
	if err != nil {
		return nil, err
	}
	p := &procs{cluster: c, bin: bin, dir: dir, ca: filepath.Join(dir, "ca.pem")}
	if err := c.Start(ctx); err != nil {
		return nil, fmt.Errorf("%w\n%w", err, c.KillAll(ctx))
	}
	var all []byte
	for _, g := range c.Kind(cluster.KindGateway) {
		one, err := os.ReadFile(filepath.Join(c.DataDir(g), "certs", "ca.pem"))
		if err != nil {
			return nil, err
		}
		all = append(all, one...)
	}
	return p, os.WriteFile(p.ca, all, 0o600)
}

// addrs are the addresses of all gateways, by the port before the offset.
func (p *procs) addrs(port int) []string {
	var list []string
	for _, g := range p.cluster.Kind(cluster.KindGateway) {
		list = append(list, g.Addr(port))
	}
	return list
}

func (p *procs) More(name string) []string {
	list := p.addrs(morePorts[name])
	if name != "six" {
		return list
	}
	for i, addr := range list {
		_, port, _ := net.SplitHostPort(addr)
		list[i] = net.JoinHostPort("::1", port)
	}
	return list
}

func (p *procs) MQTT() []string     { return p.addrs(1883) }
func (p *procs) TLS() []string      { return p.addrs(8883) }
func (p *procs) WS() []string       { return p.addrs(8083) }
func (p *procs) WSS() []string      { return p.addrs(8084) }
func (p *procs) CAFile() string     { return p.ca }
func (p *procs) ConfigFile() string { return p.cluster.ConfigFile() }
func (p *procs) ACLFile() string    { return filepath.Join(p.dir, "acl.conf") }

func (p *procs) REST() (url, user, password string) {
	secret, err := os.ReadFile(p.cluster.PasswordFile())
	if err != nil {
		panic(err) // the cluster made it when it was created
	}
	return "http://" + p.cluster.Kind(cluster.KindMgmt)[0].Addr(8080), "admin", string(secret)
}

func (p *procs) Ctl(ctx context.Context, stdin string, args ...string) (string, error) {
	return ctl(ctx, p.bin, p.cluster.DataDir(p.cluster.Kind(cluster.KindMgmt)[0]), stdin, args)
}

func (p *procs) Services() []string {
	var list []string
	for _, one := range p.cluster.Processes() {
		list = append(list, one.Name)
	}
	return list
}

func (p *procs) Restart(ctx context.Context, service string) error {
	return p.cluster.RestartProcess(ctx, service)
}

func (p *procs) Kill(ctx context.Context, service string) error {
	return p.cluster.KillProcess(ctx, service)
}

func (p *procs) Start(ctx context.Context, service string) error {
	return p.cluster.StartProcess(ctx, service)
}

func (p *procs) Stop(ctx context.Context) error { return p.cluster.Stop(ctx) }

func (p *procs) Logs() []string {
	var list []string
	for _, one := range p.cluster.Processes() {
		list = append(list, p.cluster.LogFile(one))
	}
	return list
}

// ctl runs pandoctl for the process that uses dataDir.
func ctl(ctx context.Context, bin, dataDir, stdin string, args []string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "pandoctl"), append([]string{"--data-dir", dataDir}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("pandoctl %s: %w: %s", strings.Join(args, " "), err, errs.String())
	}
	return out.String(), nil
}
