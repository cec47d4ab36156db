package journaltest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/pando-mq/pando/services/journal"
)

// random lets two owners take turns, each time with a higher epoch, while the older one goes on as long as it can, and faults hit both. The
// model is the list of events that were acknowledged: every one is replayed, once, in the order in which its owner appended it, and before
// those of later owners. A follower never has anything else than a beginning of that.
func random(t *testing.T, e *env, seed uint64) {
	e.opts.SnapshotAfter = 300
	rnd := rand.New(rand.NewPCG(seed, 1))
	var owners []*owner
	newOwner := func() {
		o := &owner{epoch: uint64(len(owners) + 1), results: newResults()}
		l, err := e.try(t.Context(), o.epoch, &o.machine)
		if err != nil {
			t.Fatal(err)
		}
		stop(t, l)
		o.log = l
		owners = append(owners, o)
	}
	newOwner()
	follower := e.follow(t, e.Streams)
	var late []func()
	for range 150 {
		o := owners[len(owners)-1]
		if len(owners) > 1 && rnd.IntN(4) == 0 {
			o = owners[len(owners)-2]
		}
		switch rnd.IntN(12) {
		case 0:
			e.Drop(e.name)
		case 1:
			e.LoseAnswer(e.name)
		case 2:
			land := e.Late(e.name)
			late = append(late, func() { _ = land(t.Context()) }) // refused or not: the model decides
		case 3:
			if len(late) > 0 {
				late[0]()
				late = late[1:]
			}
		case 4:
			if err := e.Fence(t.Context(), e.name, uint64(1+rnd.IntN(len(owners)))); err != nil {
				t.Fatal(err)
			}
		case 5:
			if rnd.IntN(2) == 0 {
				newOwner()
			}
		case 6:
			if o.log.SnapshotDue() {
				o.log.Snapshot(o.machine.State())
			}
		case 7:
			o.results.wait(t, rnd.IntN(len(o.sent)+1))
		default:
			for range 1 + rnd.IntN(4) {
				o.append(t)
			}
		}
	}
	for _, f := range late {
		f()
	}
	for _, o := range owners {
		o.results.wait(t, len(o.sent))
	}
	_, m := e.open(t, uint64(len(owners)+1))
	check(t, owners, m.List)
	follower.wants(t, m.List...)
	follower.checkPrefixes(t, m.List)
}

type owner struct {
	epoch   uint64
	log     journal.Log
	machine Events
	results *results
	sent    []string
	refused bool
}

func (o *owner) append(t *testing.T) {
	event := fmt.Sprintf("%d/%d", o.epoch, len(o.sent))
	if err := o.log.Append([]byte(event), o.results.done(event)); err != nil {
		if o.log.Err() == nil {
			t.Fatalf("append: %v", err)
		}
		o.refused = true
		return
	}
	o.sent = append(o.sent, event)
	o.machine.List = append(o.machine.List, event)
}

func check(t *testing.T, owners []*owner, replayed []string) {
	t.Helper()
	rest := replayed
	acked := 0
	for _, o := range owners {
		if !slices.Equal(o.results.order, o.sent) {
			t.Errorf("epoch %d: callbacks out of order: %q", o.epoch, o.results.order)
		}
		var mine []string
		for len(rest) > 0 && slices.Contains(o.sent, rest[0]) {
			mine, rest = append(mine, rest[0]), rest[1:]
		}
		got := o.results.acked()
		acked += len(got)
		if len(mine) < len(got) || !slices.Equal(mine, o.sent[:len(mine)]) || !slices.Equal(got, o.sent[:len(got)]) {
			t.Errorf("epoch %d: sent %d, acknowledged %q, replayed %q", o.epoch, len(o.sent), got, mine)
		}
		if !o.refused && len(got) < len(o.sent) && o.log.Err() == nil {
			t.Errorf("epoch %d: events failed, but the log goes on", o.epoch)
		}
	}
	if len(rest) > 0 {
		t.Errorf("replayed out of order or twice: %q", rest)
	}
	if acked == 0 {
		t.Error("nothing was acknowledged: the test shows nothing")
	}
}
