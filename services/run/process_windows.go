package run

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

const (
	errSharingViolation syscall.Errno = 32         // ERROR_SHARING_VIOLATION
	createNewGroup                    = 0x00000200 // CREATE_NEW_PROCESS_GROUP
	detachedProcess                   = 0x00000008 // DETACHED_PROCESS
)

// errLocked says that another process holds the lock.
var errLocked = errors.New("locked by another process")

// openLocked opens the file without sharing it for writing: that is the lock.
func openLocked(path string) (*os.File, error) {
	name, err := syscall.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	h, err := syscall.CreateFile(name, syscall.GENERIC_READ|syscall.GENERIC_WRITE,
		syscall.FILE_SHARE_READ, nil, syscall.OPEN_ALWAYS, syscall.FILE_ATTRIBUTE_NORMAL, 0)
	if errors.Is(err, errSharingViolation) {
		return nil, errLocked
	}
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(h), path), nil
}

// isLocked tries to open the file for writing.
func isLocked(path string) (bool, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, errSharingViolation) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return false, f.Close()
}

// Terminate ends a process: Windows has no signal that asks for a drain.
func Terminate(pid int) error { return Kill(pid) }

// Kill ends a process at once. One that has already ended is no error.
func Kill(pid int) error {
	p, err := os.FindProcess(pid)
	if err != nil {
		return nil // it cannot be opened any more
	}
	err = p.Kill()
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	return errors.Join(err, p.Release())
}

// detach frees the child from this process's console.
func detach(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{CreationFlags: createNewGroup | detachedProcess}
}
