package v2

import (
	"fmt"
	"math"
	"net/http"
	"runtime"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/pando-mq/pando/services/broker"
)

// timeForm is how the seed writes a moment, in local time.
const timeForm = "2006-01-02 15:04:05"

const (
	running = "Running"
	stopped = "Stopped"
)

func (h *handler) monitorRoutes(r chi.Router) {
	r.Get("/management/nodes", h.listBrokers)
	r.Get("/management/nodes/{node}", h.oneNode(func(n broker.NodeInfo) any { return brokerOf(n, "") }))
	r.Get("/monitoring/nodes", h.listLoads)
	r.Get("/monitoring/nodes/{node}", h.oneNode(func(n broker.NodeInfo) any { return loadOf(n) }))
	r.Get("/monitoring/listeners", h.listListeners)
	r.Get("/monitoring/listeners/{node}", h.oneNode(func(n broker.NodeInfo) any { return listenersOf(n) }))
	r.Get("/monitoring/metrics", h.listMetrics)
	r.Get("/monitoring/metrics/{node}", h.oneNode(func(n broker.NodeInfo) any { return figures(n.Metrics) }))
	r.Get("/monitoring/stats", h.listStats)
	r.Get("/monitoring/stats/{node}", h.nodeStats)
}

// brokerRow is a node of management/nodes.
type brokerRow struct {
	Name       string `json:"name,omitempty"`
	Version    string `json:"version"`
	Sysdescr   string `json:"sysdescr"`
	Uptime     string `json:"uptime"`
	Datetime   string `json:"datetime"`
	OTPRelease string `json:"otp_release"`
	NodeStatus string `json:"node_status"`
}

func brokerOf(n broker.NodeInfo, name string) brokerRow {
	return brokerRow{
		Name: name, Version: n.Version, Sysdescr: "Pando", Uptime: uptime(n.Uptime), Datetime: time.Now().Format(timeForm),
		OTPRelease: runtime.Version(), NodeStatus: running,
	}
}

// uptime is a span as the seed writes it: "1 days, 2 hours, 3 minutes, 4 seconds", without leading zeros.
func uptime(d time.Duration) string {
	s := int64(d / time.Second)
	text := fmt.Sprintf("%d seconds", s%60)
	for _, unit := range []struct {
		name       string
		size, next int64
	}{{"minutes", 60, 60}, {"hours", 3600, 24}, {"days", 86400, math.MaxInt64}} {
		if s >= unit.size {
			text = fmt.Sprintf("%d %s, %s", s/unit.size%unit.next, unit.name, text)
		}
	}
	return text
}

func (h *handler) listBrokers(w http.ResponseWriter, r *http.Request) {
	nodes := h.Fleet.Nodes(r.Context(), "")
	rows := []brokerRow{}
	for _, n := range nodes.Up {
		rows = append(rows, brokerOf(n, n.Name))
	}
	h.result(w, r, rows, nodes.Missing)
}

// loadRow is a node of monitoring/nodes.
type loadRow struct {
	Name             string `json:"name"`
	OTPRelease       string `json:"otp_release"`
	MemoryTotal      string `json:"memory_total"`
	MemoryUsed       string `json:"memory_used"`
	ProcessAvailable int    `json:"process_available"`
	ProcessUsed      int    `json:"process_used"`
	MaxFDs           uint64 `json:"max_fds"`
	Clients          int    `json:"clients"`
	NodeStatus       string `json:"node_status"`
	Load1            string `json:"load1"`
	Load5            string `json:"load5"`
	Load15           string `json:"load15"`
}

// downRow is a node that does not answer.
type downRow struct {
	Name       string `json:"name"`
	NodeStatus string `json:"node_status"`
}

