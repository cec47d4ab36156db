//go:build !unix

package transport

import "syscall"

// tryRead is not possible here: the caller reads with a buffer in hand.
func tryRead(syscall.RawConn, *inbuf, *pool, int) (n int, ok bool, err error) { return 0, false, nil }

// tryWrite is not possible here: the writer's goroutine does it.
func tryWrite(syscall.RawConn, []byte, *pool) (n int, ok bool, err error) { return 0, false, nil }

// setBacklog does nothing: the system's default stays.
func setBacklog(syscall.RawConn, int) error { return nil }
