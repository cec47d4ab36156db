package sessionstore

import (
	"encoding/binary"
	"fmt"

	"github.com/pando-mq/pando/services/broker"
)

// event is one durable change of a partition. Its form in the log is
//
//	version 1 | kind 1 | body
//
// with numbers as varints, times as signed Unix milliseconds, durations as signed nanoseconds, and texts behind their length. The bodies are drawn beside
// their append methods: key is tenant and client id, flags a byte, [x] there if its flag is set, {x} repeated.
type event interface {
	kind() eventKind
	append(dst []byte) []byte
	read(r *reader)
	// apply changes the state. It depends on nothing but the state and the event, and fills in what the event's result fields say.
	apply(st *state)
}

// eventVersion is the first byte of each event.
const eventVersion = 1

type eventKind uint8

// The kinds of events. Numbers are never used again for something else.
const (
	kindAttached eventKind = iota + 1
	kindDetached
	kindKicked
	kindSubscribed
	kindUnsubscribed
	kindAcked
	kindReceived2
	kindReleased2
	kindExpirySet
	kindDelivered
	kindEnded
	kindWillDue
	kindOutboxDone
	kindLaneDone
	kindReassigned
	kindRerouted
	kindForgotten
	kindConfigured
	kindExclusiveGranted
)

// newEvent makes an empty event of a kind, nil for an unknown one.
func newEvent(k eventKind) event {
	switch k {
	case kindAttached:
		return &attached{}
	case kindDetached:
		return &detached{}
	case kindKicked:
		return &kicked{}
	case kindSubscribed:
		return &subscribed{}
	case kindUnsubscribed:
		return &unsubscribed{}
	case kindAcked:
		return &acked{}
	case kindReceived2:
		return &received2{}
	case kindReleased2:
		return &released2{}
	case kindExpirySet:
		return &expirySet{}
	case kindDelivered:
		return &delivered{}
	case kindEnded:
		return &ended{}
	case kindWillDue:
		return &willDue{}
	case kindOutboxDone:
		return &outboxDone{}
	case kindLaneDone:
		return &laneDone{}
	case kindReassigned:
		return &reassigned{}
	case kindRerouted:
		return &rerouted{}
	case kindForgotten:
		return &forgotten{}
	case kindConfigured:
		return &configured{}
	case kindExclusiveGranted:
		return &exclusiveGranted{}
	}
	return nil
}

// appendEvent appends e as the log keeps it.
func appendEvent(dst []byte, e event) []byte {
	return e.append(append(dst, eventVersion, byte(e.kind())))
}

// decodeEvent reads what appendEvent wrote. Errors wrap [ErrCorrupt]; input of any kind gives an error or an event that can be applied, never a panic, and memory
// in proportion to the input.
func decodeEvent(b []byte) (event, error) {
	r := reader{b: b}
	version, k := r.byte(), eventKind(r.byte())
	e := newEvent(k)
	switch {
	case r.err == nil && version != eventVersion:
		return nil, fmt.Errorf("%w: event of version %d, this program knows version %d", ErrCorrupt, version, eventVersion)
	case r.err != nil || e == nil:
		return nil, fmt.Errorf("%w: event of kind %d", ErrCorrupt, k)
	}
	e.read(&r)
	if err := r.end(); err != nil {
		return nil, fmt.Errorf("event of kind %d: %w", k, err)
	}
	return e, nil
}

// conn names a connection in an event: gateway incarnation and connection number.
type conn struct{ inc, n uint64 }

func appendConn(dst []byte, c conn) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(dst, c.inc), c.n)
}

func (r *reader) conn() conn { return conn{inc: r.uvarint(), n: r.uvarint()} }

// attached: a connection becomes the owner of its client id (rules N12, R6).
type attached struct {
	key     clientKey
	gw      broker.NodeRef
	node    string
	conn    uint64
	request uint64 // id of the request
	epoch   broker.ConnEpoch
	at      int64
	id      broker.MessageID // of the will that a clean start publishes
	clean   bool
	expiry  int64 // nanoseconds
	window  uint16
	user    string
	will    *broker.Will

	// result
	c     *client
	ended bool // a session was dropped
}

func (*attached) kind() eventKind { return kindAttached }

