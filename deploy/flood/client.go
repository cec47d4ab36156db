package flood

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
)

// patience is how long a server may take for one answer.
const patience = 30 * time.Second

// client speaks MQTT 3.1.1.
type client struct {
	nc    net.Conn
	in    *bufio.Reader
	topic []byte
}

func dial(ctx context.Context, addr string) (*client, error) {
	d := net.Dialer{Timeout: patience}
	nc, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &client{nc: nc, in: bufio.NewReaderSize(nc, 512)}, nil
}

func (c *client) send(p packet.Packet) error {
	b, err := p.AppendTo(nil, packet.V311)
	if err != nil {
		return err
	}
	_ = c.nc.SetWriteDeadline(time.Now().Add(patience))
	_, err = c.nc.Write(b)
	return err
}

// greet connects.
func (c *client) greet(id string, clean bool) error {
	return errors.Join(c.send(&packet.Connect{Version: packet.V311, ClientID: id, CleanStart: clean, KeepAlive: 300}), c.until(packet.TypeConnack))
}

// until reads packets until one of each type came. A CONNACK has to be good.
func (c *client) until(types ...packet.Type) error {
	for len(types) > 0 {
		_ = c.nc.SetReadDeadline(time.Now().Add(patience))
		first, err := c.in.ReadByte()
		if err != nil {
			return err
		}
		size, err := c.length()
		if err != nil {
			return err
		}
		body := make([]byte, size)
		if _, err := io.ReadFull(c.in, body); err != nil {
			return err
		}
		got := packet.Type(first >> 4)
		if got == packet.TypeConnack && body[1] != 0 {
			return fmt.Errorf("CONNACK %d", body[1])
		}
		for i, t := range types {
			if t == got {
				types = append(types[:i:i], types[i+1:]...)
				break
			}
		}
	}
	return nil
}

// length is a remaining length.
func (c *client) length() (n int, err error) {
	for shift := 0; shift < 28; shift += 7 {
		b, err := c.in.ReadByte()
		if err != nil {
			return 0, err
		}
		if n |= int(b&0x7f) << shift; b < 0x80 {
			return n, nil
		}
	}
	return 0, errors.New("remaining length of more than four bytes")
}
