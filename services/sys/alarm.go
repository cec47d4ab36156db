package sys

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/bus"
)

const (
	// maxAlarms are the alarms that are known at once; further ones are counted.
	maxAlarms = 1000
	// publishTimeout bounds handing an event to the bus.
	publishTimeout = time.Second
	// limitID is the alarm of a node that refuses clients because it has as many as it may have; it is over when nobody was refused for limitQuiet.
	limitID    = "max_connections"
	limitQuiet = time.Minute
	// queueAlarm and the client id are the alarm of a queue.
	queueAlarm = "queue_high_watermark."
)

// registry are the alarms of this node, and of the services if this node tells those.
type registry struct {
	s *Service

	mu     sync.Mutex
	active map[alarmKey]bus.Alarm
	limit  *time.Timer // clears limitID
	full   bool        // the process has no room for connections
}

// alarmKey is an alarm of one process.
type alarmKey struct{ node, id string }

type alertJSON struct {
	ID       string `json:"id"`
	Severity string `json:"severity"`
	Title    string `json:"title"`
	Summary  string `json:"summary"`
	TS       int64  `json:"ts"`
}

type clearJSON struct {
	ID string `json:"id"`
	TS int64  `json:"ts"`
}

// listen begins to hear of alarms.
func (r *registry) listen() error {
	r.active = map[alarmKey]bus.Alarm{}
	stop, err := r.s.deps.Bus.Subscribe(bus.Alarms, r.heard) // one subscription: a clearing must not overtake what it clears
	if err != nil {
		return err
	}
	r.s.unsubscribe = append(r.s.unsubscribe, stop, r.stopTimer)
	return nil
}

func (r *registry) stopTimer() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.limit != nil {
		r.limit.Stop()
	}
}

// heard takes an event of the bus, if it is ours to tell.
func (r *registry) heard(e bus.Event) {
	a, err := bus.DecodeAlarm(e)
	if err != nil {
		r.s.metrics.failed.Inc()
		return
	}
	switch {
	case !r.ours(e.Node):
	case e.Subject == bus.AlarmRaised:
		r.raise(e.Node, a)
	default:
		r.clear(e.Node, a)
	}
}

// ours says whether this node tells the alarms of a process.
func (r *registry) ours(node string) bool {
	if node == r.s.deps.Node {
		return true
	}
	nodes := r.s.nodes()
	return !slices.Contains(nodes, node) && len(nodes) > 0 && nodes[0] == r.s.deps.Node
}

// raise tells an alarm that is not known yet.
func (r *registry) raise(node string, a bus.Alarm) {
	key := alarmKey{node, a.ID}
	r.mu.Lock()
	_, known := r.active[key]
	full := !known && len(r.active) >= maxAlarms
	if !known && !full {
		r.active[key] = a
	}
	n := len(r.active)
	r.mu.Unlock()
	switch {
	case full:
		r.s.metrics.overflow.Inc()
	case !known:
		r.s.metrics.active.Set(float64(n))
		r.s.log.Warn("alarm raised", slog.String("alarm", a.ID), slog.String("node", node), slog.String("severity", a.Severity), slog.String("summary", a.Summary))
		r.tell(a.ID, "alert", alertJSON{a.ID, a.Severity, a.Title, a.Summary, a.Timestamp})
	}
}

// clear tells the end of an alarm that is known.
func (r *registry) clear(node string, a bus.Alarm) {
	key := alarmKey{node, a.ID}
	r.mu.Lock()
	_, known := r.active[key]
	delete(r.active, key)
	n := len(r.active)
	r.mu.Unlock()
	if !known {
		return
	}
	r.s.metrics.active.Set(float64(n))
	r.s.log.Info("alarm cleared", slog.String("alarm", a.ID), slog.String("node", node))
	r.tell(a.ID, "clear", clearJSON{a.ID, a.Timestamp})
}

func (r *registry) tell(id, what string, v any) {
	r.s.send(&broker.Message{Topic: r.s.prefix + "alarms/" + level(id) + "/" + what, Payload: encode(v)})
}

// Alarms are those that are raised now and told by this node, ordered by id.
func (s *Service) Alarms() []bus.Alarm {
	s.alarms.mu.Lock()
	defer s.alarms.mu.Unlock()
	list := slices.Collect(maps.Values(s.alarms.active))
	slices.SortFunc(list, func(a, b bus.Alarm) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// refused raises the alarm of the connection limit, which the edge tells by the kind of a refusal. It runs on the refused client's executor.
func (r *registry) refused(err error) {
	if broker.KindOf(err) != broker.KindQuota {
		return
	}
	r.mu.Lock()
	if r.limit != nil {
		r.limit.Reset(limitQuiet)
	} else {
		r.limit = time.AfterFunc(limitQuiet, r.limitOver)
	}
	_, known := r.active[alarmKey{r.s.deps.Node, limitID}]
	r.mu.Unlock()
	if known {
		return
	}
	r.s.raiseLimit()
}

func (s *Service) raiseLimit() {
	s.raise(bus.Alarm{ID: limitID, Severity: bus.Error, Title: "Connection limit reached", Summary: "clients are refused, see limits.max_connections"})
}

// Full raises the alarm of the connection limit when the process holds as many connections as it may, and clears it when there is room again. Any goroutine
// may call it; it does not block.
func (s *Service) Full(full bool) {
	r := &s.alarms
	r.mu.Lock()
	r.full = full
	r.mu.Unlock()
	if full {
		s.raiseLimit()
	} else {
		r.limitOver()
	}
}

func (r *registry) limitOver() {
	r.mu.Lock()
	full := r.full
	r.mu.Unlock()
	if full {
		return
	}
	r.s.say(func(ctx context.Context) error { return bus.ClearAlarm(ctx, r.s.deps.Bus, r.s.deps.Node, limitID) })
}

// ended clears the alarm of a queue that ended with its connection.
func (r *registry) ended(id *broker.Identity) {
	key := alarmKey{r.s.deps.Node, queueAlarm + id.ClientID}
	r.mu.Lock()
	_, known := r.active[key]
	r.mu.Unlock()
	if known {
		r.s.say(func(ctx context.Context) error { return bus.ClearAlarm(ctx, r.s.deps.Bus, key.node, key.id) })
	}
}

// raise publishes an alarm of this node on the bus, from where everybody hears it, we too.
func (s *Service) raise(a bus.Alarm) {
	a.Timestamp = s.now().Unix()
	s.say(func(ctx context.Context) error { return bus.RaiseAlarm(ctx, s.deps.Bus, s.deps.Node, a) })
}

func (s *Service) say(publish func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), publishTimeout)
	defer cancel()
	if err := publish(ctx); err != nil {
		s.metrics.failed.Inc()
	}
}

// QueueAlarm makes the function that edge.Deps.QueueAlarm wants: a queue that passed its high watermark is an alarm until it is back at
// the low one.
func QueueAlarm(b bus.Bus, node string) func(id *broker.Identity, high bool, queued int) {
	return func(id *broker.Identity, high bool, queued int) {
		ctx, cancel := context.WithTimeout(context.Background(), publishTimeout)
		defer cancel()
		alarm := queueAlarm + id.ClientID
		if !high {
			_ = bus.ClearAlarm(ctx, b, node, alarm) // an event may be missed
			return
		}
		_ = bus.RaiseAlarm(ctx, b, node, bus.Alarm{
			ID: alarm, Severity: bus.Warning, Title: fmt.Sprintf("Queue %s high-water mark", id.ClientID), Summary: fmt.Sprintf("queue len %d > high_watermark", queued),
		})
	}
}
