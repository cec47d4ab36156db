//go:build unix

package run_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/pando-mq/pando/services/run"
)

// Each hang-up is one call, and none comes after Stop.
func TestOnHangup(t *testing.T) {
	called := make(chan struct{}, 10)
	h := run.OnHangup(func() { called <- struct{}{} })
	if err := h.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := syscall.Kill(syscall.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		select {
		case <-called:
		case <-time.After(10 * time.Second):
			t.Fatal("no call")
		}
	}
	if err := h.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(called) != 0 {
		t.Error("a call without a hang-up")
	}
}
