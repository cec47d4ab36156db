package sessionstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	sessionstore "github.com/pando-mq/pando/session-store"

	"github.com/pando-mq/pando/services/broker"
)

// populate fills partition 0 with one of everything.
func (w *world) populate() (g *gateway, all []*device) {
	g = w.gateway("g1")
	g2 := w.gateway("g2")
	ids := names(5)
	for i, id := range ids {
		d := g.connect(id, options{expiry: time.Hour, window: 2, will: will(time.Duration(i) * time.Minute)})
		d.subscribe("a/#", broker.QoS(i%3))
		d.subscribe("$share/g/s", 2)
		all = append(all, d)
	}
	s := w.sourceTo(ids[0])
	for i := range 6 {
		m := message("a/b", fmt.Sprint(i), 2)
		m.Props = &broker.Properties{User: []broker.UserProperty{{Key: "k", Value: "v"}}}
		s.must(m)
	}
	all[2].ack(1, broker.AckPubrec)
	w.router.set(func(r *router) { r.refuse = true })
	all[1].must(all[1].publish2(3, "t", "x"))
	all[3].detach(broker.Detach{Reason: "closed"})
	g2.connect(ids[4], options{expiry: time.Hour, will: will(0)})
	w.tier.setRefuse(true)
	s.must(message("s", "elsewhere", 1), copyFor(at(1, 5, 5)))
	w.gateway("g3").gone()
	settle()
	return g, all
}

func TestSnapshotRoundTrip(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.populate()
		state, _ := w.store.State(0)
		again, err := sessionstore.Decode(state, topics)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(state, again) {
			t.Fatal("the state read is not the state written")
		}
	})
}

// A snapshot with the log after it gives the same state as the whole log.
func TestSnapshotAndReplay(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g, all := w.populate()
		w.store.Snapshot(0)
		settle()
		if info, _ := w.faults.Info(w.t.Context(), "SS_0"); info.First < 2 {
			t.Fatalf("the log was not cut: %+v", info)
		}
		all[0].must(all[0].publish2(9, "t", "y"))
		w.fail()
		g.open()
		w.tier.setRefuse(false)
		w.router.set(func(r *router) { r.refuse = false })
		settleLong()
		got := w.router.published()
		w.want("routed", got[:2], "t=x", "t=y")
		for _, d := range all[:3] {
			if r := d.announce(); r.Err != nil {
				t.Fatal(r.Err)
			}
		}
		if got := g.take(); len(onlyPublishes(got)) < 4 {
			t.Fatalf("pushes %v", got)
		}
		w.fail()
	})
}

// The log is cut by itself when it has grown.
func TestSnapshotWhenDue(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.stopStore()
		w.snapshotAfter = 1 << 20
		w.startStore()
		g := w.gateway("g1")
		d := g.connect("c", options{expiry: time.Hour})
		d.subscribe("a", 1)
		s := w.sourceTo("c")
		payload := string(make([]byte, 100<<10))
		for i := range 30 {
			s.must(message("a", payload, 1))
			d.ack(uint64(i+1), broker.AckPuback)
			g.take()
		}
		settleLong()
		if info, _ := w.faults.Info(w.t.Context(), logOf("c")); info.First < 2 || info.Bytes > 2<<20 {
			t.Fatalf("the log was not cut: %+v", info)
		}
		w.fail()
	})
}

func TestDecodersRefuse(t *testing.T) {
	t.Parallel()
	for name, b := range map[string][]byte{"empty": nil, "version": {9, 1}, "kind": {1, 200}, "short": {1, 1, 3}} {
		if _, err := sessionstore.Recode(b); !errors.Is(err, sessionstore.ErrCorrupt) {
			t.Errorf("event %s: %v", name, err)
		}
		if _, err := sessionstore.Decode(b, topics); !errors.Is(err, sessionstore.ErrCorrupt) {
			t.Errorf("snapshot %s: %v", name, err)
		}
	}
	later := []byte{9, 1} // by another version of the program: the error says so
	_, event := sessionstore.Recode(later)
	_, snapshot := sessionstore.Decode(later, topics)
	for what, err := range map[string]error{"event": event, "snapshot": snapshot} {
		if !strings.Contains(fmt.Sprint(err), what+" of version 9, this program knows version 1") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
