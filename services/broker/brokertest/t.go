package brokertest

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/pando-mq/pando/services/broker"
)

// T is what a suite needs of a test: a *testing.T, or something that records what fails.
type T interface {
	Helper()
	Name() string
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any) // does not return
	Cleanup(fn func())
	Context() context.Context // ends before the functions given to Cleanup are called
	Parallel()
	Run(name string, fn func(T)) bool
}

// tested is a *testing.T as a T.
type tested struct{ *testing.T }

// Run implements T.
func (t tested) Run(name string, fn func(T)) bool {
	return t.T.Run(name, func(t *testing.T) { fn(tested{t}) })
}

// sentence is one sentence of a contract comment, and what must be seen if it holds.
type sentence[H any] struct {
	quote string
	check func(t T, h H)
}

// runSentences checks each sentence on an implementation of its own.
func runSentences[H any](t T, open func(T) H, lists ...[]sentence[H]) {
	t.Helper()
	for _, list := range lists {
		for _, s := range list {
			t.Run(s.quote, func(t T) {
				t.Parallel()
				s.check(t, open(t))
			})
		}
	}
}

// opener makes an open function for a *testing.T one for any T that runs on a *testing.T.
func opener[H any](open func(*testing.T) H) func(T) H {
	return func(t T) H { return open(t.(tested).T) }
}

// nowhere is a partition that nobody has: the highest number that a request may carry between processes.
const nowhere = 4095

// need fails a sentence whose harness lacks a capability.
func need(t T, has bool, field string) {
	t.Helper()
	if !has {
		t.Fatalf("the harness has no %s, which this sentence needs", field)
	}
}

// numbered gives every process that a suite starts an id of its own.
func numbered(start func(id string) broker.NodeRef) func(id string) broker.NodeRef {
	var n atomic.Uint64
	return func(id string) broker.NodeRef { return start(id + "-" + strconv.FormatUint(n.Add(1), 10)) }
}
