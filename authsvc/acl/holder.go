package acl

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Holder keeps the rules of one file and reads it again on demand. Rules costs
// one atomic load; everything else may be called concurrently with it.
type Holder struct {
	path  string
	rules atomic.Pointer[Rules]
	calls atomic.Uint64 // reloads begun

	mu     sync.Mutex // guards what follows, never held while reading the file
	last   uint64     // the call whose outcome is in status
	sum    [sha256.Size]byte
	status Status
}

// Status says which rules are in force and how the last reload ended.
type Status struct {
	Path       string
	Rules      int       // number of rules in force
	Generation uint64    // counts the changes of the rules, from 1
	Loaded     time.Time // when the rules in force were last read
	Failed     time.Time // when the last reload failed; zero if it did not
	Err        error     // why it failed; nil if it did not
}

// Open reads the rule file at path. It fails if the file cannot be read or is
// not a rule file (§6.12: a syntax error stops the start).
func Open(path string) (*Holder, error) {
	h := &Holder{path: path, status: Status{Path: path}}
	if err := h.Reload(); err != nil {
		return nil, err
	}
	return h, nil
}

// Rules returns the rules in force, never nil.
func (h *Holder) Rules() *Rules { return h.rules.Load() }

// Status returns a copy of the current status.
func (h *Holder) Status() Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.status
}

// Reload reads the file again and puts its rules in force at once for all
// callers. On any error the old rules stay, the status says why, and the error
// is returned. An unchanged file keeps its generation.
func (h *Holder) Reload() error {
	call := h.calls.Add(1)
	src, err := readFile(h.path)
	var rules *Rules
	if err == nil {
		rules, err = Parse(h.path, src)
	}
	if err != nil {
		err = fmt.Errorf("load acl rules: %w", err)
	}
	h.publish(call, sha256.Sum256(src), rules, err)
	return err
}

// publish records the outcome of a reload unless a later one has been recorded.
func (h *Holder) publish(call uint64, sum [sha256.Size]byte, rules *Rules, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if call < h.last {
		return
	}
	h.last = call
	now := time.Now()
	if err != nil {
		h.status.Failed, h.status.Err = now, err
		return
	}
	if h.status.Generation == 0 || sum != h.sum {
		h.rules.Store(rules)
		h.sum = sum
		h.status.Generation++
	}
	h.status.Rules, h.status.Loaded = rules.Len(), now
	h.status.Failed, h.status.Err = time.Time{}, nil
}

// readFile reads a regular file of at most maxFile bytes and makes sure that
// nobody wrote to it meanwhile. It opens nothing that could block (a FIFO).
func readFile(path string) ([]byte, error) {
	before, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !before.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	if before.Size() > maxFile {
		return nil, fmt.Errorf("%s: more than %d bytes", path, maxFile)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	src, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	after, statErr := f.Stat()
	if err = errors.Join(err, statErr, f.Close()); err != nil {
		return nil, err
	}
	if after.Size() != int64(len(src)) || before.Size() != after.Size() || !before.ModTime().Equal(after.ModTime()) {
		return nil, fmt.Errorf("%s: changed while it was read", path)
	}
	return src, nil
}
