package scenario

import (
	"context"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/pando-mq/pando/deploy/bench/load"
	"github.com/pando-mq/pando/deploy/bench/process"
)

// Options are what the user says. Each scenario uses those that have a meaning in it.
type Options struct {
	Addr    netip.AddrPort
	SubAddr netip.AddrPort // where subscribers connect, if that is another place
	Dial    load.Dial
	Broker  process.Group // measured, if there is one

	Version   byte
	Prefix    string // of client ids; %i is not needed, the number follows
	Start     int    // number of the first client
	User      string // %i: the client's number, %u is not known here
	Password  string // %i as well
	Users     int    // numbers in user names are taken modulo this; 0: not
	Clean     bool
	Expiry    uint32
	KeepAlive uint16

	Count      int    // clients, pairs, publishers or sessions: what the scenario says
	Receivers  int    // receivers, where the scenario has another number of them
	PerClient  int    // filters or messages of each client
	Topic      string // %i: the number of the pair, publisher or filter
	Filter     string // what subscribers of fan-in and shared subscribe to
	QoS        byte
	Size       int
	Retain     bool
	Inflight   int     // messages of a publisher under way; 0: no window
	AckOnly    bool    // until acknowledged only, not until delivered
	Rate       float64 // of all publishers together; 0: as fast as the windows permit
	Messages   uint64  // of all together
	Duration   time.Duration
	Warmup     time.Duration
	Drain      time.Duration
	Settle     time.Duration // between what is measured in memory and the measuring
	Subscribed bool          // conn: with one subscription each
	Idle       int           // p2p: further connections with one subscription each that say nothing

	Mark     func(context.Context) error // called right before and right after the measured part of a run; nil: nobody wants to know
	Silence  time.Duration               // conn: after one message on each connection, before the second look
	Look     func(context.Context) error // conn: called twice, with all connected and at rest, and after Silence; nil: there are neither messages nor silence
	Rest     func(context.Context) error // makes the broker collect its garbage before its memory is measured; nil: nothing does
	Progress func(load.Progress)
	Between  func(context.Context) (process.Group, error) // offline: what happens to the broker before the sessions come back; nil: nothing
}

// Result is what a scenario found.
type Result struct {
	Scenario string        `json:"scenario"`
	Measure  load.Measure  `json:"measure"`
	Books    load.Books    `json:"books"`
	Connect  ConnectResult `json:"connect"`
	Memory   MemoryResult  `json:"memory"`
	PerUnit  float64       `json:"broker_cpu_us"` // of the broker per delivered message; conn: per connection; pub: per message sent; 0: unknown
	OwnUnit  float64       `json:"own_cpu_us"`    // of the generator
	Unit     string        `json:"unit"`
	Rate     float64       `json:"rate"` // units per second
}

// ConnectResult is what connecting and subscribing took.
type ConnectResult struct {
	Seconds   float64 `json:"seconds"`
	BrokerCPU float64 `json:"broker_cpu_us"` // per connection, subscriptions included; 0: unknown
}

// MemoryResult is the broker's memory before and after, and per unit.
type MemoryResult struct {
	Before process.Memory `json:"before"`
	After  process.Memory `json:"after"`
	Each   float64        `json:"each"` // bytes of resident memory per connection or subscription
}

func (o *Options) client(n int) load.Client {
	n += o.Start
	named := n
	if o.Users > 0 {
		named %= o.Users
	}
	return load.Client{
		Addr: o.Addr, Version: o.Version, ID: o.Prefix + strconv.Itoa(n), User: number(o.User, named), Password: number(o.Password, named),
		Clean: o.Clean, Expiry: o.Expiry, KeepAlive: o.KeepAlive,
	}
}

// receiver is a client that subscribes.
func (o *Options) receiver(n int, filters ...string) load.Client {
	c := o.client(n)
	c.Filters, c.QoS = filters, o.QoS
	if o.SubAddr.IsValid() {
		c.Addr = o.SubAddr
	}
	return c
}

// sender is a client that publishes to some topics, with a number of receivers.
func (o *Options) sender(n, copies int, topics ...string) load.Client {
	c := o.client(n)
	c.Publish = &load.Publish{
		Topics: topics, QoS: o.QoS, Retain: o.Retain, Size: o.Size, Window: o.Inflight, AckOnly: o.AckOnly, Copies: copies,
	}
	return c
}

func number(text string, n int) string { return strings.ReplaceAll(text, "%i", strconv.Itoa(n)) }

func (o *Options) run() load.Run {
	return load.Run{Rate: o.Rate, Messages: o.Messages, Duration: o.Duration, Warmup: o.Warmup, Drain: o.Drain, Mark: o.Mark}
}
