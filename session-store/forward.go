package sessionstore

import (
	"context"
	"log/slog"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
)

const (
	laneItems   = 256
	laneBytes   = 64 << 10
	laneWindow  = 1024 // copies under way on a lane
	lanePause   = 20 * time.Millisecond
	laneCeiling = time.Second
	laneOpening = 5 * time.Second
)

// lane sends the copies of one laneQueue, in order, and from the first unanswered again after a broken stream. Its fields belong to the partition's lock.
type lane struct {
	p       *partition
	key     laneKey
	wake    chan struct{} // holds one token: look again
	running bool
	dead    bool // the gateway is gone

	upTo  uint64 // copies up to this number are durable
	sent  uint64 // copies up to this number went out on the present stream
	nos   []uint64
	first uint64 // number on the stream of nos[0]
	turn  uint64 // of the stream: answers of an older one change nothing
	acked uint64 // answered OK up to this number, not written down

	tries map[uint64]trial // soft: who else could take a copy
}

// trial is what is known of a copy besides its record.
type trial struct {
	candidates []broker.Candidate
	tried      []laneKey
}

// lane finds or makes the sender of a lane.
func (p *partition) lane(k laneKey) *lane {
	l := p.lanes[k]
	if l == nil {
		l = &lane{p: p, key: k, wake: make(chan struct{}, 1), tries: map[uint64]trial{}}
		p.lanes[k] = l
	}
	return l
}

// ready lets copies up to a number go out.
func (l *lane) ready(upTo uint64) {
	l.upTo = max(l.upTo, upTo)
	if !l.running && !l.dead && !l.p.dead {
		l.running = true
		l.p.spawn(l.run)
	}
	l.nudge()
}

func (l *lane) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// run keeps a stream open while there are copies.
func (l *lane) run() {
	pause := lanePause
	for l.p.ctx.Err() == nil && !l.over() {
		stream, err := l.open()
		if err == nil {
			pause = lanePause
			err = l.serve(stream)
		}
		if err != nil {
			l.p.slog.Debug("lane of shared copies broke off", slog.Any("error", err))
		}
		if !rest(l.p.ctx, pause) {
			return
		}
		pause = min(2*pause, laneCeiling)
	}
}

func (l *lane) over() bool {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	return l.dead || l.p.dead
}

// open opens the next stream.
func (l *lane) open() (broker.DeliverStream, error) {
	p := l.p
	p.mu.Lock()
	l.turn++
	turn := l.turn
	l.sent, l.nos, l.first = l.acked, nil, 1
	p.mu.Unlock()
	sink, err := p.s.sink(l.key)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(p.ctx, laneOpening)
	defer cancel()
	return sink.OpenDeliver(ctx, l.address(), func(acks []broker.DeliverAck) { l.answered(turn, acks) })
}

// address is what the stream says it carries. Towards a session partition the home has a number of its own behind the topic partitions, with its epoch, so that
// a home of an older epoch is refused (rule N10). A gateway knows topic partitions alone: it is told one of those, and the epoch that the view has for it.
func (l *lane) address() broker.DeliverOpen {
	p := l.p
	o := broker.DeliverOpen{Router: p.s.self, Topic: p.s.topics + p.n, TopicEpoch: p.epoch, Partition: l.key.session}
	if l.key.session < 0 {
		o.Topic, o.TopicEpoch, o.Partition = p.n%p.s.topics, 0, 0
		if owner, ok := p.s.deps.Cluster.View().Owner(cluster.TopicSpace, o.Topic); ok {
			o.TopicEpoch = owner.Epoch
		}
	}
	return o
}

// sink is the interface of a lane's destination.
func (s *Store) sink(k laneKey) (broker.Sink, error) {
	if k.session >= 0 {
		return s.deps.Sessions, nil
	}
	n, ok := s.deps.Cluster.View().ByIncarnation(k.incarnation)
	if !ok || s.deps.Gateways == nil {
		return nil, broker.Errorf(broker.KindUnavailable, "gateway incarnation %d cannot be reached", k.incarnation)
	}
	return s.deps.Gateways(n), nil
}

