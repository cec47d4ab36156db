//go:build !linux

package transport

import "errors"

// loopsExist says whether this system has event loops here.
const loopsExist = false

// loop does not exist here.
type loop struct{}

func newLoop(*loopGroup) (*loop, error) { return nil, errors.ErrUnsupported }

func (*loop) run()                       {}
func (*loop) stop()                      {}
func (*loop) close()                     {}
func (*loop) members(*Listener) []member { return nil }

// toLoop leaves the connection where it is.
func (*conn) toLoop() bool { return false }
