package flood

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// variable tells a process started by Start which flood it is, and where it goes.
const variable = "PANDO_FLOOD"

// Process is a flood in a process of its own. It has a lower priority than the witnesses and the server: it stands for others' machines, whose processors the
// server does not have to share, and what it does to the witnesses has to go through the server.
type Process struct {
	cmd *exec.Cmd
	in  io.Closer
	out io.Reader
}

// Start starts flood i of Floods. The running program has to call Main.
func Start(i int, addr string) (*Process, error) {
	cmd := exec.Command("nice", "-n", "5", os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %s", variable, i, addr))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &Process{cmd: cmd, in: in, out: out}, cmd.Start()
}

// Stop ends the flood and returns how much of it was tried and done.
func (p *Process) Stop() (tried, done int64, err error) {
	_ = p.in.Close() // the process ends then
	_, err = fmt.Fscan(p.out, &tried, &done)
	if wait := p.cmd.Wait(); err == nil {
		err = wait
	}
	return tried, done, err
}

// Main is the flood if the process was started to be one, and reports whether it was.
func Main() bool {
	number, addr, ok := strings.Cut(os.Getenv(variable), " ")
	if !ok {
		return false
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // until Stop, or the end of whoever started it
		cancel()
	}()
	var t Tally
	if i, err := strconv.Atoi(number); err == nil && i < len(Floods()) {
		Floods()[i].Run(ctx, addr, &t)
	}
	fmt.Println(t.Tried.Load(), t.Done.Load())
	return true
}
