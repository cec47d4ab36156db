package router_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pando-mq/pando/router"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
)

func discOnly(w *world) { w.retained.Storage = router.StorageDiscOnly }

// files are those of a router.
func (w *world) files(id string) []string {
	w.t.Helper()
	list, err := filepath.Glob(filepath.Join(w.dir, id, "*"))
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

// The payloads are in the files, one for each partition, and whatever an earlier run left there is removed; so are they when the router stops.
func TestDiscOnlyKeepsFilesForItsLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left := ""
		w := start(t, discOnly, func(w *world) {
			left = filepath.Join(w.dir, "r1", "RT_0-left")
			if err := os.MkdirAll(filepath.Dir(left), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(left, []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		})
		w.put(w.gateway("g1"), "r/1", "a payload on disc")
		holds := 0
		for _, name := range w.files("r1") {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(b), "a payload on disc") {
				holds++
			}
		}
		if _, err := os.Stat(left); err == nil || holds != 1 || len(w.files("r1")) != 16 {
			t.Errorf("%d files hold the payload; there are %v", holds, w.files("r1"))
		}
		if err := w.router.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if list := w.files("r1"); len(list) > 0 {
			t.Errorf("left behind: %v", list)
		}
	})
}

// A file that does not hold any more what was written is made anew from the log, and until then nobody gets something else.
func TestDiscOnlyMakesABrokenFileAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, discOnly)
		g := w.gateway("g1")
		w.put(g, "r/1", "one")
		w.put(g, "r/2", "two")
		for _, name := range w.files("r1") {
			if err := os.Truncate(name, 0); err != nil {
				t.Fatal(err)
			}
		}
		err := w.router.ReadRetained(t.Context(), broker.RetainedQuery{Filter: "r/1"}, func(batch []*broker.Message) error {
			t.Errorf("got %v of a broken file", batch[0])
			return nil
		})
		if broker.KindOf(err) != broker.KindUnavailable {
			t.Errorf("read of a broken file: %v", err)
		}
		elapse(10 * time.Second)
		if got := w.read("r/1"); !slices.Equal(got, []string{"r/1=one"}) {
			t.Errorf("found %v", got)
		}
		w.put(g, "r/1", "new")
		if got := w.read("r/1"); !slices.Equal(got, []string{"r/1=new"}) {
			t.Errorf("found %v after it was made anew", got)
		}
	})
}

// Without a directory there is no such storage.
func TestDiscOnlyNeedsADirectory(t *testing.T) {
	t.Parallel()
	cfg, ret := router.Default()
	ret.Storage = router.StorageDiscOnly
	if _, err := router.New(cfg, ret, router.Deps{}); err == nil || !strings.Contains(err.Error(), "Dir") {
		t.Errorf("%v", err)
	}
}

// Readers of a topic that is replaced all the time get one of its values, never a mixture or a neighbour's.
func TestDiscOnlyReadsWhatWasWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, discOnly)
		n := cluster.Partition("", "x/1", 16)
		s, err := w.router.OpenDeliver(t.Context(), broker.DeliverOpen{Topic: 5, TopicEpoch: 1000, Partition: n}, func([]broker.DeliverAck) {})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := range 3000 {
				text := strings.Repeat(fmt.Sprint(i%10), 100+i%7*100)
				if err := s.Send([]broker.Delivery{{
					Source: broker.Source{Kind: broker.FromSession, Topic: 5}, Seq: uint64(i + 1), Msg: &broker.Message{Topic: "x/1", Payload: []byte(text)},
				}}); err != nil {
					t.Error(err)
					return
				}
			}
		}()
		for over := false; !over; {
			select {
			case <-done:
				over = true
			default:
			}
			for _, got := range w.read("x/+") {
				text := strings.TrimPrefix(got, "x/1=")
				if text == got || strings.Trim(text, text[:1]) != "" || len(text)%100 != 0 {
					t.Fatalf("read %.80q", got)
				}
			}
		}
		if got := w.read("x/1"); len(got) != 1 || got[0] != "x/1="+strings.Repeat("9", 100+2999%7*100) {
			t.Errorf("the last is %v", got)
		}
	})
}