// serve sends what is ready until the stream ends.
func (l *lane) serve(stream broker.DeliverStream) error {
	for {
		if batch := l.next(); len(batch) > 0 {
			if err := stream.Send(batch); err != nil {
				stream.Close()
				return err
			}
			continue
		}
		select {
		case <-l.wake:
			if l.over() {
				stream.Close()
				return nil
			}
		case <-stream.Done():
			return stream.Err()
		case <-l.p.ctx.Done():
			stream.Close()
			return nil
		}
	}
}

// next takes the copies that may go out now.
func (l *lane) next() []broker.Delivery {
	p := l.p
	p.mu.Lock()
	defer p.mu.Unlock()
	q := p.st.lanes[l.key]
	if q == nil || p.dead {
		return nil
	}
	var batch []broker.Delivery
	i, _ := q.find(l.sent + 1)
	for size := 0; i < len(q.entries) && len(batch) < laneItems && size < laneBytes && len(l.nos) < laneWindow; i++ {
		e := &q.entries[i]
		if e.seq > l.upTo {
			break
		}
		batch = append(batch, broker.Delivery{
			Source: broker.Source{Kind: broker.FromSession, Partition: p.n, Topic: p.s.topics + p.n}, Seq: e.seq, Msg: e.msg,
			Shares: []broker.ShareCopy{{Share: e.share, Strategy: p.s.cfg.SharedStrategy}},
		})
		size += e.msg.Size()
		l.sent = e.seq
		l.nos = append(l.nos, e.seq)
	}
	return batch
}

// answered takes the answers of a destination.
func (l *lane) answered(turn uint64, acks []broker.DeliverAck) {
	p := l.p
	p.enter()
	defer p.leave()
	if p.dead || turn != l.turn {
		return
	}
	for _, a := range acks {
		i := int(a.No - l.first)
		if a.No < l.first || i >= len(l.nos) {
			continue
		}
		if a.Result != broker.OK {
			if seq := l.nos[i]; seq != 0 {
				l.nos[i] = 0
				p.reassign(l, seq)
			}
			continue
		}
		for _, seq := range l.nos[:i+1] {
			l.acked = max(l.acked, seq)
			delete(l.tries, seq)
		}
		l.nos, l.first = l.nos[i+1:], a.No+1
		p.flushLater()
	}
	l.nudge()
}

// reassign gives a copy that a destination could not take to the next candidate, or routes it again later.
func (p *partition) reassign(l *lane, seq uint64) {
	q := p.st.lanes[l.key]
	i, ok := q.find(seq)
	if !ok {
		return
	}
	x, t := q.entries[i], l.tries[seq]
	delete(l.tries, seq)
	to := p.choose(x.msg, x.share, t.candidates, append(t.tried, l.key))
	if to.kind == toNobody {
		to.kind = toLimbo
	}
	if to.kind == toMember && to.ref.grant.QoS == 0 {
		p.queueZero(p.st.numbers[to.ref.client], x.msg, to.ref.grant, p.now())
		to = target{}
	}
	e := &reassigned{lane: l.key, seq: seq, at: p.now().UnixMilli(), to: to}
	if !p.commit(e) {
		return
	}
	p.s.metrics.reassigned.Inc()
	if to.kind == toLane {
		p.lane(to.lane).tries[e.newSeq] = trial{candidates: t.candidates, tried: append(t.tried, l.key, to.lane)}
	}
}

// closeLane ends the lane to a gateway that is gone. QoS 1 copies go to the group again; QoS 2 ones may have reached the member and must not.
func (p *partition) closeLane(k laneKey) {
	l := p.lane(k)
	l.dead = true
	l.nudge()
	q := p.st.lanes[k]
	if q == nil {
		return
	}
	for _, x := range append([]laneEntry(nil), q.entries...) {
		if x.seq <= l.acked {
			continue
		}
		if x.msg.QoS < 2 {
			p.reassign(l, x.seq)
		} else if !p.commit(&reassigned{lane: k, seq: x.seq, at: p.now().UnixMilli()}) {
			return
		}
		if p.dead {
			return
		}
	}
	if q.last > 0 && len(q.entries) > 0 {
		p.commit(&laneDone{lane: k, upTo: q.last})
	}
}

// startLanes sends what the lanes held at the end of a replay.
func (p *partition) startLanes() {
	for k, q := range p.st.lanes {
		if len(q.entries) > 0 {
			p.lane(k).ready(q.last)
		}
	}
}
