package sessionstore_test

import (
	"testing"
	"time"

	"github.com/pando-mq/pando/services/broker"
)

// session.terminated is run once for each persistent session that ends, by whoever ends it and once that is durable; neither a fail-over nor a replay runs it, nor
// a connection that leaves its session. (emq2.md §5.5)
func TestTerminatedHook(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		g.connect("c", persistent).leave()
		w.fail()
		g.open()
		w.want("of a session that is away", w.terminations())

		clean := persistent
		clean.clean = true
		g.connect("c", clean)
		w.want("after a clean start", w.terminations(), "c user-c discarded")
		if err := w.store.Drop(t.Context(), "", "c"); err != nil {
			t.Fatal(err)
		}
		w.want("after an operator's end", w.terminations(), "c user-c dropped")

		g.connect("c", persistent).leave()
		time.Sleep(persistent.expiry - time.Second)
		w.want("before its time", w.terminations())
		time.Sleep(2 * time.Second)
		w.want("after its time", w.terminations(), "c user-c expired")

		g.connect("c", persistent).detach(broker.Detach{Reason: "normal", HasExpiry: true, At: time.Now()})
		w.want("after a last expiry of 0", w.terminations(), "c user-c normal")
		w.fail()
		g.open()
		w.want("after a fail-over", w.terminations())

		g.connect("c", options{expiry: time.Hour, will: will(0)})
		g.gone()
		w.want("of a gateway that is gone", w.terminations())
	})
}

// A hook that hears of it may ask the session-store: it is called without a lock. What is not durable is not told.
func TestTerminatedHookWaitsForTheLog(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		g.connect("c", persistent).leave()
		held, release := w.faults.Hold(logOf("c"))
		done := make(chan error)
		go func() { done <- w.store.Drop(t.Context(), "", "c") }()
		<-held
		w.want("before it is durable", w.terminations())
		release()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		w.want("when it is durable", w.terminations(), "c user-c dropped")
	})
}
