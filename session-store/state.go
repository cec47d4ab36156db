package sessionstore

import (
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/hook"
	"github.com/pando-mq/pando/services/route"
	"github.com/pando-mq/pando/services/session"
	"github.com/pando-mq/pando/services/topic"
)

// state is what the log of one partition says: it changes by events alone, the same way when they happen and when they are replayed. It has no lock,
// no clock and no goroutine. The derived parts are kept along with the rest, and rebuilt from it when a snapshot is read.
type state struct {
	set    *session.Settings
	topics int // number of topic partitions

	// durable
	clients  map[clientKey]*client
	last     uint64                   // number of the newest client record
	cursors  map[broker.Source]uint64 // highest sequence number appended, per source
	epochs   map[int]uint64           // highest epoch seen, per topic partition and forwarding lane (rule N10)
	attaches map[uint64]uint64        // gateway incarnation -> highest request id of an Attach of it (rule R6)
	outbox   []outQueue               // by topic partition
	lanes    map[laneKey]*laneQueue   // copies for shared groups on their way to other partitions and gateways
	limbo    map[uint64]limboCopy     // copies that nobody took, to be routed again
	limboID  uint64                   // of the newest of them

	// derived
	numbers   map[uint64]*client
	index     map[string]*topic.Index[*client, struct{}] // by tenant: inner filters of ordinary subscriptions
	groups    map[route.Key]*group
	outBytes  int // of the outbox
	laneBytes int // of lanes and limbo

	// to is told what a live change leads to; nil while replaying.
	to *aftermath
	// route is told of changes of the routes; nil while replaying.
	route func(k route.Key, members, online int)
	// hold is told of changes of the routes that say who has an exclusive topic; nil while replaying.
	hold func(k route.Key, h route.Hold, members int)
}

// aftermath is what must follow a change once its record is durable.
type aftermath struct {
	kicks  []kick
	sends  []outSend
	lanes  []laneKey
	routes []route.Key
	due    []*client // their timer may have to be set
	limbo  []uint64
	pumps  []*client
	marks  []*client // their queue may have passed a watermark, or is gone
	drops  []session.Drop
	ends   []hook.Terminated // sessions that ended
}

// client is the durable record of one client id: a persistent session, an attachment that must survive its owner, or what is left of one.
type client struct {
	key    clientKey
	number uint64 // names the record in deliveries
	user   string
	att    *attachment   // nil: not connected
	olds   []*attachment // superseded connections whose gateway has not answered the kick; their will is parked
	sess   *session.Session
	will   *broker.Will // of a connection that ended, waiting for its delay
	due    int64        // when it is published, Unix milliseconds

	// soft
	ready   bool   // the gateway knows this connection: pushes may go out
	durable uint64 // newest session version that is durable
	timer   *timer
	alarm   *session.Session // whose queue passed the high watermark and is not back at the low one, as it was told; nil: none
}

// attachment is one connection of a client id at a gateway.
type attachment struct {
	gw      broker.NodeRef
	node    string // node name of the gateway
	conn    uint64
	epoch   broker.ConnEpoch
	present bool // the session went on, as its Attach was answered
	will    *broker.Will
}

// at reports whether this is the connection of that number at that incarnation; false for nil.
func (a *attachment) at(inc, conn uint64) bool {
	return a != nil && a.gw.Incarnation == inc && a.conn == conn
}

type kick struct {
	key   clientKey
	att   *attachment
	epoch broker.ConnEpoch // of the connection that took over
	why   string
}

func newState(set *session.Settings, topics int) *state {
	return &state{
		set: set, topics: topics, clients: map[clientKey]*client{}, cursors: map[broker.Source]uint64{}, epochs: map[int]uint64{},
		attaches: map[uint64]uint64{}, outbox: make([]outQueue, topics), lanes: map[laneKey]*laneQueue{}, limbo: map[uint64]limboCopy{},
		numbers: map[uint64]*client{}, index: map[string]*topic.Index[*client, struct{}]{}, groups: map[route.Key]*group{},
	}
}

// client finds or makes a record.
func (st *state) client(k clientKey) *client {
	c := st.clients[k]
	if c == nil {
		st.last++
		c = &client{key: k, number: st.last}
		st.clients[k] = c
		st.numbers[c.number] = c
	}
	return c
}

// tidy lets go of a record that says nothing any more.
func (st *state) tidy(c *client) {
	if c.att == nil && len(c.olds) == 0 && c.sess == nil && c.will == nil {
		delete(st.clients, c.key)
		delete(st.numbers, c.number)
	}
	st.later(c)
}

// node is the node name of the client's connection, "" while it is away.
func (c *client) node() string {
	if c.att == nil {
		return ""
	}
	return c.att.node
}

// old finds a superseded connection.
func (c *client) old(inc, conn uint64) *attachment {
	for _, o := range c.olds {
		if o.at(inc, conn) {
			return o
		}
	}
	return nil
}

// supersede makes the present connection an old one that has to be kicked. What becomes of its will: MQTT 5.0 §3.1.2.5 and rule R6. ends says that the
// session ends with it.
func (st *state) supersede(c *client, ends bool, by broker.ConnEpoch, why string) {
	a := c.att
	c.att, c.ready = nil, false
	if c.sess == nil || c.sess.Expiry() == 0 {
		ends = true
	}
	if a.will != nil && a.will.Delay > 0 && !ends {
		a.will = nil
	}
	c.olds = append(c.olds, a)
	if st.to != nil {
		st.to.kicks = append(st.to.kicks, kick{key: c.key, att: a, epoch: by, why: why})
	}
}

// Why sessions end, beside the reasons of the connection that they end with: session.terminated tells it.
const (
	endDiscarded = "discarded"    // a connection began a new one
	endExpired   = "expired"      // its time was over
	endDropped   = "dropped"      // an operator ended it
	endGone      = "gateway_gone" // it ended with its connection, whose gateway is gone
)

// endSession drops a session for good: its subscriptions, and its messages but for those of shared groups, which are routed to the group again (rule R7).
func (st *state) endSession(c *client, reason string) {
	if c.sess == nil {
		return
	}
	for _, l := range c.sess.Leftover() {
		share := l.Share
		st.enqueue(l.Msg, &share)
	}
	for _, sub := range c.sess.Subscriptions() {
		st.let(c, sub.Filter)
	}
	c.sess = nil
	if st.to != nil {
		st.to.marks = append(st.to.marks, c)
		who := &broker.Identity{Tenant: c.key.tenant, ClientID: c.key.id, Username: c.user}
		st.to.ends = append(st.to.ends, hook.Terminated{Client: who, Reason: reason})
	}
}

// touch notes that a session may have something to send.
func (st *state) touch(c *client) {
	if st.to != nil && c.sess != nil {
		st.to.pumps = append(st.to.pumps, c)
		st.to.marks = append(st.to.marks, c)
		st.to.drops = append(st.to.drops, c.sess.Dropped()...)
	}
}

// later notes that something may fall due for a client at another time than before.
func (st *state) later(c *client) {
	if st.to != nil {
		st.to.due = append(st.to.due, c)
	}
}

// topic is the topic partition of a message.
func (st *state) topic(m *broker.Message) int { return cluster.Partition(m.Tenant, m.Topic, st.topics) }

// millis is a time as events carry it.
func millis(at int64) time.Time { return time.UnixMilli(at) }
