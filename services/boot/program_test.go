package boot

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/pando-mq/pando/services/run"
)

func program() Program {
	c := &struct{ Common }{}
	return Program{Name: "router", Does: "routes.", Port: PortRouter, Config: c, Common: &c.Common}
}

func TestProgramCommandLine(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		code int
		want []string
	}{
		"help":           {[]string{"--help"}, run.CodeOK, []string{"router routes.", "9701", "-config FILE", "-set KEY=VALUE", "Exit codes", "2 wrong configuration"}},
		"version":        {[]string{"--version"}, run.CodeOK, []string{"router " + run.Version()}},
		"unknown flag":   {[]string{"--confg", "x"}, run.CodeUsage, []string{"confg", "--help"}},
		"an argument":    {[]string{"start"}, run.CodeUsage, []string{`"start"`}},
		"a wrong value":  {[]string{"--set", "log.level=loud", "--emq", "none"}, run.CodeUsage, []string{"log.level", "loud"}},
		"a wrong offset": {[]string{"--port-offset", "x", "--emq", "none"}, run.CodeUsage, []string{"port_offset"}},
	} {
		var stdout, stderr bytes.Buffer
		err := program().run(t.Context(), c.args, &stdout, &stderr)
		text := stdout.String()
		if err != nil {
			text = err.Error()
		}
		if run.Code(err) != c.code {
			t.Errorf("%s: code %d, want %d: %v", name, run.Code(err), c.code, err)
		}
		for _, want := range c.want {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q does not say %q", name, text, want)
			}
		}
	}
}

// A service without servers to stand on says so, and leaves its data directory free.
func TestProgramNeedsServers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for range 2 {
		var log bytes.Buffer
		p := program()
		p.Build = func(context.Context, *Service, *Incarnation) error { return nil }
		err := p.run(t.Context(), []string{"--data-dir", dir, "--set", "ops.listen=127.0.0.1:0"}, &log, &log)
		if run.Code(err) != run.CodeFailure || !strings.Contains(err.Error(), "cluster.etcd.endpoints") {
			t.Fatalf("got %v", err)
		}
	}
}
