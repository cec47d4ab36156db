//go:build unix

package boot

import "syscall"

// openFiles is how many files and sockets this process may have open; the Go runtime has raised the soft limit to the hard one.
func openFiles() uint64 {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 1024
	}
	return uint64(l.Cur)
}
