package load

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/pando-mq/pando/deploy/bench/tally"
	"github.com/pando-mq/pando/deploy/bench/wire"
)

// greet begins MQTT on a socket that a dialler has handed over.
func (f *Fleet) greet(c *conn) error {
	if err := f.loop.watch(c.s.fd, c.index, unix.EPOLL_CTL_ADD, false); err != nil {
		return err
	}
	c.state = greeting
	c.out = wire.AppendConnect(c.out, wire.Hello{
		Version: c.spec.Version, ClientID: c.spec.ID, User: c.spec.User, Password: c.spec.Password,
		Clean: c.spec.Clean, Expiry: c.spec.Expiry, KeepAlive: c.spec.KeepAlive,
	})
	f.touch(c)
	return nil
}

// handle is the client: what it does with each packet.
func (f *Fleet) handle(c *conn, p *wire.Packet) error {
	switch p.Type {
	case wire.Publish:
		f.receive(c, p)
	case wire.Puback, wire.Pubcomp:
		f.acknowledged(c, p)
	case wire.Pubrec:
		if p.Code >= 0x80 {
			f.acknowledged(c, p)
			return nil
		}
		f.answer(c, wire.Pubrel, p.ID)
	case wire.Pubrel:
		f.answer(c, wire.Pubcomp, p.ID)
	case wire.Connack:
		return f.admitted(c, p)
	case wire.Suback:
		return f.granted(c, p)
	case wire.Disconnect:
		return fmt.Errorf("the broker disconnects, reason 0x%02x", p.Code)
	}
	return nil
}

func (f *Fleet) answer(c *conn, kind byte, id uint16) {
	c.out = wire.AppendAck(c.out, kind, id)
	f.touch(c)
}

func (f *Fleet) admitted(c *conn, p *wire.Packet) error {
	if p.Code != 0 {
		return fmt.Errorf("connection refused, code 0x%02x", p.Code)
	}
	f.connectTime.Record(f.now - c.began)
	f.present += count(p.Present)
	if c.pub != nil {
		c.pub.credit = int64(p.Credit)
		if c.spec.Version != wire.V5 {
			c.pub.credit = 65535
		}
	}
	c.state = subscribing
	if p.Present && !f.subscribeAgain {
		c.granted = len(c.spec.Filters)
	}
	f.subscribe(c)
	return nil
}

// defaultBatch is how many filters one SUBSCRIBE has.
const defaultBatch = 100

// subscribe asks for the next filters, or is done.
func (f *Fleet) subscribe(c *conn) {
	rest := c.spec.Filters[c.granted:]
	if len(rest) == 0 {
		c.state = ready
		f.connected++
		f.settled(c)
		return
	}
	n := c.spec.Batch
	if n == 0 {
		n = defaultBatch
	}
	c.out = wire.AppendSubscribe(c.out, c.spec.Version, 1, c.spec.QoS, rest[:min(n, len(rest))])
	f.touch(c)
}

func (f *Fleet) granted(c *conn, p *wire.Packet) error {
	if c.state != subscribing {
		return errors.New("SUBACK that nobody waits for")
	}
	for _, code := range p.Codes {
		if code > 2 {
			return fmt.Errorf("subscription to %s refused, code 0x%02x", c.spec.Filters[c.granted], code)
		}
		c.granted++
		f.subscribed++
	}
	if len(p.Codes) == 0 || c.granted > len(c.spec.Filters) {
		return errors.New("SUBACK with another number of codes than there were filters")
	}
	f.subscribe(c)
	return nil
}

// receive answers a message and enters it in the books.
func (f *Fleet) receive(c *conn, p *wire.Packet) {
	switch p.QoS {
	case 1:
		f.answer(c, wire.Puback, p.ID)
	case 2:
		f.answer(c, wire.Pubrec, p.ID)
	}
	stamp, ok := tally.Read(p.Payload)
	if !ok || stamp.Run != f.run && !f.options.Foreign || stamp.Run == f.run && int(stamp.Stream) >= len(f.publishers) {
		f.foreign++
		return
	}
	if !c.inbox(stamp.Run, stamp.Stream).Add(stamp.Seq) {
		return
	}
	if stamp.Run == f.run {
		p := f.publishers[stamp.Stream]
		if p.spec.Group && !p.group.Add(stamp.Seq) {
			return // another member has it
		}
		p.delivered++
		f.credit(p)
	}
	f.delivered++
	f.stretch.tick.Record(f.now - stamp.Sent)
}

func (f *Fleet) acknowledged(c *conn, p *wire.Packet) {
	if c.pub == nil {
		return
	}
	if p.Code >= 0x80 {
		f.refused++
		if c.pub.firstRefusal == 0 {
			c.pub.firstRefusal = p.Code
		}
	}
	c.pub.acked++
	f.acked++
	f.credit(c.pub)
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}
