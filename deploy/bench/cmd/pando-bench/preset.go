package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pando-mq/pando/deploy/bench/scenario"
)

// presets are the four uses after which the EMQ 2 manual (1.8.6) says to test a broker, in place of counting connections alone.
func presets() []kind {
	return []kind{
		{"push-broadcast", "push messages to mobile phones: 20 broadcasts per second to 1,000 receivers, QoS 1", "", scenario.FanOut, "pf", defaults{count: 1000, topic: "bench/all", qos: 1, rate: 20, duration: 10 * time.Second}},
		{"instant-messaging", "mobile messengers: 500 pairs that acknowledge each message, QoS 1, one in flight", "", scenario.P2P, "pf", defaults{count: 500, topic: "bench/%i", qos: 1, inflight: 1}},
		{"device-latency", "smart devices: how long a message takes at 10,000 per second, 50 pairs, QoS 1", "", scenario.P2P, "pf", defaults{count: 50, topic: "bench/%i", qos: 1, rate: 10000}},
		{"data-collection", "data of many devices: 5,000 connections that publish as fast as one message in flight permits, QoS 1, read by 5 servers that share the work", "", scenario.Shared, "pftr", defaults{count: 5000, receivers: 5, qos: 1, topic: "bench/in/%i", filter: "bench/in/+", inflight: 1}},
	}
}

func presetCommand() *cobra.Command {
	var names []string
	for _, k := range presets() {
		names = append(names, fmt.Sprintf("  %-18s %s", k.name, k.short))
	}
	c := &cobra.Command{
		Use: "preset", Short: "four ready-made loads, after what a broker is used for", GroupID: "load",
		Long: "Ready-made loads; their flags are those of the kind of load they are, with other defaults:\n\n" + strings.Join(names, "\n"),
	}
	for _, k := range presets() {
		sub := k.command()
		sub.GroupID = ""
		c.AddCommand(sub)
	}
	return c
}
