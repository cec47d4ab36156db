package broker_test

import (
	"bytes"
	"testing"

	"github.com/pando-mq/pando/services/broker"
)

// Messages of one slab do not touch one another, also when the slab needs more memory in between.
func TestSlab(t *testing.T) {
	t.Parallel()
	var s broker.Slab
	var all []*broker.Message
	for i := range 1000 {
		payload := bytes.Repeat([]byte{byte(i)}, i%broker.SlabPayload)
		all = append(all, s.New(payload))
		clear(payload)
	}
	for i, m := range all {
		want := bytes.Repeat([]byte{byte(i)}, i%broker.SlabPayload)
		if !bytes.Equal(m.Payload, want) || !m.Slab || cap(m.Payload) != len(m.Payload) {
			t.Fatalf("message %d has %d bytes %x", i, len(m.Payload), m.Payload)
		}
	}
	m := all[17]
	m.Topic = "a"
	own := m.Own()
	if own == m || own.Slab || own.Topic != "a" || !bytes.Equal(own.Payload, m.Payload) || &own.Payload[0] == &m.Payload[0] {
		t.Errorf("own is %+v", own)
	}
	if own.Own() != own {
		t.Error("a message with memory of its own was copied")
	}
}

// A message that is not long is one allocation, and its payload cannot grow into what is behind it.
func TestNewMessage(t *testing.T) {
	for size, most := range map[int]float64{0: 1, 1: 1, 64: 1, 65: 1, 256: 1, 257: 2, 5000: 2} {
		payload := bytes.Repeat([]byte{7}, size)
		var m *broker.Message
		if n := testing.AllocsPerRun(50, func() { m = broker.NewMessage(payload) }); n > most {
			t.Errorf("%d bytes: %g allocations", size, n)
		}
		clear(payload)
		if !bytes.Equal(m.Payload, bytes.Repeat([]byte{7}, size)) || cap(m.Payload) != size || m.Slab {
			t.Errorf("%d bytes: %+v", size, m)
		}
	}
}

func TestSlabAllocations(t *testing.T) {
	var s broker.Slab
	payload := make([]byte, 256)
	if n := testing.AllocsPerRun(50, func() {
		for range 1000 {
			s.New(payload)
		}
	}); n > 5 {
		t.Errorf("%g allocations for 1000 messages", n)
	}
}
