package e2e

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// Each message of a shared subscription goes to one member, on whichever gateway it is; others get all of them.
func TestShared(t *testing.T) {
	t.Parallel()
	const count = 240
	for name, prefix := range map[string]string{"group": "$share/g/", "queue": "$queue/"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := unique("e2e/share")
			members := []client{paho3(t, 4, connect{}), paho5(t, connect{Place: 1}), mqttjs(t, 5, "ws", connect{}), paho3(t, 4, connect{Place: 1, Keep: true}), paho5(t, connect{Keep: true})}
			for _, m := range members {
				m.Subscribe(t, 1, prefix+base+"/+")
			}
			all, pub := paho3(t, 4, connect{Place: 1}), paho3(t, 4, connect{})
			all.Subscribe(t, 1, base+"/+")
			for i := range count {
				pub.Publish(t, message{Topic: fmt.Sprintf("%s/%d", base, i%8), Payload: fmt.Sprint(i), QoS: 1})
			}
			collect(t, all, count)
			for i, n := range gather(t, members, count) {
				if n == 0 {
					t.Errorf("member %d got nothing", i)
				}
			}
		})
	}
}

// gather takes count different messages from all clients together, and gives how many each of them got. None may come twice.
func gather(t *testing.T, from []client, count int) []int {
	t.Helper()
	by := make([]int, len(from))
	seen := map[string]bool{}
	deadline := time.After(patience)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for len(seen) < count {
		for i, c := range from {
			for len(c.Messages()) > 0 {
				m := <-c.Messages()
				if seen[m.Payload] {
					t.Errorf("%v came twice", m)
				}
				seen[m.Payload] = true
				by[i]++
			}
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%d of %d messages came", len(seen), count)
		}
	}
	return by
}

// Members that are connected come before those that are away; the last ones to be away keep the messages.
func TestSharedWhileMembersAreAway(t *testing.T) {
	t.Parallel()
	base, id := unique("e2e/share"), unique("away")
	filter := "$share/g/" + base
	away := paho5(t, connect{ID: id, Keep: true})
	away.Subscribe(t, 1, filter)
	away.Leave(t)
	gone(t, id)
	here, pub := paho3(t, 4, connect{Place: 1}), paho3(t, 4, connect{})
	here.Subscribe(t, 1, filter)
	for i := range 20 {
		pub.Publish(t, message{Topic: base, Payload: fmt.Sprint(i), QoS: 1})
	}
	if got := collect(t, here, 20); !slices.Equal(got[base], numbers(20)) {
		t.Errorf("the connected member got %v", got[base])
	}
	here.Unsubscribe(t, filter)
	for i := range 20 {
		pub.Publish(t, message{Topic: base, Payload: fmt.Sprint(i), QoS: 1})
	}
	back := paho5(t, connect{ID: id, Keep: true, Place: 1})
	// The first of these may find that the member before has just left, and look for another one: what goes around so may come behind the next.
	got, want := collect(t, back, 20)[base], numbers(20)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the member that came back got %v", got)
	}
}
