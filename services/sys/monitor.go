package sys

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"os"
	figures "runtime/metrics"
	"slices"
	"time"
)

// MonitorConfig is the section `sys.monitor`. The runtime counts pauses and waits in classes, a quarter wide.
type MonitorConfig struct {
	LongGC       time.Duration `yaml:"long_gc" default:"0s" doc:"A pause of the garbage collector that is told; 0: none is."`
	LongSchedule time.Duration `yaml:"long_schedule" default:"240ms" doc:"A goroutine that was ready and waited so long for a processor is told: the machine is too busy, or too small; 0: none is."`
	LargeHeap    int           `yaml:"large_heap" default:"90" doc:"Percent of limits.memory, or GOMEMLIMIT, above which the heap is told; without such a limit, and with 0, it is not."`
	BusyPort     bool          `yaml:"busy_port" default:"false" doc:"Whether clients are told that take their messages slowly: whose output passed mqtt.high_water."`
	BusyDistPort bool          `yaml:"busy_dist_port" default:"true" doc:"Whether streams to other services are told that take messages slowly: half of their queue is full."`
}

const (
	watchEvery = time.Second // how often the runtime is looked at
	quietTime  = time.Minute // the same is told once in it
	mostEvents = 100         // of one kind in it
	reports    = 64          // that may wait to be told
)

// report is something that one of the monitors noticed.
type report struct {
	kind    string // "long_gc"
	subject string // whom it is about; of each one is told in a while
	info    string
}

// monitor tells what should not happen in a healthy process.
type monitor struct {
	s       *Service
	reports chan report // of other goroutines; full: they are dropped

	last   map[string][]uint64 // counts of the histograms, when they were looked at last
	told   map[report]struct{} // without info: in this period
	events map[string]int      // kind -> told in this period
}

func newMonitor(s *Service) *monitor {
	return &monitor{s: s, reports: make(chan report, reports), last: map[string][]uint64{}, told: map[report]struct{}{}, events: map[string]int{}}
}

// BusyPort tells that a client takes its output slowly; pending is in bytes. Any goroutine may call it; it does not block.
func (s *Service) BusyPort(clientID string, pending int) {
	if s.cfg.Monitor.BusyPort {
		s.monitor.post(report{"busy_port", clientID, fmt.Sprintf("client %s, %d bytes pending", clientID, pending)})
	}
}

// BusyDistPort tells that another service takes a stream slowly; queued is in bytes. Any goroutine may call it; it does not block.
func (s *Service) BusyDistPort(peer string, queued int) {
	if s.cfg.Monitor.BusyDistPort {
		s.monitor.post(report{"busy_dist_port", peer, fmt.Sprintf("%s, %d bytes queued", peer, queued)})
	}
}

func (m *monitor) post(r report) {
	select {
	case m.reports <- r:
	default:
		m.s.metrics.unmonitored.Inc()
	}
}

// run tells what is noticed until ctx ends.
func (m *monitor) run(ctx context.Context) {
	watch, period := time.NewTicker(watchEvery), time.NewTicker(quietTime)
	defer watch.Stop()
	defer period.Stop()
	m.look() // what was before is not told
	for {
		select {
		case r := <-m.reports:
			m.tell(r)
		case <-watch.C:
			for _, r := range m.look() {
				m.tell(r)
			}
		case <-period.C:
			clear(m.told)
			clear(m.events)
		case <-ctx.Done():
			return
		}
	}
}

// tell publishes and logs a report, unless the same was told a while ago, or too many others were.
func (m *monitor) tell(r report) {
	key := report{kind: r.kind, subject: r.subject}
	if _, again := m.told[key]; again || m.events[r.kind] >= mostEvents {
		m.s.metrics.unmonitored.Inc()
		return
	}
	m.told[key] = struct{}{}
	m.events[r.kind]++
	m.s.log.Warn("the system monitor noticed something", slog.String("event", r.kind), slog.String("info", r.info))
	m.s.publish(m.s.prefix+"sysmon/"+r.kind, fmt.Sprintf("%s warning: pid = %d, info: %s", r.kind, os.Getpid(), r.info), false)
}

// Figures of runtime/metrics.
const (
	gcPauses  = "/sched/pauses/total/gc:seconds"
	latencies = "/sched/latencies:seconds"
	heapBytes = "/memory/classes/heap/objects:bytes"
	heapLimit = "/gc/gomemlimit:bytes"
)

// look reads the runtime's figures and reports what passed a threshold since the last look.
func (m *monitor) look() (list []report) {
	cfg := &m.s.cfg.Monitor
	samples := []figures.Sample{{Name: gcPauses}, {Name: latencies}, {Name: heapBytes}, {Name: heapLimit}}
	figures.Read(samples)
	for i, w := range []struct {
		kind, info string
		threshold  time.Duration
	}{
		{"long_gc", "a pause of at least %s", cfg.LongGC},
		{"long_schedule", "a goroutine waited at least %s for a processor", cfg.LongSchedule},
	} {
		if w.threshold <= 0 || samples[i].Value.Kind() != figures.KindFloat64Histogram {
			continue
		}
		h := samples[i].Value.Float64Histogram()
		if d := longest(m.last[w.kind], h); m.last[w.kind] != nil && d >= w.threshold {
			list = append(list, report{w.kind, "", fmt.Sprintf(w.info, d)})
		}
		m.last[w.kind] = slices.Clone(h.Counts)
	}
	if cfg.LargeHeap > 0 && samples[2].Value.Kind() == figures.KindUint64 && samples[3].Value.Kind() == figures.KindUint64 {
		if heap, limit := samples[2].Value.Uint64(), samples[3].Value.Uint64(); largeHeap(heap, limit, cfg.LargeHeap) {
			list = append(list, report{"large_heap", "", fmt.Sprintf("%d bytes of %d", heap, limit)})
		}
	}
	return list
}

// largeHeap compares the heap with a share of the limit; the runtime's word for no limit is the largest int64.
func largeHeap(heap, limit uint64, percent int) bool {
	return limit > 0 && limit < math.MaxInt64 && float64(heap) >= float64(limit)*float64(percent)/100
}

// longest is the lower end of the highest bucket that has counted since.
func longest(before []uint64, h *figures.Float64Histogram) time.Duration {
	for i, n := range slices.Backward(h.Counts) {
		if n > 0 && (i >= len(before) || n > before[i]) {
			return time.Duration(max(h.Buckets[i], 0) * float64(time.Second))
		}
	}
	return 0
}
