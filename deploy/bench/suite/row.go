package suite

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/pando-mq/pando/deploy/bench/load"
	"github.com/pando-mq/pando/deploy/bench/scenario"
	"github.com/pando-mq/pando/deploy/bench/wire"
)

// Figure is one number of a row.
type Figure struct {
	Name  string  `json:"name"`
	Unit  string  `json:"unit"`
	Bar   float64 `json:"bar"`   // at most; 0: none
	Exact bool    `json:"exact"` // nothing may be lost, repeated or out of order for the bar to be met
	EMQX  string  `json:"emqx"`  // EMQX 4, measured beforehand on such a machine; "": not measured
	Flash string  `json:"flashmq"`
	Mosq  string  `json:"mosquitto_beforehand"`
}

// Sample is one measurement of a row.
type Sample struct {
	Values   []float64       `json:"values"` // one for each figure
	Lost     uint64          `json:"lost"`
	Repeated uint64          `json:"repeated"`
	Disorder uint64          `json:"disordered"`
	Own      float64         `json:"own_cpu_us"` // of the generator, per unit
	Rate     float64         `json:"rate"`
	Note     string          `json:"note,omitempty"`
	Load     string          `json:"load"` // of the machine, before it
	Settings Settings        `json:"settings"`
	Result   scenario.Result `json:"result"`

	Profiles map[string][]byte `json:"-"` // of the heap, for go tool pprof, by the moment at which they were taken
}

// Row is a scenario and its figures.
type Row struct {
	Key     string
	Title   string
	Figures []Figure
	run     func(context.Context, *stand) (Sample, error)
	files   int  // sockets that the broker and the generator need each; the limit of open files bounds them
	lone    bool // the broker is started by the row
	apart   bool // the broker is the cluster of separate processes
}

// Scale is how much is done.
type Scale struct {
	Quick       bool          `json:"quick"`
	Duration    time.Duration `json:"duration"`
	Warmup      time.Duration `json:"warmup"`
	Messages    uint64        `json:"messages"`      // of p2p-q0
	Connections int           `json:"connections"`   // idle ones
	Connects    int           `json:"connects"`      // of the connect row
	PerClient   int           `json:"subscriptions"` // of each of 1,000 connections
	Retained    int           `json:"retained"`
	Sessions    int           `json:"sessions"`
	Settle      time.Duration `json:"settle"`
	Silence     time.Duration `json:"silence"` // of idle connections, after a message on each
	Repetitions int           `json:"repetitions"`
	Budget      time.Duration `json:"budget"` // samples after the first of each row are taken as far as they fit into it, the cheapest first
}

// Full is for publication, within 25 minutes.
func Full() Scale {
	return Scale{Duration: 4 * time.Second, Warmup: time.Second, Messages: 1_000_000, Connections: 18000, Connects: 10000, PerClient: 1000, Retained: 100_000, Sessions: 1000,
		Settle: 12 * time.Second, Silence: 30 * time.Second, Repetitions: 3, Budget: 24 * time.Minute}
}

// Quick is the same scenarios with less, within 4 minutes.
func Quick() Scale {
	return Scale{Quick: true, Duration: 1500 * time.Millisecond, Warmup: 500 * time.Millisecond, Messages: 300_000, Connections: 3000, Connects: 3000, PerClient: 100, Retained: 20_000,
		Sessions: 200, Settle: 2 * time.Second, Silence: 8 * time.Second, Repetitions: 1, Budget: 4 * time.Minute}
}

// stand is where one sample is taken: a running broker, and how to load it.
type stand struct {
	broker   Broker
	scale    Scale
	turn     int // of the sample among those of its row and broker, from 0
	progress func(load.Progress)
}

// options are those that all rows have in common.
func (s *stand) options(kind string, connections int) (scenario.Options, error) {
	addr, d, err := dial(s.broker, kind, connections)
	if err != nil {
		return scenario.Options{}, err
	}
	o := scenario.Options{
		Addr: addr, Dial: d, Broker: s.broker.Pids(), Version: wire.V311, Prefix: "bench" + strconv.Itoa(os.Getpid()) + "_", User: userName, Password: password, Users: users,
		Clean: true, KeepAlive: 300, Size: 256, Duration: s.scale.Duration, Warmup: s.scale.Warmup, Drain: 5 * time.Second, Progress: s.progress,
		Topic: "bench/%i", Rest: s.broker.Rest,
	}
	plain, err := s.broker.Addr(load.TCP)
	if err != nil {
		return o, err
	}
	return o, s.remember(plain)
}

// remember logs every user in once, so that no figure holds the one slow computation of a password hash that a fleet of devices shares.
func (s *stand) remember(addr netip.AddrPort) error {
	for i := range users {
		user := strings.ReplaceAll(userName, "%i", strconv.Itoa(i))
		code, err := hello(addr, user, password, nil)
		if err == nil && code != 0 {
			err = fmt.Errorf("code 0x%02x", code)
		}
		if err != nil {
			return fmt.Errorf("log in as %s: %w", user, err)
		}
	}
	return nil
}

// sample puts a result into the form of the table.
func sample(r scenario.Result, values ...float64) Sample {
	s := Sample{Values: values, Lost: r.Books.Lost, Repeated: r.Books.Repeated, Disorder: r.Books.Disordered, Own: r.OwnUnit, Rate: r.Rate, Result: r}
	if n := len(r.Books.Errors); n > 0 {
		s.Note = "first error: " + r.Books.FirstError
	}
	if r.Books.Stalls > 0 {
		s.Note += fmt.Sprintf(" %d stalls", r.Books.Stalls)
	}
	return s
}
