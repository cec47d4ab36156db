package authsvc

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/pando-mq/pando/authsvc/acl"
)

// compileRetry is the pause after rules could not be read from the projection.
const compileRetry = 200 * time.Millisecond

// ruleset is one state of all rules, immutable.
type ruleset struct {
	builtin    *acl.Rules
	ids        []string // of the built-in rules
	file       *acl.Rules
	fileErr    error  // why the file could not be read at the last reload
	fileRead   uint64 // sequence of the acl_reload event up to which the file was read
	version    uint64 // of the projection's rules
	generation uint64
}

// rulebook compiles the rules whenever the projection has others. One
// goroutine writes it, everybody reads.
type rulebook struct {
	p       *projection
	path    string
	nomatch string
	log     *slog.Logger
	metrics *metrics

	defaults *acl.Rules  // of the seed
	holder   *acl.Holder // of the file; nil without one
	current  atomic.Pointer[ruleset]
	changed  signal
}

// open reads the rule file; without one the rules of the seed are in force.
func (b *rulebook) open() error {
	var err error
	if b.defaults, err = acl.Parse("default rules", []byte(acl.Default)); err != nil || b.path == "" {
		return err
	}
	b.holder, err = acl.Open(b.path)
	return err
}

// run keeps the rules compiled until ctx ends.
func (b *rulebook) run(ctx context.Context) {
	for {
		changed := b.p.changed.wait()
		wait := time.Duration(math.MaxInt64)
		if err := b.compile(ctx); err != nil && ctx.Err() == nil {
			b.log.Error("access rules cannot be compiled, the old ones stay", slog.Any("error", err))
			b.metrics.failures.WithLabelValues("rules").Inc()
			b.p.report(err)
			wait = compileRetry
		}
		retry := time.NewTimer(wait)
		select {
		case <-changed:
		case <-retry.C:
		case <-ctx.Done():
		}
		retry.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// compile puts the projection's rules in force, if they are others than those
// in force. While the projection is being filled the old ones stay.
func (b *rulebook) compile(ctx context.Context) error {
	old := b.current.Load()
	db := b.p.db.Load()
	version := db.RulesVersion()
	if !b.p.ready.Load() || old != nil && old.version == version {
		return nil
	}
	// Rules are read after their version: at worst they are newer than it says,
	// and compiled again.
	rows, err := db.Rules(ctx, "")
	if err != nil {
		return err
	}
	next := &ruleset{version: version, generation: version + 1, ids: make([]string, len(rows))}
	list := make([]acl.Row, len(rows))
	for i, r := range rows {
		next.ids[i], list[i] = r.ID, r.Row
	}
	if next.builtin, err = acl.FromRows(list); err != nil {
		return err
	}
	if old != nil && next.generation <= old.generation {
		next.generation = old.generation + 1 // the journal was replaced by a shorter one; doc.go
	}
	next.fileRead, _ = db.FileVersion()
	next.file, next.fileErr = b.readFile(old, next.fileRead)
	b.current.Store(next)
	b.metrics.generation.Set(float64(next.generation))
	b.changed.raise()
	return nil
}

// readFile reads the rule file again if an acl_reload event asks for it. With
// an error it returns the rules that stay in force.
func (b *rulebook) readFile(old *ruleset, version uint64) (*acl.Rules, error) {
	if b.holder == nil {
		return b.defaults, nil
	}
	if old != nil && old.fileRead == version {
		return old.file, old.fileErr
	}
	err := b.holder.Reload()
	if err != nil {
		b.log.Error("the access rule file is broken, the old rules stay", slog.String("file", b.path), slog.Any("error", err))
		b.metrics.failures.WithLabelValues("acl_file").Inc()
	}
	return b.holder.Rules(), err
}

// check reads the file without putting its rules in force, and returns their digest.
func (b *rulebook) check() (digest string, err error) {
	if b.holder == nil {
		return b.digest(), nil
	}
	h, err := acl.Open(b.path)
	if err != nil {
		return "", err
	}
	return digestOf(b.nomatch, h.Rules()), nil
}

// digest stands for all that decides about rules outside the journal: the file
// in force and acl_nomatch.
func (b *rulebook) digest() string {
	if b.holder == nil {
		return digestOf(b.nomatch, b.defaults)
	}
	return digestOf(b.nomatch, b.holder.Rules())
}

func digestOf(nomatch string, rules *acl.Rules) string {
	sum := sha256.Sum256([]byte(nomatch + "\n" + rules.String()))
	return hex.EncodeToString(sum[:])
}

// wait waits until rules of at least this version of the projection's are in force.
func (b *rulebook) wait(ctx context.Context, version uint64) (*ruleset, error) {
	var now *ruleset
	err := b.changed.until(ctx, func() bool {
		now = b.current.Load()
		return now != nil && now.version >= version
	})
	return now, err
}

// decide asks the built-in rules, then those of the file.
func (s *ruleset) decide(r acl.Request) (effect acl.Effect, source, rule string) {
	if d := s.builtin.Decide(r); d.Effect != acl.Ignore {
		if d.Rule < 0 {
			return d.Effect, "request", d.Text
		}
		return d.Effect, "builtin", "built-in rule " + strconv.Itoa(d.Rule) + " (" + s.ids[d.Rule] + "): " + d.Text
	}
	d := s.file.Decide(r)
	return d.Effect, "file", fmt.Sprintf("acl file line %d: %s", d.Line, d.Text)
}
