package run

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// tailBytes of the log file are quoted when a daemon dies while it starts.
const tailBytes = 2048

// Daemon describes a program that is started in the background.
type Daemon struct {
	Path    string   // Path of the program; empty means this program.
	Args    []string // Args without the program's name.
	Dir     string   // Dir is the working directory; empty means the current one.
	Env     []string // Env in the form of os.Environ; nil means the current one.
	LogFile string   // LogFile gets standard output and error, appended; required.
	// Ready is asked every 50 ms whether the daemon serves; nil means that it
	// counts as ready once it is started. Its last error explains a timeout.
	Ready func(ctx context.Context) error
}

// StartDaemon starts the program in a session of its own and waits until it is
// ready. It returns its process id. If the program ends before it is ready,
// the error has its exit status and the last lines of the log file. If the
// context ends first, the program is left running and the error says so.
func StartDaemon(ctx context.Context, d Daemon) (int, error) {
	cmd, logFile, offset, err := d.command()
	if err != nil {
		return 0, fmt.Errorf("start daemon: %w", err)
	}
	err = cmd.Start()
	if err = errors.Join(err, logFile.Close()); err != nil {
		return 0, fmt.Errorf("start daemon: %w", err)
	}
	// This goroutine ends with the child; it belongs to the process, which for
	// a program that starts daemons is a short one.
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	return cmd.Process.Pid, d.await(ctx, cmd.Process.Pid, exited, offset)
}

func (d Daemon) command() (*exec.Cmd, *os.File, int64, error) {
	path := d.Path
	if path == "" {
		self, err := os.Executable()
		if err != nil {
			return nil, nil, 0, err
		}
		path = self
	}
	if err := os.MkdirAll(filepath.Dir(d.LogFile), 0o750); err != nil {
		return nil, nil, 0, err
	}
	f, err := os.OpenFile(d.LogFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, nil, 0, err
	}
	offset, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, nil, 0, errors.Join(err, f.Close())
	}
	// Not CommandContext: the daemon outlives the context of its start.
	cmd := exec.Command(path, d.Args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = d.Dir, d.Env, f, f
	detach(cmd)
	return cmd, f, offset, nil
}

func (d Daemon) await(ctx context.Context, pid int, exited <-chan error, offset int64) error {
	if d.Ready == nil {
		return nil
	}
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	var notReady error
	for {
		select {
		case status := <-exited:
			err := fmt.Errorf("the daemon ended while starting (%s); %s says:\n%s", ended(status), d.LogFile, tail(d.LogFile, offset))
			var exit *exec.ExitError
			if errors.As(status, &exit) && exit.ExitCode() > 0 {
				return WithCode(exit.ExitCode(), err)
			}
			return err
		case <-ctx.Done():
			return fmt.Errorf("process %d is not ready yet and goes on starting, see %s: %w (%w)", pid, d.LogFile, ctx.Err(), notReady)
		case <-tick.C:
			if notReady = d.Ready(ctx); notReady == nil {
				return nil
			}
		}
	}
}

func ended(status error) string {
	if status == nil {
		return "exit status 0"
	}
	return status.Error()
}

// tail returns the end of what was written after the offset, from the begin of a line when something had to be left out.
func tail(path string, offset int64) []byte {
	f, err := os.Open(path)
	if err != nil {
		return []byte(err.Error())
	}
	defer f.Close()
	cut := false
	if info, err := f.Stat(); err == nil && info.Size()-tailBytes > offset {
		offset, cut = info.Size()-tailBytes, true
	}
	b, err := io.ReadAll(io.NewSectionReader(f, offset, tailBytes))
	if err != nil {
		return []byte(err.Error())
	}
	if end := bytes.IndexByte(b, '\n'); cut && end >= 0 && end+1 < len(b) {
		b = b[end+1:]
	}
	return bytes.TrimSpace(b)
}
