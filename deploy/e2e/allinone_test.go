package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/pando-mq/pando/deploy/allinone"
	"github.com/pando-mq/pando/services/boot"
	"github.com/pando-mq/pando/services/run"
)

// single is the suite in one process.
type single struct {
	bin, dir string
	args     []string
	info     allinone.Info
}

const password = "e2e-secret"

func startAllInOne(ctx context.Context, bin, dir string) (Env, error) {
	file := filepath.Join(dir, "pando.yaml")
	text := settings(dir) + fmt.Sprintf("mgmt:\n  administrators:\n    admin:\n      password: %q\n", password)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	offset, err := freeOffset()
	if err != nil {
		return nil, err
	}
	s := &single{bin: bin, dir: dir, args: []string{
		"--config", file, "--data-dir", filepath.Join(dir, "data"), "--port-offset", strconv.Itoa(offset), "--set", "node.name=pando@127.0.0.1",
	}}
	return s, s.start(ctx)
}

// freeOffset finds an offset at which every port is free, and below those that the system gives to outgoing connections.
func freeOffset() (int, error) {
	var err error
	for range 50 {
		offset := 11000 + rand.IntN(9000)
		if err = free(offset); err == nil {
			return offset, nil
		}
	}
	return 0, fmt.Errorf("no offset with free ports found: %w", err)
}

func free(offset int) error {
	for _, port := range append(slices.Collect(maps.Values(morePorts)), 1883, 8883, 8083, 8084, 8080, boot.PortOps) {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(boot.OffsetPort(port, offset))))
		if err != nil {
			return err
		}
		if err := l.Close(); err != nil {
			return err
		}
	}
	return nil
}

func (s *single) pando(ctx context.Context, verb string) error {
	out, err := exec.CommandContext(ctx, filepath.Join(s.bin, "pando"), append([]string{verb}, s.args...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("pando %s: %w: %s", verb, err, out)
	}
	return nil
}

func (s *single) start(ctx context.Context) error {
	if err := s.pando(ctx, "start"); err != nil {
		return err
	}
	var err error
	s.info, err = allinone.ReadInfo(filepath.Join(s.dir, "data"))
	return err
}

// addrs is the address of a listener; the suite's own ones are named by their kind.
func (s *single) addrs(name string) []string {
	for _, l := range s.info.Listeners {
		if l.Name == name {
			return []string{l.Addr}
		}
	}
	return nil
}

func (s *single) More(name string) []string { return s.addrs(name) }

func (s *single) MQTT() []string     { return s.addrs("tcp") }
func (s *single) TLS() []string      { return s.addrs("ssl") }
func (s *single) WS() []string       { return s.addrs("ws") }
func (s *single) WSS() []string      { return s.addrs("wss") }
func (s *single) CAFile() string     { return s.info.CAFile }
func (s *single) ConfigFile() string { return filepath.Join(s.dir, "pando.yaml") }
func (s *single) ACLFile() string    { return filepath.Join(s.dir, "acl.conf") }

func (s *single) REST() (url, user, secret string) { return "http://" + s.info.REST, "admin", password }

func (s *single) Ctl(ctx context.Context, stdin string, args ...string) (string, error) {
	return ctl(ctx, s.bin, filepath.Join(s.dir, "data"), stdin, args)
}

func (s *single) Services() []string { return []string{"pando"} }

// known refuses the names that Services does not give.
func (s *single) known(service string) error {
	if service != "pando" {
		return errors.New("there is no service " + service)
	}
	return nil
}

func (s *single) Kill(ctx context.Context, service string) error {
	if err := s.known(service); err != nil {
		return err
	}
	file := filepath.Join(s.dir, "data", boot.PidFile)
	pid, err := run.Running(file)
	if err != nil {
		return err
	}
	if err := run.Kill(pid); err != nil {
		return err
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := run.Running(file); errors.Is(err, run.ErrNotRunning) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("kill process %d: %w", pid, ctx.Err())
		}
	}
}

func (s *single) Start(ctx context.Context, service string) error {
	if err := s.known(service); err != nil {
		return err
	}
	return s.start(ctx)
}

func (s *single) Restart(ctx context.Context, service string) error {
	if err := s.known(service); err != nil {
		return err
	}
	if err := s.Stop(ctx); err != nil {
		return err
	}
	return s.start(ctx)
}

func (s *single) Stop(ctx context.Context) error { return s.pando(ctx, "stop") }

func (s *single) Logs() []string { return []string{filepath.Join(s.dir, "data", "pando.log")} }
