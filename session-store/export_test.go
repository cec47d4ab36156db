package sessionstore

import (
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/session"
)

// Kinds is the highest kind of event.
const Kinds = byte(kindConfigured)

// State is the snapshot that a partition would write now, nil if it is not served or not all of it is durable. same reports, later, whether nothing was
// written after it.
func (s *Store) State(partition int) (state []byte, same func() bool) {
	p, err := s.partition(partition, "test")
	if err != nil {
		return nil, func() bool { return false }
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.durable == p.appended {
		state = p.st.append(nil)
	}
	appended := p.appended
	return state, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.appended == appended
	}
}

// Snapshot has a partition write a snapshot now.
func (s *Store) Snapshot(partition int) {
	p, err := s.partition(partition, "test")
	if err != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.log.Snapshot(p.st.append(nil))
}

// Decode reads a snapshot and writes it again.
func Decode(b []byte, topics int) ([]byte, error) {
	st, err := decodeState(b, topics)
	if err != nil {
		return nil, err
	}
	return st.append(nil), nil
}

// Machine is a state that events are applied to, without a partition around it.
type Machine struct{ st *state }

// NewMachine makes an empty one.
func NewMachine(c session.Config, topics int) *Machine {
	set, err := session.Prepare(c)
	if err != nil {
		panic(err)
	}
	return &Machine{newState(set, topics)}
}

// Restore implements journal.Machine.
func (m *Machine) Restore(b []byte) error {
	st, err := decodeState(b, m.st.topics)
	if err == nil {
		m.st = st
	}
	return err
}

// Apply implements journal.Machine.
func (m *Machine) Apply(b []byte) error {
	e, err := decodeEvent(b)
	if err == nil {
		e.apply(m.st)
	}
	return err
}

// State is its snapshot.
func (m *Machine) State() []byte { return m.st.append(nil) }

// Recode decodes an event and writes it again.
func Recode(b []byte) ([]byte, error) {
	e, err := decodeEvent(b)
	if err != nil {
		return nil, err
	}
	return appendEvent(nil, e), nil
}

// Samples is at least one event of each kind, in an order that makes sense.
func Samples() (all [][]byte) {
	k, other := clientKey{id: "c"}, clientKey{tenant: "t", id: "d"}
	m := &broker.Message{Topic: "a/b", Payload: []byte("x"), QoS: 2, From: "c", Published: time.UnixMilli(5), Expires: time.UnixMilli(1 << 40), Props: &broker.Properties{ContentType: "t"}}
	by := &session.Matched{SubIDs: []uint32{7}, Filters: []string{"a/#"}, Share: &broker.Share{Group: "g", Filter: "a/#"}}
	grant := session.Grant{QoS: 2, Retain: true, By: by}
	to3, gone := laneKey{session: 3}, laneKey{session: -1, incarnation: 9}
	share := broker.Share{Group: "g", Filter: "a/#"}
	source := broker.Source{Kind: broker.FromGateway, Incarnation: 9, Topic: 2}
	set, err := session.Prepare(session.DefaultConfig())
	if err != nil {
		panic(err)
	}
	for _, e := range []event{
		&configured{set: set},
		&attached{
			key: k, gw: broker.NodeRef{ID: "g", Incarnation: 9}, node: "g@h", conn: 1, request: 2, epoch: broker.ConnEpoch{Partition: 3, Counter: 4}, at: 10,
			expiry: int64(time.Hour), window: 4, user: "u", will: &broker.Will{Msg: m, Delay: time.Minute, Expiry: time.Hour},
		},
		&attached{key: other, gw: broker.NodeRef{ID: "g", Incarnation: 9}, conn: 5, request: 6, at: 10, clean: true, window: 1, will: &broker.Will{Msg: m}},
		&exclusiveGranted{key: k, grant: 9, filter: "$exclusive/a"},
		&subscribed{key: k, max: 9, subs: []broker.Subscription{{Filter: "a/#", QoS: 2, NoLocal: true, RetainAsPublished: true, RetainHandling: 1, ID: 3, Generation: 4}, {Filter: "$share/g/a/#", QoS: 1}}},
		&delivered{
			at: 11, sourced: true, source: source, seq: 5, topic: 2, epoch: 6, msg: m, refs: []ref{{client: 1, grant: grant}, {client: 1, grant: session.Grant{QoS: 1, By: &session.Matched{}}}},
			copies: []copyTo{{to: target{kind: toLane, lane: to3}, share: share}, {to: target{kind: toLane, lane: gone}, share: share}, {to: target{kind: toLimbo}, share: share}, {to: target{kind: toMember, ref: ref{client: 1, grant: grant}}, share: share}},
		},
		&received2{key: k, id: 4, max: 5, at: 12, msg: m},
		&received2{key: k, id: 5, max: 5, at: 12, msg: m},
		&released2{key: k, id: 4},
		&acked{key: k, ack: broker.ClientAck{Index: 1, Kind: broker.AckPubrec}, at: 13},
		&expirySet{key: k, expiry: int64(time.Minute)},
		&outboxDone{topic: 1, upTo: 1},
		&laneDone{lane: to3, upTo: 0},
		&reassigned{lane: gone, seq: 1, at: 14, to: target{kind: toLane, lane: to3}},
		&rerouted{id: 1},
		&attached{key: k, gw: broker.NodeRef{ID: "h", Incarnation: 19}, conn: 1, request: 1, epoch: broker.ConnEpoch{Partition: 3, Counter: 5}, at: 15, expiry: int64(time.Hour), window: 4},
		&kicked{key: k, conn: conn{9, 1}, at: 16, dropWill: true},
		&detached{key: other, conn: conn{9, 5}, at: 17, gone: true, hasExpiry: true, expiry: 5},
		&attached{key: other, gw: broker.NodeRef{ID: "h", Incarnation: 19}, conn: 2, request: 2, at: 18, expiry: int64(time.Hour), window: 1, will: &broker.Will{Msg: m, Delay: time.Minute}},
		&detached{key: other, conn: conn{19, 2}, at: 19},
		&willDue{key: other, at: 1 << 40},
		&ended{key: other, at: 1 << 41},
		&ended{key: clientKey{id: "nobody"}, at: 1, dropped: true},
		&unsubscribed{key: k, filters: []string{"a/#"}},
		&forgotten{inc: 9},
	} {
		all = append(all, appendEvent(nil, e))
	}
	return all
}
