// Package door is the socket in the data directory through which pandoctl reaches a running process: its place, its making and finding it.
//
// The socket's file has mode 0600 from the moment it appears under its name. A path that is too long for a socket address gets the socket in a private
// directory under the system's temporary one, and a symbolic link in its place.
package door

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
)

// SocketFile is the name of the socket below the data directory.
const SocketFile = "pandoctl.sock"

// maxPath is what every system takes as the path of a socket address, with room for the end mark.
const maxPath = 100

// Listener is the server's end. Close removes the file.
type Listener struct {
	*net.UnixListener
	path string
	dir  string // private directory to remove, "" if the socket is at its place
}

// Listen makes the socket at its place below dir. What a dead process left there is replaced: the caller owns the directory.
func Listen(dir string) (*Listener, error) {
	path, err := filepath.Abs(filepath.Join(dir, SocketFile))
	if err != nil {
		return nil, err
	}
	if err := clean(path); err != nil {
		return nil, fmt.Errorf("remove the socket of an earlier process: %w", err)
	}
	l := &Listener{path: path}
	if runtime.GOOS == "windows" { // no file modes, and a bound socket cannot be renamed
		l.UnixListener, err = bind(path)
		return l, err
	}
	parent := filepath.Dir(path)
	if len(path)+len("/.pandoctl-0123456789") > maxPath {
		parent = ""
	}
	private, err := os.MkdirTemp(parent, ".pandoctl-") // mode 0700
	if err != nil {
		return nil, err
	}
	l.UnixListener, err = bind(filepath.Join(private, "s"))
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(private))
	}
	if parent == "" {
		l.dir = private
		err = os.Symlink(filepath.Join(private, "s"), path)
	} else {
		err = errors.Join(os.Rename(filepath.Join(private, "s"), path), os.Remove(private))
	}
	if err != nil {
		return nil, errors.Join(err, l.UnixListener.Close(), os.RemoveAll(private))
	}
	return l, nil
}

// bind listens at a path in a directory that nobody else may enter, and narrows the mode.
func bind(path string) (*net.UnixListener, error) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// clean removes a socket, or the link to one with its directory.
func clean(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		if target, err := os.Readlink(path); err == nil && filepath.Base(target) == "s" {
			_ = os.Remove(target) // may be gone with the temporary directory
			_ = os.Remove(filepath.Dir(target))
		}
	}
	return os.Remove(path)
}

// Path is where the socket is found.
func (l *Listener) Path() string { return l.path }

// Close stops listening and removes the socket.
func (l *Listener) Close() error {
	err := l.UnixListener.Close()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	err = errors.Join(err, os.Remove(l.path))
	if l.dir != "" {
		err = errors.Join(err, os.RemoveAll(l.dir))
	}
	return err
}

// Dial connects to the socket at a path.
func Dial(ctx context.Context, path string) (net.Conn, error) {
	if target, err := os.Readlink(path); err == nil {
		path = target
	}
	if len(path) > maxPath {
		if wd, err := os.Getwd(); err == nil {
			if short, err := filepath.Rel(wd, path); err == nil && len(short) < len(path) {
				path = short
			}
		}
	}
	var d net.Dialer
	return d.DialContext(ctx, "unix", path)
}
