package sessionstore_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/pando-mq/pando/services/broker"
)

// willRate is what the timers are measured with: this many wills fall due in a second, one each millisecond.
const willRate = 1000

// leaving connects clients with delayed wills, each on a topic of its own, and detaches one each millisecond. It returns when each will is due: after its
// delay, or when its session expires if that is earlier (MQTT 5.0 §3.1.3.2.2).
func leaving(g *gateway, n int, expiry, delay time.Duration, settled func()) map[string]time.Time {
	all := make([]*device, n)
	for i := range all {
		x := will(delay)
		x.Msg.Topic = fmt.Sprint("will/", i)
		all[i] = g.connecting(fmt.Sprint("c", i), options{expiry: expiry, will: x})
	}
	settled()
	due := map[string]time.Time{}
	tick := time.NewTicker(time.Second / willRate)
	defer tick.Stop()
	for i, d := range all {
		<-tick.C
		now := time.Now()
		r := d.request(broker.OpDetach)
		r.Epoch = g.epochOf(d)
		r.Detach = &broker.Detach{Reason: "closed", At: now}
		g.send(r)
		due[fmt.Sprint("will/", i)] = time.UnixMilli(now.UnixMilli()).Add(min(delay, expiry))
	}
	return due
}

// epochOf is the connection epoch that answered an Attach.
func (g *gateway) epochOf(d *device) (e broker.ConnEpoch) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r, ok := g.replies[d.attach.ID]; ok && r.Attach != nil {
		e = r.Attach.Epoch
	}
	return e
}

// lateness is how long after its time each will reached the router.
func (r *router) lateness(due map[string]time.Time) (late []time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.got {
		if at, ok := due[s.Msg.Topic]; ok {
			late = append(late, s.at.Sub(at))
			delete(due, s.Msg.Topic)
		}
	}
	return late
}

// A thousand wills a second, each with a delay, and a thousand sessions a second that expire: in virtual time the record of each is written in the millisecond
// in which it is due, and none leaves before.
func TestTimersAreExact(t *testing.T) {
	for name, c := range map[string][2]time.Duration{"will delay": {time.Hour, 5 * time.Second}, "session expiry": {5 * time.Second, time.Hour}} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				due := leaving(w.gateway("g1"), 1000, c[0], c[1], settle)
				time.Sleep(10 * time.Second)
				settle()
				w.router.mu.Lock()
				for _, s := range w.router.got {
					if late := s.Msg.Published.Sub(due[s.Msg.Topic]); late != 0 || s.at.Before(due[s.Msg.Topic]) {
						t.Errorf("%s was published %v after its time", s.Msg.Topic, late)
					}
				}
				w.router.mu.Unlock()
				if late := w.router.lateness(due); len(late) != 1000 {
					t.Errorf("%d wills came", len(late))
				}
			})
		})
	}
}
