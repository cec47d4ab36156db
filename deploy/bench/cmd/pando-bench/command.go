package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/pando-mq/pando/deploy/bench/scenario"
	"github.com/pando-mq/pando/services/run"
)

const long = `pando-bench opens many MQTT connections from one event loop and measures a broker: any broker, it knows nothing of the inside of one.

Every message carries a sequence number and the time it was sent, so at the end it says how many were lost, repeated or out of order, and how long they
took. Told the broker's process id (--pid), it says what the broker spent: CPU (user and system) per message, and memory per connection. It says what it
spent itself, too: on the machine of the broker that must be much less.

Flags are those of emqtt_benchmark where they mean the same.`

const examples = `  pando-bench conn -c 10000 -i 1 --pid 4711                 # what does a connection cost?
  pando-bench p2p -c 50 -q 1 -F 20 --duration 10s           # as fast as 20 messages in flight for each pair permit
  pando-bench p2p -c 50 -q 1 --rate 10000                   # latency at 10,000 messages per second
  pando-bench fanout -c 1000 -q 0 -F 32
  pando-bench sub -c 20 -t 'plant/%i' & pando-bench pub -c 20 -t 'plant/%i' -I 100
  pando-bench preset                                        # four ready-made loads, after what a broker is used for
  pando-bench run --bin bin --out deploy/bench/results      # the whole table, Pando beside mosquitto: make bench`

func command() *cobra.Command {
	root := &cobra.Command{
		Use: "pando-bench", Short: "load an MQTT broker and measure it", Long: long, Example: examples, Version: run.Version(),
		SilenceErrors: true, SilenceUsage: true,
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return run.WithCode(run.CodeUsage, err) })
	root.PersistentFlags().Bool("help", false, "explain the command")
	root.AddGroup(&cobra.Group{ID: "load", Title: "Loads:"}, &cobra.Group{ID: "table", Title: "Tables of figures:"})
	for _, k := range kinds() {
		root.AddCommand(k.command())
	}
	root.AddCommand(presetCommand(), runCommand(), compareCommand(), growthCommand())
	return root
}

// kind is one load: a subcommand.
type kind struct {
	name, short, long string
	run               func(context.Context, scenario.Options) (scenario.Result, error)
	flags             string // which groups of flags it has: see flags.add
	preset            defaults
}

// defaults are those of a kind that differ from everybody's.
type defaults struct {
	count, receivers, per, qos, inflight int
	rate                                 float64
	topic, filter                        string
	duration                             time.Duration
	retain                               bool
}

func kinds() []kind {
	return []kind{
		{"conn", "connections, with or without a subscription, that then say nothing", "The broker's CPU per connection, and with --settle the memory that one holds.", scenario.Conn, "m", defaults{count: 200, topic: "bench/%i"}},
		{"pub", "publishers without receivers", "The counterpart of sub, for receivers elsewhere. -I or --rate make it an open loop.", scenario.Pub, "pf", defaults{count: 200, topic: "bench/%i", rate: 200}},
		{"sub", "receivers of what others publish", "What pub of another process sends is checked as far as a receiver can: gaps, repeats, order.", scenario.Sub, "s", defaults{count: 200, topic: "bench/%i", duration: time.Hour}},
		{"p2p", "pairs of a publisher and a receiver", "Each pair has a topic of its own.", scenario.P2P, "pfi", defaults{count: 50, topic: "bench/%i", inflight: 20}},
		{"fanout", "one publisher, many receivers of everything", "One topic; CPU is given per delivered copy.", scenario.FanOut, "pf", defaults{count: 1000, topic: "bench/all", inflight: 32}},
		{"fanin", "many publishers, one receiver of everything", "", scenario.FanIn, "pft", defaults{count: 1000, topic: "bench/in/%i", filter: "bench/in/+", inflight: 1}},
		{"shared", "many publishers, some members of one shared subscription", "Each message must reach exactly one of the members.", scenario.Shared, "pftr", defaults{count: 500, receivers: 5, qos: 1, topic: "bench/in/%i", filter: "bench/in/+", inflight: 4}},
		{"retained", "many retained messages, then receivers that subscribe to all of them", "What is measured is the second part.", scenario.Retained, "ftrp", defaults{count: 100000, receivers: 1, topic: "r/%i/v", filter: "r/+/v", inflight: 100, duration: time.Minute}},
		{"subs", "many subscriptions per connection, then messages that match one of them", "70 % of the filters have no wildcard, 15 % have +, 15 % have #. Memory is given per subscription.", scenario.Subs, "pfnm", defaults{count: 1000, per: 1000, topic: "bench/%i", inflight: 1, duration: 10 * time.Second}},
		{"offline", "messages for persistent sessions that are away and come back", "What is measured is the storing. --between runs a command before they come back: kill and start the broker in it.", scenario.Offline, "fnbp", defaults{count: 1000, per: 100, qos: 1, topic: "bench/%i", inflight: 20, duration: time.Minute}},
	}
}

func (k kind) command() *cobra.Command {
	f := newFlags(k)
	c := &cobra.Command{
		Use: k.name, Short: k.short, Long: fmt.Sprintf("%s: %s.\n\n%s", k.name, k.short, k.long), Args: cobra.NoArgs, GroupID: "load",
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c, k) },
	}
	f.add(c.Flags(), k)
	return c
}