// key | gateway id | incarnation | node name | conn | request | epoch: partition counter | at | will id 16 | flags: clean 1 | expiry | window | user | will
func (e *attached) append(dst []byte) []byte {
	dst = appendText(appendKey(dst, e.key), e.gw.ID)
	dst = binary.AppendUvarint(dst, e.gw.Incarnation)
	dst = appendText(dst, e.node)
	for _, n := range [...]uint64{e.conn, e.request, e.epoch.Partition, e.epoch.Counter} {
		dst = binary.AppendUvarint(dst, n)
	}
	dst = append(binary.AppendVarint(dst, e.at), e.id[:]...)
	dst = binary.AppendVarint(append(dst, flag(e.clean, 1)), e.expiry)
	dst = binary.AppendUvarint(dst, uint64(e.window))
	return appendWill(appendText(dst, e.user), e.will)
}

func (e *attached) read(r *reader) {
	e.key = r.key()
	e.gw = broker.NodeRef{ID: r.text(), Incarnation: r.uvarint()}
	e.node = r.text()
	e.conn, e.request = r.uvarint(), r.uvarint()
	e.epoch = broker.ConnEpoch{Partition: r.uvarint(), Counter: r.uvarint()}
	e.at, e.id = r.varint(), r.messageID()
	e.clean = r.flags(1) != 0
	e.expiry = int64(r.duration())
	e.window = r.uint16()
	e.user, e.will = r.text(), r.will()
}

func flag(set bool, bit byte) byte {
	if set {
		return bit
	}
	return 0
}

// detached: a connection ended, the present one or a superseded one.
type detached struct {
	key       clientKey
	conn      conn
	at        int64
	id        broker.MessageID // of the will that this may publish
	dropWill  bool
	hasExpiry bool
	expiry    int64
	gone      bool // its gateway is gone: nobody will answer the kick

	reason string // of the connection's end; not in the log
}

func (*detached) kind() eventKind { return kindDetached }

// key | conn | at | will id 16 | flags: drop will 1, expiry 2, gone 4 | [expiry]
func (e *detached) append(dst []byte) []byte {
	dst = binary.AppendVarint(appendConn(appendKey(dst, e.key), e.conn), e.at)
	dst = append(dst, e.id[:]...)
	dst = append(dst, flag(e.dropWill, 1)|flag(e.hasExpiry, 2)|flag(e.gone, 4))
	if e.hasExpiry {
		dst = binary.AppendVarint(dst, e.expiry)
	}
	return dst
}

func (e *detached) read(r *reader) {
	e.key, e.conn, e.at, e.id = r.key(), r.conn(), r.varint(), r.messageID()
	f := r.flags(7)
	e.dropWill, e.hasExpiry, e.gone = f&1 != 0, f&2 != 0, f&4 != 0
	if e.hasExpiry {
		e.expiry = int64(r.duration())
	}
}

// kicked: the gateway of a superseded connection answered the kick.
type kicked struct {
	key      clientKey
	conn     conn
	at       int64
	id       broker.MessageID // of the will that this may publish
	dropWill bool
}

func (*kicked) kind() eventKind { return kindKicked }

// key | conn | at | will id 16 | flags: drop will 1
func (e *kicked) append(dst []byte) []byte {
	dst = binary.AppendVarint(appendConn(appendKey(dst, e.key), e.conn), e.at)
	return append(append(dst, e.id[:]...), flag(e.dropWill, 1))
}

func (e *kicked) read(r *reader) {
	e.key, e.conn, e.at, e.id = r.key(), r.conn(), r.varint(), r.messageID()
	e.dropWill = r.flags(1) != 0
}

// ended: a session ends for good, because it expired or an operator dropped it.
type ended struct {
	key     clientKey
	at      int64
	id      broker.MessageID // of the will that this may publish
	dropped bool             // by an operator: a connection that is there is kicked
}

func (*ended) kind() eventKind { return kindEnded }

// key | at | will id 16 | flags: dropped 1
func (e *ended) append(dst []byte) []byte {
	dst = binary.AppendVarint(appendKey(dst, e.key), e.at)
	return append(append(dst, e.id[:]...), flag(e.dropped, 1))
}

func (e *ended) read(r *reader) {
	e.key, e.at, e.id = r.key(), r.varint(), r.messageID()
	e.dropped = r.flags(1) != 0
}

// willDue: the delay of a will is over.
type willDue struct {
	key clientKey
	at  int64
	id  broker.MessageID
}

func (*willDue) kind() eventKind { return kindWillDue }

// key | at | will id 16
func (e *willDue) append(dst []byte) []byte {
	return append(binary.AppendVarint(appendKey(dst, e.key), e.at), e.id[:]...)
}

func (e *willDue) read(r *reader) { e.key, e.at, e.id = r.key(), r.varint(), r.messageID() }
