//go:build unix

package transport_test

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/pando-mq/pando/services/transport"
)

// TestNoFileDescriptors: a listener survives a process without free file descriptors, and serves who waited when there are some again. A process of its
// own has the limit.
func TestNoFileDescriptors(t *testing.T) {
	if os.Getenv("PANDO_TEST_EMFILE") == "" {
		t.Parallel()
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestNoFileDescriptors$", "-test.v")
		cmd.Env = append(os.Environ(), "PANDO_TEST_EMFILE=1")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestNoFileDescriptors") {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	s := start(t, transport.TCP, option{template: echo})
	first := s.dial(t)
	write(t, first, []byte("x"))
	wantRead(t, first, []byte("x"))
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	limit.Cur = 100
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	var held []*os.File
	for {
		f, err := os.Open(os.DevNull)
		if err != nil {
			break
		}
		held = append(held, f)
	}
	if len(held) == 0 {
		t.Fatal("there was no limit")
	}
	_ = held[0].Close() // for the client's socket; the server's needs another one
	waiting := s.dialTCP(t)
	write(t, waiting, []byte("y"))
	eventually(t, "accept failed", func() bool { return s.AcceptErrors() > 1 })
	write(t, first, []byte("z"))
	wantRead(t, first, []byte("z"))
	for _, f := range held[1:] {
		_ = f.Close()
	}
	wantRead(t, waiting, []byte("y"))
	if !s.Running() {
		t.Error("the listener gave up")
	}
}
