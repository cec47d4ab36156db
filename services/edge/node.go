package edge

import (
	"context"
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/pando-mq/pando/services/broker"
)

// Node implements broker.GatewayAdmin.
func (e *Edge) Node(context.Context) (broker.NodeInfo, error) {
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	info := broker.NodeInfo{
		Name: e.deps.NodeName, Role: "gateway", Version: e.deps.Version, Incarnation: e.deps.Node.Incarnation,
		Started: e.started, Uptime: e.now().Sub(e.started), MemoryTotal: mem.Sys, MemoryUsed: mem.HeapInuse + mem.StackInuse,
		Goroutines: runtime.NumGoroutine(), Clients: int(e.stats.opened.now.Load()), Durability: e.deps.Durability,
		Stats: e.statsMap(), Metrics: e.counters.Map(),
	}
	info.Load1, info.Load5, info.Load15 = loads()
	info.MaxFDs = maxFiles()
	if e.deps.Listeners != nil {
		info.Listeners = e.deps.Listeners()
	}
	return info, nil
}

// statsMap is the seed's stats that are known here: the sessions are those that end with their connection.
func (e *Edge) statsMap() map[string]int64 {
	g := &e.stats
	m := map[string]int64{
		"clients/count": g.opened.now.Load(), "clients/max": g.opened.max.Load(),
		"subscriptions/count": g.subscriptions.now.Load(), "subscriptions/max": g.subscriptions.max.Load(),
		"subscribers/count": g.subscriptions.now.Load(), "subscribers/max": g.subscriptions.max.Load(),
		"sessions/count": g.sessions.now.Load(), "sessions/max": g.sessions.max.Load(),
	}
	for r := range dropReasonCount {
		m["dropped/"+r.String()] = int64(e.drops.n[r].Load())
	}
	return m
}

// loads is the load average of the machine where it can be read; zeros elsewhere.
func loads() (one, five, fifteen float64) {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0, 0, 0
	}
	f := strings.Fields(string(text))
	if len(f) < 3 {
		return 0, 0, 0
	}
	one, _ = strconv.ParseFloat(f[0], 64)
	five, _ = strconv.ParseFloat(f[1], 64)
	fifteen, _ = strconv.ParseFloat(f[2], 64)
	return one, five, fifteen
}
