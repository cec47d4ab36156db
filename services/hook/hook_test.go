package hook_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/hook"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type (
	chain = hook.Chain[string, string]
	reg   = hook.Hook[string, string]
)

// says makes a hook that appends its name to the accumulator and answers v.
func says(name string, v hook.Verdict) reg {
	return reg{Name: name, Run: func(_, acc string) (string, hook.Verdict) { return acc + name, v }}
}

// later is says with an answer from another goroutine.
func later(name string, v hook.Verdict, wg *sync.WaitGroup) reg {
	return reg{Name: name, Ask: func(_, acc string, answer func(string, hook.Verdict)) {
		wg.Go(func() {
			answer(acc+name, v)
			answer("twice", hook.StopWith)
		})
	}}
}

// run runs a chain and waits for the outcome.
func run(c *chain, acc string) (string, hook.Result) {
	type outcome struct {
		acc string
		r   hook.Result
	}
	done := make(chan outcome, 2)
	got, r, ready := c.Run("args", acc, func(acc string, r hook.Result) { done <- outcome{acc, r} })
	if !ready {
		o := <-done
		return o.acc, o.r
	}
	return got, r
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		verdict []hook.Verdict
		acc     string
		result  hook.Result
	}{
		{"no hook", nil, "-", hook.Passed},
		{"ok", []hook.Verdict{hook.OK, hook.OK}, "-", hook.Passed},
		{"ok with", []hook.Verdict{hook.OKWith, hook.OK, hook.OKWith}, "-ac", hook.Passed},
		{"stop", []hook.Verdict{hook.OKWith, hook.Stop, hook.OKWith}, "-a", hook.Stopped},
		{"stop with", []hook.Verdict{hook.OKWith, hook.StopWith, hook.OKWith}, "-ab", hook.Stopped},
		{"anything else", []hook.Verdict{99, hook.OKWith}, "-b", hook.Passed},
	}
	for _, tt := range tests {
		for _, late := range []int{-1, 0, 1} { // which hook answers late
			var c chain
			var wg sync.WaitGroup
			for i, v := range tt.verdict {
				name := string(rune('a' + i))
				h := says(name, v)
				if i == late {
					h = later(name, v, &wg)
				}
				if err := c.Add(h); err != nil {
					t.Fatal(err)
				}
			}
			if acc, r := run(&c, "-"); acc != tt.acc || r != tt.result {
				t.Errorf("%s, late %d: %q %v, want %q %v", tt.name, late, acc, r, tt.acc, tt.result)
			}
			wg.Wait()
		}
	}
}

func TestRegistration(t *testing.T) {
	t.Parallel()
	var c chain
	for i, p := range []int{5, 0, -1, 0, 5} {
		h := says(fmt.Sprint(i), hook.OKWith)
		h.Priority, h.Tag = p, []string{"even", "odd"}[i%2]
		if err := c.Add(h); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(c.Names(), ""); got != "21304" {
		t.Fatalf("order %s", got)
	}
	if err := c.Add(says("3", hook.OK)); !errors.Is(err, hook.ErrHooked) || !strings.Contains(err.Error(), "already_hooked") {
		t.Errorf("added twice: %v", err)
	}
	if err := c.Remove("9"); !errors.Is(err, hook.ErrNotFound) || !strings.Contains(err.Error(), "not_found") {
		t.Errorf("removed an unknown one: %v", err)
	}
	for _, h := range []reg{{}, {Name: "x"}, {Run: says("x", 0).Run}} {
		if err := c.Add(h); !errors.Is(err, hook.ErrInvalid) {
			t.Errorf("added %+v: %v", h, err)
		}
	}
	if n := c.RemoveTag("odd"); n != 2 {
		t.Errorf("%d removed", n)
	}
	if err := c.Remove("2"); err != nil {
		t.Error(err)
	}
	if acc, _ := run(&c, ""); acc != "04" {
		t.Errorf("left: %s", acc)
	}
	if c.RemoveTag("even"); !c.Empty() || !slices.Equal(c.Names(), []string{}) {
		t.Error("not empty")
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		hook reg
		want hook.Failures
	}{
		{"panic", reg{Run: func(string, string) (string, hook.Verdict) { panic("x") }}, hook.Failures{Panics: 1}},
		{"panic of a late one", reg{Ask: func(string, string, func(string, hook.Verdict)) { panic("x") }}, hook.Failures{Panics: 1}},
		{"slow", reg{Run: func(_, acc string) (string, hook.Verdict) {
			time.Sleep(2 * time.Second)
			return "slow", hook.OKWith
		}}, hook.Failures{Timeouts: 1}},
		{"no answer", reg{Ask: func(string, string, func(string, hook.Verdict)) {}}, hook.Failures{Timeouts: 1}},
		{"answer too late", reg{Ask: func(_, _ string, answer func(string, hook.Verdict)) {
			time.AfterFunc(2*time.Second, func() { answer("late", hook.OKWith) })
		}}, hook.Failures{Timeouts: 1}},
	}
	for _, tt := range tests {
		for _, refuse := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s refuse %v", tt.name, refuse), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var c chain
					h := tt.hook
					h.Name, h.Timeout, h.Refuse = "bad", time.Second, refuse
					if err := errors.Join(c.Add(h), c.Add(says("good", hook.OKWith))); err != nil {
						t.Fatal(err)
					}
					acc, r := run(&c, "-")
					want, result, failures := "-good", hook.Passed, tt.want
					if refuse {
						want, result, failures.Refused = "-", hook.Refused, 1
					}
					if acc != want || r != result {
						t.Errorf("%q %v, want %q %v", acc, r, want, result)
					}
					time.Sleep(5 * time.Second) // the late answer comes, and changes nothing
					if got := c.Failures(); got != failures {
						t.Errorf("counted %+v, want %+v", got, failures)
					}
				})
			})
		}
	}
}

func TestChangesDuringARun(t *testing.T) {
	t.Parallel()
	var c chain
	err := c.Add(reg{Name: "a", Run: func(_, acc string) (string, hook.Verdict) {
		if err := errors.Join(c.Remove("b"), c.Add(says("c", hook.OKWith))); err != nil {
			t.Error(err)
		}
		return acc, hook.OK
	}})
	if err := errors.Join(err, c.Add(says("b", hook.OKWith))); err != nil {
		t.Fatal(err)
	}
	if acc, _ := run(&c, ""); acc != "b" {
		t.Errorf("the run under way gave %q", acc)
	}
}

func TestNoHookNoAllocation(t *testing.T) {
	var chains hook.Chains
	id, m := &broker.Identity{}, &broker.Message{}
	done := func(*broker.Message, hook.Result) {}
	if n := testing.AllocsPerRun(100, func() { chains.MessagePublish.Run(id, m, done) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if chains.RemoveTag("x") != 0 {
		t.Error("removed something")
	}
}

func BenchmarkRun(b *testing.B) {
	for _, n := range []int{0, 1, 3} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var c chain
			for i := range n {
				if err := c.Add(reg{Name: fmt.Sprint(i), Run: func(_, acc string) (string, hook.Verdict) { return acc, hook.OK }}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				c.Run("", "", nil)
			}
		})
	}
}
