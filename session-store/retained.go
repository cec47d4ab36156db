package sessionstore

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/session"
	"github.com/pando-mq/pando/services/topic"
)

const (
	maxReaders   = 64                    // of retained messages at a time, per partition
	roomPause    = 20 * time.Millisecond // between two looks whether a queue has room
	roomPatience = 30 * time.Second      // without room for so long, the rest is given up
	readTries    = 10
)

// retainedRead brings the retained messages that match a new subscription into its session.
type retainedRead struct {
	c    *client
	sess *session.Session
	sub  broker.Subscription
	// last is the topic of the newest message it has, "" for none: the next try after a read that broke off goes on behind it. One name stands for all before
	// it, because the order of a read does not change.
	last string
}

var errNoReader = errors.New("nobody wants the retained messages any more")

// sendRetained has the retained messages of a new subscription sent, as its retain handling asks for; never for shared ones (MQTT 5.0 §3.8.3.1, §4.8.2).
func (p *partition) sendRetained(c *client, sess *session.Session, sub broker.Subscription, existed bool) {
	parsed, err := topic.Parse(sub.Filter)
	if err != nil || parsed.Shared || sub.RetainHandling == 2 || sub.RetainHandling == 1 && existed {
		return
	}
	p.reads = append(p.reads, &retainedRead{c: c, sess: sess, sub: sub})
	if p.readers < maxReaders {
		p.readers++
		p.spawn(p.read)
	}
}

// read is a goroutine that works off reads until none is left.
func (p *partition) read() {
	for {
		p.enter()
		if len(p.reads) == 0 || p.dead {
			p.readers--
			p.leave()
			return
		}
		r := p.reads[0]
		p.reads[0] = nil
		p.reads = p.reads[1:]
		p.leave()
		if err := p.readRetained(r); err != nil && p.ctx.Err() == nil && !errors.Is(err, errNoReader) {
			p.s.metrics.dropped.WithLabelValues("retained_unread").Inc()
			p.slog.Warn("retained messages of a new subscription were not read to the end", slog.Any("error", err))
		}
	}
}

// readRetained reads, and tries again when a read breaks off.
func (p *partition) readRetained(r *retainedRead) (err error) {
	parsed, err := topic.Parse(r.sub.Filter)
	if err != nil {
		return err
	}
	q := broker.RetainedQuery{Tenant: r.c.key.tenant, Filter: parsed.Filter}
	pause := 50 * time.Millisecond
	for range readTries {
		err = p.s.deps.Router.ReadRetained(p.ctx, q, func(batch []*broker.Message) error { return p.takeRetained(r, batch) })
		if err == nil || errors.Is(err, errNoReader) {
			return err
		}
		if !rest(p.ctx, pause) {
			return err
		}
		pause = min(2*pause, time.Second)
	}
	return err
}

// takeRetained queues one batch, as fast as the session's queue has room.
func (p *partition) takeRetained(r *retainedRead, batch []*broker.Message) error {
	for _, m := range batch {
		if r.last != "" && p.s.compareRetained(m, r.last) <= 0 {
			continue
		}
		for waited := time.Duration(0); ; waited += roomPause {
			done, err := p.queueRetained(r, m)
			if err != nil {
				return err
			}
			if done {
				break
			}
			if waited >= roomPatience || !rest(p.ctx, roomPause) {
				p.s.metrics.dropped.WithLabelValues("retained_no_room").Inc()
				return errNoReader
			}
		}
		r.last = m.Topic
	}
	return nil
}

// compareRetained orders a message and a topic of its tenant as reads of retained messages do.
func (s *Store) compareRetained(m *broker.Message, name string) int {
	n := max(1, s.deps.Cluster.Meta().Partitions[cluster.RetainedSpace])
	return cmp.Or(
		cmp.Compare(cluster.Partition(m.Tenant, m.Topic, n), cluster.Partition(m.Tenant, name, n)), topic.CompareNames(m.Topic, name),
	)
}

// queueRetained queues one message; done is false while there is no room.
func (p *partition) queueRetained(r *retainedRead, m *broker.Message) (done bool, err error) {
	p.enter()
	defer p.leave()
	c := r.c
	if p.dead || c.sess != r.sess {
		return false, errNoReader
	}
	if _, ok := c.sess.Subscription(r.sub.Filter); !ok {
		return false, errNoReader
	}
	grant, ok := c.sess.GrantFor(r.sub.Filter, m, c.node())
	if !ok {
		return true, nil
	}
	grant.Retain = true
	if grant.QoS > 0 && !p.room() || !p.hasRoom(c.sess) {
		return false, nil
	}
	now := p.now()
	if grant.QoS == 0 {
		p.queueZero(c, m, grant, now)
		return true, nil
	}
	e := &delivered{at: now.UnixMilli(), msg: m, refs: []ref{{client: c.number, grant: grant}}}
	return p.commit(e) || !p.dead, nil
}

// hasRoom says whether retained messages may be added to a queue: they leave half of it to others.
func (p *partition) hasRoom(s *session.Session) bool {
	q := &p.s.set.Queue
	return (q.MaxLength == 0 || s.Queued() < max(1, q.MaxLength/2)) && s.Bytes() < max(1, int64(q.MaxBytes)/2)
}

// queueZero gives a QoS 0 message to a session; it is in no log.
func (p *partition) queueZero(c *client, m *broker.Message, grant session.Grant, now time.Time) {
	_, drops := c.sess.Enqueue(m, grant, now)
	for _, d := range drops {
		p.s.metrics.dropped.WithLabelValues(d.Reason.String()).Inc()
	}
	p.pump(c)
}

// rest waits and reports whether ctx is still alive.
func rest(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
