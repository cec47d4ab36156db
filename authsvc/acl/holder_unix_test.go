//go:build linux

package acl_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/pando-mq/pando/authsvc/acl"
)

// A FIFO in the file's place is refused instead of waited for.
func TestReloadDoesNotBlockOnFIFO(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "acl.conf")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := acl.Open(path); err == nil {
		t.Error("a FIFO was opened")
	}
}

const limitedEnv = "ACL_TEST_DESCRIPTORS_OF"

// Hardening case 31, file descriptors exhausted during a reload: the old rules
// stay. The limit is the process's, so a copy of the test binary takes it.
func TestReloadWithoutDescriptors(t *testing.T) {
	if path := os.Getenv(limitedEnv); path != "" {
		reloadWithoutDescriptors(t, path)
		return
	}
	t.Parallel()
	path := filepath.Join(t.TempDir(), "acl.conf")
	write(t, path, `{deny, {user, "bob"}, publish, ["a"]}. {allow, all}.`)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestReloadWithoutDescriptors$", "-test.count=1")
	cmd.Env = append(os.Environ(), limitedEnv+"="+path)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func reloadWithoutDescriptors(t *testing.T, path string) {
	h, err := acl.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	none := syscall.Rlimit{Cur: 0, Max: before.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	err = h.Reload()
	if e := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before); e != nil {
		t.Fatal(e)
	}
	if err == nil {
		t.Fatal("the file was read without a descriptor")
	}
	if d := h.Rules().Decide(ask); d.Effect != acl.Deny {
		t.Errorf("decision %+v, want the old denial", d)
	}
	if err := h.Reload(); err != nil {
		t.Errorf("after the limit was lifted: %v", err)
	}
}
