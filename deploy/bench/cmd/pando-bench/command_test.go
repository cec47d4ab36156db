package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/pando-mq/pando/services/run"
)

func execute(args ...string) (string, error) {
	c := command()
	var out bytes.Buffer
	c.SetOut(&out)
	c.SetErr(&out)
	c.SetArgs(args)
	err := c.Execute()
	return out.String(), err
}

// Every command explains itself, without touching a broker.
func TestHelp(t *testing.T) {
	t.Parallel()
	for _, c := range command().Commands() {
		if c.Short == "" || c.Name() != "help" && c.Name() != "completion" && c.GroupID == "" {
			t.Errorf("%s has no explanation or no group", c.Name())
		}
	}
	for _, k := range append(kinds(), presets()...) {
		args := []string{k.name, "--help"}
		if strings.Contains(k.name, "-") {
			args = append([]string{"preset"}, args...)
		}
		out, err := execute(args...)
		if err != nil || !strings.Contains(out, "-h, --host") || !strings.Contains(out, k.short) {
			t.Errorf("%s: %v\n%s", k.name, err, out)
		}
	}
}

// The four uses of the manual have a preset each.
func TestPresets(t *testing.T) {
	t.Parallel()
	out, err := execute("preset", "--help")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"push-broadcast", "instant-messaging", "device-latency", "data-collection"} {
		if !strings.Contains(out, name) {
			t.Errorf("%s is not there", name)
		}
	}
}

func TestWrongArguments(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"p2p", "-q", "3"}, {"p2p", "-V", "6"}, {"p2p", "-c", "0"}, {"p2p", "-p", "0"}, {"p2p", "-F", "20000"}, {"p2p", "--no-such-flag"}, {"p2p", "--ssl", "--cafile", "/none"},
		{"conn", "-c", "100000000"}, {"p2p", "--ifaddr", "x"}, {"compare", "x", "y"},
	} {
		if _, err := execute(args...); run.Code(err) != run.CodeUsage {
			t.Errorf("%v: code %d, %v", args, run.Code(err), err)
		}
	}
}

// -I is the time between two messages of one publisher, as in emqtt_benchmark.
func TestIntervalOfMessages(t *testing.T) {
	t.Parallel()
	k := kinds()[1]
	f := newFlags(k)
	f.host, f.port, f.version, f.o.Count, f.every, f.o.Clean = "127.0.0.1", 1883, 4, 50, 100, true
	o, err := f.options(t.Context(), k)
	if err != nil || o.Rate != 500 {
		t.Errorf("50 publishers every 100 ms: %g messages per second, %v", o.Rate, err)
	}
}
