package allinone_test

import (
	"bytes"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pando-mq/pando/deploy/allinone"
	"github.com/pando-mq/pando/services/boot"
)

// The reference pages are what the code says. UPDATE_GOLDEN=1 writes them.
func TestReferencePagesAreTrue(t *testing.T) {
	t.Parallel()
	for page, write := range map[string]func(io.Writer) error{
		"../docs/reference/configuration.md": allinone.Reference,
		"../docs/reference/ports.md":         allinone.WritePorts,
	} {
		var got bytes.Buffer
		if err := write(&got); err != nil {
			t.Fatal(err)
		}
		if os.Getenv("UPDATE_GOLDEN") != "" {
			if err := os.WriteFile(page, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got.String()); diff != "" {
			t.Errorf("%s: run UPDATE_GOLDEN=1 go test ./allinone; -page +code\n%s", page, diff)
		}
	}
}

// Every address that the configuration has is a row of the table of ports, and every row of a key has the port of that key.
func TestPortsAreThoseOfTheConfiguration(t *testing.T) {
	t.Parallel()
	c := allinone.Default()
	loaded, err := boot.Load(c, boot.Options{Environ: []string{}, DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := loaded.Print(&text); err != nil {
		t.Fatal(err)
	}
	rows := map[string]int{}
	for _, p := range allinone.Ports() {
		if p.Key != "" && !p.Internal {
			rows[p.Key] = p.Port
		}
	}
	found := map[string]int{}
	for key, value := range flatten(text.String()) {
		_, port, err := net.SplitHostPort(strings.Trim(value, `"`))
		if n, bad := strconv.Atoi(port); err == nil && bad == nil {
			found[key] = n
		}
	}
	if diff := cmp.Diff(rows, found); diff != "" {
		t.Errorf("-table +configuration\n%s", diff)
	}
}

// flatten reads the plain YAML that Print writes to "a.b": value.
func flatten(yaml string) map[string]string {
	out := map[string]string{}
	var path []string
	for line := range strings.Lines(yaml) {
		trimmed := strings.TrimLeft(line, " ")
		key, value, _ := strings.Cut(strings.TrimSpace(trimmed), ":")
		path = append(path[:(len(line)-len(trimmed))/2], key)
		if value = strings.TrimSpace(value); value != "" {
			out[strings.Join(path, ".")] = value
		}
	}
	return out
}

// No two rows of one protocol share a port, also when an offset makes the highest ones turn around.
func TestPortsNeverMeet(t *testing.T) {
	t.Parallel()
	for _, offset := range []int{0, 1, 100, 3920, 4000, 10000, 45000} {
		taken := map[string]string{}
		for _, p := range allinone.Ports() {
			moved := boot.OffsetPort(p.Port, offset)
			if moved < 1 || moved > 65535 {
				t.Errorf("%s moved by %d is %d", p.What, offset, moved)
			}
			key := p.Protocol + strconv.Itoa(moved)
			if taken[key] != "" {
				t.Errorf("offset %d: %s and %s are both %d", offset, p.What, taken[key], moved)
			}
			taken[key] = p.What
		}
	}
}