func loadOf(n broker.NodeInfo) loadRow {
	load := func(f float64) string { return fmt.Sprintf("%.2f", f) }
	memory := func(bytes uint64) string { return fmt.Sprintf("%.2fM", float64(bytes)/(1<<20)) }
	return loadRow{
		Name: n.Name, OTPRelease: runtime.Version(), MemoryTotal: memory(n.MemoryTotal), MemoryUsed: memory(n.MemoryUsed),
		ProcessAvailable: math.MaxInt32, ProcessUsed: n.Goroutines, MaxFDs: n.MaxFDs, Clients: n.Clients, NodeStatus: running,
		Load1: load(n.Load1), Load5: load(n.Load5), Load15: load(n.Load15),
	}
}

func (h *handler) listLoads(w http.ResponseWriter, r *http.Request) {
	nodes := h.Fleet.Nodes(r.Context(), "")
	rows := []any{}
	for _, n := range nodes.Up {
		rows = append(rows, loadOf(n))
	}
	for _, name := range nodes.Down {
		rows = append(rows, downRow{name, stopped})
	}
	h.result(w, r, rows, nodes.Missing)
}

// listenerRow is a listener of a node.
type listenerRow struct {
	Protocol       string `json:"protocol"`
	Listen         string `json:"listen"`
	Acceptors      int    `json:"acceptors"`
	MaxClients     int    `json:"max_clients"`
	CurrentClients int    `json:"current_clients"`
	ShutdownCount  any    `json:"shutdown_count"` // an object, or [] when there is nothing to count
}

func listenersOf(n broker.NodeInfo) []listenerRow {
	rows := []listenerRow{}
	for _, l := range n.Listeners {
		row := listenerRow{Protocol: l.Protocol, Listen: l.Bind, Acceptors: l.Acceptors, MaxClients: l.MaxClients, CurrentClients: l.CurrentClients, ShutdownCount: empty()}
		if len(l.Shutdowns) > 0 {
			row.ShutdownCount = l.Shutdowns
		}
		rows = append(rows, row)
	}
	return rows
}

func (h *handler) listListeners(w http.ResponseWriter, r *http.Request) {
	nodes := h.Fleet.Nodes(r.Context(), "")
	each := map[string][]listenerRow{}
	for _, n := range nodes.Up {
		each[n.Name] = listenersOf(n)
	}
	h.result(w, r, each, nodes.Missing)
}

// figures is a table of numbers, {} rather than null.
func figures(m map[string]int64) map[string]int64 {
	if m == nil {
		return map[string]int64{}
	}
	return m
}

func (h *handler) listMetrics(w http.ResponseWriter, r *http.Request) {
	nodes := h.Fleet.Nodes(r.Context(), "")
	rows := []map[string]map[string]int64{}
	for _, n := range nodes.Up {
		rows = append(rows, map[string]map[string]int64{n.Name: figures(n.Metrics)})
	}
	h.result(w, r, rows, nodes.Missing)
}

func (h *handler) listStats(w http.ResponseWriter, r *http.Request) {
	nodes := h.Fleet.Nodes(r.Context(), "")
	stats, missing := h.Fleet.NodeStats(r.Context(), nodes)
	rows := []map[string]map[string]int64{}
	for _, n := range nodes.Up {
		rows = append(rows, map[string]map[string]int64{n.Name: stats[n.Name]})
	}
	h.result(w, r, rows, missing)
}

// oneNode answers for the node that the path names.
func (h *handler) oneNode(show func(broker.NodeInfo) any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		name := variable(r, "node")
		nodes := h.Fleet.Nodes(r.Context(), name)
		if len(nodes.Up) == 0 {
			h.refuse(w, r, nodeDown(name))
			return
		}
		h.result(w, r, show(nodes.Up[0]), nil)
	}
}

func (h *handler) nodeStats(w http.ResponseWriter, r *http.Request) {
	name := variable(r, "node")
	nodes := h.Fleet.Nodes(r.Context(), name)
	if len(nodes.Up) == 0 {
		h.refuse(w, r, nodeDown(name))
		return
	}
	stats, missing := h.Fleet.NodeStats(r.Context(), nodes)
	h.result(w, r, figures(stats[nodes.Up[0].Name]), missing)
}

func nodeDown(name string) error {
	return fail(codeUnreachable, fmt.Sprintf("node %s is not up", name))
}
