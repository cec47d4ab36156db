package edge

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/route"
	"github.com/pando-mq/pando/services/session"
)

// phase is how far a connection came.
type phase uint8

const (
	phaseConnecting phase = iota
	phaseOpen             // CONNACK was sent
	phaseRefused
)

// Conn is one connection. Its methods are called on the connection's executor (see the package comment) unless they say otherwise.
type Conn struct {
	e      *Edge
	dev    Device
	number uint64
	part   *partition       // of the client id; nil before it is known
	id     *broker.Identity // as offered, then as authenticated
	mount  string           // in force
	levels int              // ConnectRequest.MaxLevels
	clean  bool             // the session is hosted here
	resend bool
	timer  timer
	runner func() // run, made once
	Stats  Stats

	touched atomic.Int64 // Unix milliseconds, as the wheel has them
	period  atomic.Int64 // milliseconds without a sign of life that end it; 0: no limit
	retry   atomic.Int64 // Unix milliseconds of the next repeat; 0: none
	expires int64        // Unix milliseconds of the credentials' end; 0: never. Constant once watched.

	connecting *connecting // until CONNACK

	// executor only
	exchange *exchange // nil without enhanced authentication
	phase    phase
	gate     gate
	holds    uint8
	rate     *rate
	ended    bool   // kicked, disconnected or closed: nothing is delivered any more
	reason   string // why it ended
	over     Disconnect
	full     atomic.Bool // the device's output is above its mark
	waiting  bool        // deliveries wait for a decision or a hook
	stash    *outgoing   // taken from the queue, not yet given to the device
	checked  uint64      // generation of the rules under which all subscriptions were decided
	until    int64       // Unix milliseconds when a grant's time is over; 0: never
	recheck  bool        // subscriptions of an older connection wait for a decision
	orphans  int         // entries of subs that are no subscriptions
	topics   aclCache
	will     willState
	holding  bool     // publishes wait for the gateway of an older connection
	parked   func()   // the first of them
	shut     bool     // the gateway reads nothing more
	kicked   *kicked  // a kick of the session partition
	out      Delivery // handed to the device; kept to spare an allocation
	batch    batchState
	began    time.Time   // of the batch
	gathered route.Batch // published, and not yet sent
	partDue  bool        // requests of the batch wait to be sent to the session partition

	mu        sync.Mutex
	events    []func() // to run on the executor
	scheduled bool     // run is posted, or running
	pumpDue   bool
	answered  bool // some publish has its answer
	closed    bool // the gateway called Closed
	gone      bool // the session ended here: nothing is queued any more
	epoch     broker.ConnEpoch
	attached  bool                   // the Attach was accepted, and no Detach sent
	sess      *session.Session       // clean sessions
	subs      map[string]*subscribed // by full filter, mount point included; of clean sessions only decisions
	inflight  flights
	pushes    []broker.Push // persistent sessions: not yet taken
	pushBytes int
	answers   [2]answers    // of QoS 1 and QoS 2 publishes
	unacked   int           // their bytes
	detached  bool          // the Detach was answered
	roomCh    chan struct{} // closed when the queue of the session is short; made by who waits
	reading   bool          // a reader of retained messages runs
	toRead    []retainedJob
	stopRead  func()
}

// Stats is what one connection counted. The gateway counts bytes and packets.
type Stats struct {
	RecvBytes, SentBytes     atomic.Uint64
	RecvPackets, SentPackets atomic.Uint64
	RecvMsgs, SentMsgs       atomic.Uint64

	connected  time.Time
	keepAlive  time.Duration
	expiry     time.Duration
	cleanStart bool
}

// Number is unique among the connections of this incarnation.
func (c *Conn) Number() uint64 { return c.number }

// Identity is who is connected, known from the ConnectResult on.
func (c *Conn) Identity() *broker.Identity { return c.id }

func (c *Conn) key() clientKey { return clientKey{c.id.Tenant, c.id.ClientID} }

// epochNow is the connection's epoch.
func (c *Conn) epochNow() broker.ConnEpoch {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.epoch
}

// request fills in what every request of an attached client carries.
func (c *Conn) request(op broker.SessionOp) broker.SessionRequest {
	return broker.SessionRequest{Op: op, Tenant: c.id.Tenant, ClientID: c.id.ClientID, Conn: c.number, Epoch: c.epochNow()}
}

// Touch notes that something was received. Any goroutine may call it.
func (c *Conn) Touch() { c.touched.Store(c.e.wheel.now.Load() + tickMillis) }

// Drained says that the device has room again after Deliver said SentFull.
func (c *Conn) Drained() {
	c.full.Store(false)
	c.flow()
}

// deadline is when the wheel has to look at the connection; 0: never. Any goroutine may call it.
func (c *Conn) deadline() int64 {
	at := c.expires
	if p := c.period.Load(); p > 0 {
		at = earlier(at, c.touched.Load()+p)
	}
	return earlier(at, c.retry.Load())
}

// earlier is the smaller of two times, of which 0 is never.
func earlier(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// expire is called by the wheel when a deadline came.
func (c *Conn) expire() {
	now := c.e.wheel.now.Load()
	p := c.period.Load()
	switch {
	case c.expires != 0 && c.expires <= now:
		c.kick(KickExpired, "")
		return
	case p > 0 && c.touched.Load()+p <= now:
		c.kick(KickKeepAlive, "")
		return
	}
	if at := c.retry.Load(); at != 0 && at <= now {
		if every := c.e.set.Load().RetryInterval.Milliseconds(); every > 0 {
			c.retry.Store(now + every)
			c.post(c.repeat)
		} else {
			c.retry.Store(0)
		}
	}
	c.e.wheel.watch(&c.timer)
}

// kick ends the connection from outside. Any goroutine may call it.
func (c *Conn) kick(code KickCode, reason string) {
	if reason == "" {
		reason = code.String()
	}
	c.post(func() { c.end(code, reason) })
}

// end ends the connection on the executor, unless it has ended.
func (c *Conn) end(code KickCode, reason string) {
	if c.ended {
		return
	}
	c.e.metrics.kicked(code)
	if c.phase == phaseConnecting {
		c.superseded(code)
		return
	}
	c.ended, c.reason = true, reason
	c.dev.Kick(Kick{Code: code, Reason: reason})
}
