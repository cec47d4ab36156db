package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// tick is the unit of times in /proc/<pid>/stat: USER_HZ is 100 on every machine that Go knows.
const tick = 10 * time.Millisecond

// Group is one broker: one process, or several.
type Group []int

// CPU is the time that all of them spent, user and system.
func (g Group) CPU() (time.Duration, error) {
	var sum time.Duration
	for _, pid := range g {
		t, err := cpu(pid)
		if err != nil {
			return 0, err
		}
		sum += t
	}
	return sum, nil
}

func cpu(pid int) (time.Duration, error) {
	name := fmt.Sprintf("/proc/%d/stat", pid)
	text, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	// The name of the program stands in brackets and may hold anything; utime and stime are the 14th and 15th fields.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 13 {
		return 0, errors.New(name + " is too short")
	}
	user, err1 := strconv.ParseInt(string(fields[11]), 10, 64)
	system, err2 := strconv.ParseInt(string(fields[12]), 10, 64)
	return time.Duration(user+system) * tick, errors.Join(err1, err2)
}

// Memory in bytes.
type Memory struct {
	RSS       int64 `json:"rss"`       // VmRSS: resident, with shared pages and files
	Anonymous int64 `json:"anonymous"` // of smaps_rollup: heap and stacks
	PSS       int64 `json:"pss"`       // of smaps_rollup: shared pages divided by those who share them
}

// Memory of all of them together.
func (g Group) Memory() (Memory, error) {
	var m Memory
	for _, pid := range g {
		rss, err1 := field(fmt.Sprintf("/proc/%d/status", pid), "VmRSS:")
		pss, err2 := field(fmt.Sprintf("/proc/%d/smaps_rollup", pid), "Pss:")
		anonymous, err3 := field(fmt.Sprintf("/proc/%d/smaps_rollup", pid), "Anonymous:")
		if err := errors.Join(err1, err2, err3); err != nil {
			return Memory{}, err
		}
		m.RSS, m.PSS, m.Anonymous = m.RSS+rss, m.PSS+pss, m.Anonymous+anonymous
	}
	return m, nil
}

// field is a line "Name:  123 kB" of a file, in bytes.
func field(file, name string) (int64, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kb << 10, err
		}
	}
	return 0, fmt.Errorf("%s has no line %s", file, name)
}

// Own is the CPU time of this process, exact to the microsecond.
func Own() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// RaiseFiles raises the limit of open files to what the system permits and returns it.
func RaiseFiles() (uint64, error) {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return 0, err
	}
	r.Cur = r.Max
	return r.Cur, unix.Setrlimit(unix.RLIMIT_NOFILE, &r)
}
