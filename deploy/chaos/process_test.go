package chaos_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pando-mq/pando/services/boot"
)

// build makes pando, with build tags.
func build(t *testing.T, tags ...string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "pando")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-tags", strings.Join(tags, ","), "-o", program, "../cmd/pando")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return program
}

// victim is the suite in one process, which is killed and started again.
type victim struct {
	program, dir string
	offset       int
	cmd          *exec.Cmd
	ended        chan error
}

// newVictim starts it with an empty data directory, on free ports.
func newVictim(t *testing.T, program string) *victim {
	t.Helper()
	v := &victim{program: program, dir: t.TempDir(), offset: freeOffset(t)}
	v.start(t)
	t.Cleanup(func() {
		v.kill()
		if t.Failed() {
			t.Log(v.log())
		}
	})
	return v
}

func (v *victim) addr() string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(boot.OffsetPort(1883, v.offset)))
}

func freeOffset(t *testing.T) int {
	t.Helper()
	for range 50 {
		offset := 11000 + rand.IntN(9000)
		if free(offset) {
			return offset
		}
	}
	t.Fatal("no offset with free ports found")
	return 0
}

func free(offset int) bool {
	for _, port := range []int{1883, 8883, 8083, 8084, 8080, boot.PortOps} {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(boot.OffsetPort(port, offset))))
		if err != nil {
			return false
		}
		_ = l.Close()
	}
	return true
}

func (v *victim) logFile() string { return filepath.Join(v.dir, "log") }

func (v *victim) start(t *testing.T) {
	t.Helper()
	out, err := os.OpenFile(v.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	v.cmd = exec.Command(v.program, "run", "--data-dir", filepath.Join(v.dir, "data"), "--port-offset", strconv.Itoa(v.offset))
	v.cmd.Stdout, v.cmd.Stderr = out, out
	if err := v.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	v.ended = make(chan error, 1)
	go func(cmd *exec.Cmd, ended chan<- error) { ended <- cmd.Wait() }(v.cmd, v.ended)
}

// serves waits until the MQTT port answers.
func (v *victim) serves(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := net.DialTimeout("tcp", v.addr(), time.Second)
		if err == nil {
			return conn.Close()
		}
		select {
		case err := <-v.ended:
			v.ended <- err
			return fmt.Errorf("pando ended: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("pando does not listen: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// kill sends SIGKILL and waits for the end.
func (v *victim) kill() {
	_ = v.cmd.Process.Kill() // an error: it has ended already
	v.ended <- <-v.ended
}

// stop ends it gracefully.
func (v *victim) stop(ctx context.Context) error {
	if err := v.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case err := <-v.ended:
		v.ended <- err
		return err
	case <-ctx.Done():
		return errors.New("pando does not stop")
	}
}

// log is the end of what it wrote.
func (v *victim) log() string {
	text, err := os.ReadFile(v.logFile())
	if err != nil {
		return err.Error()
	}
	if i := len(text) - 8000; i > 0 {
		text = text[i:]
	}
	return string(bytes.ToValidUTF8(text, nil))
}
