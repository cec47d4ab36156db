package door_test

import (
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pando-mq/pando/mgmt-api/door"
)

func TestSocketIsPrivateAndGoesAway(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, below string }{
		{"short path", "d"},
		{"path longer than an address", strings.Repeat("long/", 40)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), c.below)
			if err := os.MkdirAll(dir, 0o750); err != nil {
				t.Fatal(err)
			}
			for range 2 { // a second life finds the place free
				l, err := door.Listen(dir)
				if err != nil {
					t.Fatal(err)
				}
				talk(t, l, filepath.Join(dir, door.SocketFile))
				if err := l.Close(); err != nil {
					t.Error(err)
				}
				if err := l.Close(); err != nil {
					t.Errorf("second Close: %v", err)
				}
				if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
					t.Errorf("left behind: %v, %v", left, err)
				}
			}
		})
	}
}

// talk checks mode and way of a socket.
func talk(t *testing.T, l *door.Listener, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 || info.Mode()&fs.ModeSocket == 0 || l.Path() != path {
		t.Errorf("%s at %s: %v, %v", path, l.Path(), info.Mode(), err)
	}
	served := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			_, err = io.WriteString(c, "hello")
			err = joined(err, c.Close())
		}
		served <- err
	}()
	c, err := door.Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if text, err := io.ReadAll(c); err != nil || string(text) != "hello" {
		t.Errorf("got %q, %v", text, err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func joined(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

func TestSocketOfADeadProcessIsReplaced(t *testing.T) {
	t.Parallel()
	for _, below := range []string{"d", strings.Repeat("long/", 40)} {
		dir := filepath.Join(t.TempDir(), below)
		if err := os.MkdirAll(dir, 0o750); err != nil {
			t.Fatal(err)
		}
		dead, err := door.Listen(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := dead.UnixListener.Close(); err != nil { // the files stay, as after SIGKILL
			t.Fatal(err)
		}
		if _, err := door.Dial(t.Context(), dead.Path()); err == nil {
			t.Fatal("somebody answers at a dead socket")
		}
		l, err := door.Listen(dir)
		if err != nil {
			t.Fatal(err)
		}
		talk(t, l, dead.Path())
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestListenNeedsTheDirectory(t *testing.T) {
	t.Parallel()
	if l, err := door.Listen(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Errorf("listens at %s", l.Path())
	}
	var _ net.Listener = (*door.Listener)(nil)
}
