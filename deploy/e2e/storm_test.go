package e2e

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
)

// contender is one of many connections with the same client id.
type contender struct {
	raw
	pongs chan struct{} // one per PINGRESP
	over  atomic.Bool   // the server has ended it
	wrong atomic.Pointer[string]
}

// contend connects and reads until the end.
func contend(t *testing.T, place int, cp *paho.Connect) (*contender, error) {
	conn, err := net.DialTimeout("tcp", at(suite.MQTT(), place), patience)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = conn.Close() })
	c := &contender{raw: raw{conn}, pongs: make(chan struct{}, 1)}
	p := cp.Packet()
	p.ProtocolName, p.ProtocolVersion = "MQTT", 5
	control := &packets.ControlPacket{Content: p, FixedHeader: packets.FixedHeader{Type: packets.CONNECT}}
	if _, err := control.WriteTo(conn); err != nil {
		return nil, err
	}
	go c.listen()
	return c, nil
}

// listen reads what the server says. Whoever has lost the client id is told so, or that the server is busy.
func (c *contender) listen() {
	defer c.over.Store(true)
	for {
		p, err := packets.ReadPacket(c.conn)
		if err != nil {
			return
		}
		code := byte(0)
		switch p := p.Content.(type) {
		case *packets.Pingresp:
			c.pongs <- struct{}{}
		case *packets.Connack:
			code = p.ReasonCode
		case *packets.Disconnect:
			code = p.ReasonCode
		}
		if code != 0 && code != packets.DisconnectSessionTakenOver && code != packets.DisconnectServerBusy {
			text := fmt.Sprintf("told %#x", code)
			c.wrong.Store(&text)
		}
	}
}

// alive asks the server for an answer.
func (c *contender) alive(t *testing.T) {
	t.Helper()
	c.send(t, &packets.Pingreq{})
	select {
	case <-c.pongs:
	case <-time.After(patience):
		t.Error("the connection that is left does not answer")
	}
}

// Case 20 of bad input, over every gateway: one client id from 100 sockets at once, with clean start and without in turn. One of them has it in the end, is
// served, and the session goes on with it; everybody else is told and ended.
func TestOneClientIDFromManySockets(t *testing.T) {
	t.Parallel()
	const sockets, rounds = 100, 3
	id := unique("storm")
	for round := range rounds {
		left := storm(t, id, sockets, round)
		left.alive(t)
		_ = left.conn.Close()
	}
	last := paho5(t, connect{ID: id, Place: rounds})
	topic, pub := unique("e2e/storm"), paho5(t, connect{})
	last.Subscribe(t, 1, topic)
	pub.Publish(t, message{Topic: topic, Payload: "x", QoS: 1})
	expect(t, last, topic+" x q1")
	fence(t, last, pub, topic)
}

// storm connects everybody at once and returns the one that is left.
func storm(t *testing.T, id string, sockets, round int) *contender {
	t.Helper()
	all := make([]*contender, sockets)
	var each sync.WaitGroup
	for i := range all {
		each.Go(func() {
			cp := &paho.Connect{ClientID: id, CleanStart: (i/2+round)%2 == 0, KeepAlive: 60}
			cp.Properties = &paho.ConnectProperties{SessionExpiryInterval: ptr(uint32(100 * (i % 2)))}
			var err error
			if all[i], err = contend(t, i, cp); err != nil {
				t.Error(err)
			}
		})
	}
	each.Wait()
	if t.Failed() {
		t.FailNow()
	}
	var left *contender
	eventually(t, 2*patience, func() error {
		var open int
		for _, c := range all {
			if !c.over.Load() {
				left = c
				open++
			}
		}
		if open != 1 {
			return fmt.Errorf("%d of %d connections are open, want 1", open, sockets)
		}
		return nil
	})
	for _, c := range all {
		if text := c.wrong.Load(); text != nil {
			t.Errorf("a connection that lost was %s", *text)
		}
	}
	return left
}
