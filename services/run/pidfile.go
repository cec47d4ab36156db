package run

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	// pollEvery is how often the state of another process is looked at.
	pollEvery = 50 * time.Millisecond
	// A process that asks who runs holds the lock for some microseconds; these
	// keep a start from mistaking it for the owner.
	lockTries = 5
	lockPause = 20 * time.Millisecond
)

// RunningError says that another process holds the pid file, and so the data
// directory beside it.
type RunningError struct {
	Path string // Path of the pid file.
	Pid  int    // Pid of the holder; 0 when it has not written it yet.
}

// Error names the other process and says what to do.
func (e *RunningError) Error() string {
	return fmt.Sprintf("already running as process %d (%s is locked): stop it first, or choose another data directory", e.Pid, e.Path)
}

// ErrNotRunning says that no process holds the pid file.
var ErrNotRunning = errors.New("not running")

// PidFile is a locked file that holds the id of this process. The lock, not
// the number, decides who runs: it goes away with the process however that
// dies, so a stale file never blocks a start and a recycled process id is
// never signalled.
type PidFile struct {
	path string
	file *os.File
}

// LockPid creates the directory and the file if needed, locks it and writes the
// id of this process. It returns a *RunningError if another process holds it.
func LockPid(path string) (*PidFile, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, fmt.Errorf("lock pid file: %w", err)
	}
	f, err := openLocked(path)
	for n := 0; errors.Is(err, errLocked) && n < lockTries; n++ {
		time.Sleep(lockPause)
		f, err = openLocked(path)
	}
	if errors.Is(err, errLocked) {
		pid, _ := readPid(path)
		return nil, &RunningError{Path: path, Pid: pid}
	}
	if err != nil {
		return nil, fmt.Errorf("lock pid file: %w", err)
	}
	if err := errors.Join(f.Truncate(0), writePid(f)); err != nil {
		return nil, errors.Join(fmt.Errorf("write pid file: %w", err), f.Close())
	}
	return &PidFile{path: path, file: f}, nil
}

func writePid(f *os.File) error {
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// Close empties the file and gives up the lock. The file stays: removing it
// would let two processes lock two files of one name.
func (p *PidFile) Close() error {
	return errors.Join(p.file.Truncate(0), p.file.Close())
}

// Path of the pid file.
func (p *PidFile) Path() string { return p.path }

// Running returns the id of the process that holds the pid file, or
// ErrNotRunning. The id is 0 while the holder is just starting or stopping.
func Running(path string) (int, error) {
	held, err := isLocked(path)
	if errors.Is(err, fs.ErrNotExist) || (err == nil && !held) {
		return 0, ErrNotRunning
	}
	if err != nil {
		return 0, fmt.Errorf("look at pid file: %w", err)
	}
	return readPid(path)
}

func readPid(path string) (int, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	text := strings.TrimSpace(string(b))
	if text == "" {
		return 0, nil
	}
	pid, err := strconv.Atoi(text)
	if err != nil || pid <= 0 {
		return 0, fmt.Errorf("pid file %s holds %.20q, which is no process id", path, text)
	}
	return pid, nil
}

// Shutdown asks the holder of the pid file to drain and waits until it has let
// go of the file. It returns ErrNotRunning if there is none, and the context's
// error if it is still there at the end of the context. On Windows, which has
// no signal for it, the process is ended without a drain.
func Shutdown(ctx context.Context, path string) error {
	if _, err := Running(path); err != nil {
		return err
	}
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for asked := 0; ; {
		pid, err := Running(path)
		if errors.Is(err, ErrNotRunning) {
			return nil
		}
		if err != nil {
			return err
		}
		if pid != 0 && pid != asked {
			if err := Terminate(pid); err != nil {
				return fmt.Errorf("stop process %d: %w", pid, err)
			}
			asked = pid
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("process %d is still draining: %w", pid, ctx.Err())
		}
	}
}
