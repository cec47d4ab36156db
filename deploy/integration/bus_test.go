package integration_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pando-mq/pando/services/bus"
	"github.com/pando-mq/pando/services/bus/bustest"
)

// eventServer is a NATS server on a free port of the loopback, without JetStream.
func eventServer(t *testing.T) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(20 * time.Second) {
		t.Fatal("the NATS server is not ready")
	}
	return s
}

func eventConn(t *testing.T, s *server.Server) *nats.Conn {
	t.Helper()
	c, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func eventBus(t *testing.T, c *nats.Conn, cluster string, o bus.Options) *bus.NATS {
	t.Helper()
	b, err := bus.NewNATS(c, cluster, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// TestBusOverNATS gives each test a cluster of its own on one server, and the
// two ends a connection each.
func TestBusOverNATS(t *testing.T) {
	t.Parallel()
	s := eventServer(t)
	var clusters atomic.Int64
	bustest.Run(t, func(t *testing.T, o bus.Options) (bus.Bus, bus.Bus) {
		cluster := fmt.Sprint("c", clusters.Add(1))
		return eventBus(t, eventConn(t, s), cluster, o), eventBus(t, eventConn(t, s), cluster, o)
	})
}

func TestBusOverNATSCountsMalformedEvents(t *testing.T) {
	t.Parallel()
	c := eventConn(t, eventServer(t))
	registry := prometheus.NewRegistry()
	b := eventBus(t, c, "a", bus.Options{Metrics: bus.NewMetrics(registry)})
	got := make(chan bus.Event, 10)
	stop, err := b.Subscribe(bus.All, func(e bus.Event) { got <- e })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	for subject, payload := range map[string]string{
		"pando.a.event.node.up":   `{"subject":"node.up"`,          // no JSON
		"pando.a.event.node.down": `{"subject":"auth.changed"}`,    // on a subject that is not its own
		"pando.b.event.node.up":   `{"subject":"session.created"}`, // another cluster's
	} {
		if err := c.Publish(subject, []byte(payload)); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Publish(t.Context(), bus.Event{Subject: bus.AuthChanged}); err != nil {
		t.Fatal(err)
	}
	select {
	case e := <-got:
		if e.Subject != bus.AuthChanged {
			t.Errorf("got %+v", e)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the good event did not come")
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	dropped := map[string]float64{}
	for _, f := range families {
		if f.GetName() == "pando_bus_events_dropped_total" {
			for _, m := range f.GetMetric() {
				dropped[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	if dropped["malformed"] != 2 || dropped["queue_full"] != 0 {
		t.Errorf("dropped %v, want 2 malformed", dropped)
	}
}

func TestBusOverNATSWithoutServer(t *testing.T) {
	t.Parallel()
	c := eventConn(t, eventServer(t))
	b := eventBus(t, c, "a", bus.Options{})
	c.Close()
	if err := b.Publish(t.Context(), bus.Event{Subject: bus.NodeUp}); err == nil {
		t.Error("publish on a closed connection gave no error")
	}
	if _, err := b.Subscribe(bus.All, func(bus.Event) {}); err == nil {
		t.Error("subscribe on a closed connection gave no error")
	}
}
