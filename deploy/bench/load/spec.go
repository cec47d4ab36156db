package load

import (
	"context"
	"crypto/tls"
	"net/netip"
	"time"

	"github.com/pando-mq/pando/deploy/bench/process"
)

// Kinds of connections.
const (
	TCP = "tcp"
	TLS = "tls"
	WS  = "ws"
	WSS = "wss"
)

// Dial says how connections are made.
type Dial struct {
	Kind     string       // TCP, TLS, WS, WSS
	TLS      *tls.Config  // of TLS and WSS
	Path     string       // of WS and WSS
	Sources  []netip.Addr // addresses to connect from, in turn; none: the system chooses
	Interval time.Duration
	Parallel int           // handshakes at once; 0: 16
	Timeout  time.Duration // for each step of a handshake; 0: 20 s
}

// Client is one connection.
type Client struct {
	Addr      netip.AddrPort
	Version   byte // wire.V31, V311, V5
	ID        string
	User      string // "": none
	Password  string
	Clean     bool
	Expiry    uint32 // seconds, MQTT 5
	KeepAlive uint16 // seconds
	Filters   []string
	QoS       byte // of the filters
	Batch     int  // filters in one SUBSCRIBE; 0: 100
	Publish   *Publish
}

// Publish makes a client a publisher: one stream of messages.
type Publish struct {
	Topics   []string // in turn
	QoS      byte
	Retain   bool
	Size     int    // of the payload, at least tally.StampSize
	Window   int    // messages under way at most; 0: as fast as the socket takes them, or at the run's rate
	AckOnly  bool   // a message is under way until its acknowledgement only
	Copies   int    // receivers of each message; 0: nobody in this fleet
	Group    bool   // its receivers are members of one shared subscription, so one of them gets each message
	AnyOrder bool   // its messages have different topics, so a receiver may get them in any order
	Limit    uint32 // messages of this publisher at most, over all runs; 0: no limit
}

// Options of a fleet.
type Options struct {
	Dial     Dial
	Broker   process.Group // whose CPU and memory are read; none: they are unknown
	Progress func(Progress)
	Foreign  bool // count messages of other runs, too: receivers whose publishers are elsewhere
}

// Progress is told a few times a second while something happens.
type Progress struct {
	Phase     string
	Done      float64 // 0 to 1
	Connected int
	Sent      uint64
	Delivered uint64
	Elapsed   time.Duration // of the phase
}

// Run is one stretch of publishing.
type Run struct {
	Rate     float64       // messages per second of all publishers together; 0: as their windows permit
	Messages uint64        // of all together, after the warm-up; 0: until Duration
	Duration time.Duration // at most; required: no run is without bounds
	Warmup   time.Duration // before it, not measured; what is lost then is counted all the same
	Drain    time.Duration // to wait for what is under way, as long as something arrives; 0: 5 s

	Mark func(context.Context) error // called right before and right after the measured part, outside of its time and CPU; nil: nobody wants to know
}
