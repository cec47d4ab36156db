package chaos

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
)

// version is the protocol that the workload speaks: 3.1.1 has no flow control of its own that could hide a lost message.
const version = packet.V311

const ioTimeout = 10 * time.Second

// link is one MQTT connection.
type link struct {
	conn    net.Conn
	r       *bufio.Reader
	present bool // the server has a session

	mu sync.Mutex // serialises writes
}

// dial connects and waits for CONNACK.
func dial(ctx context.Context, addr, clientID string, clean bool) (*link, error) {
	d := net.Dialer{Timeout: ioTimeout}
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	l := &link{conn: conn, r: bufio.NewReader(conn)}
	if err := l.open(clientID, clean); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return l, nil
}

func (l *link) open(clientID string, clean bool) error {
	if err := l.write(&packet.Connect{Version: version, ClientID: clientID, CleanStart: clean, KeepAlive: 300}); err != nil {
		return err
	}
	if err := l.conn.SetReadDeadline(time.Now().Add(ioTimeout)); err != nil {
		return err
	}
	p, err := l.read()
	if err != nil {
		return err
	}
	ack, ok := p.(*packet.Connack)
	if !ok || ack.Reason != 0 {
		return fmt.Errorf("connect %s: answered with %v", clientID, p)
	}
	l.present = ack.SessionPresent
	return l.conn.SetReadDeadline(time.Time{})
}

func (l *link) write(p packet.Packet) error {
	b, err := p.AppendTo(nil, version)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.conn.SetWriteDeadline(time.Now().Add(ioTimeout)); err != nil {
		return err
	}
	_, err = l.conn.Write(b)
	return err
}

// read gives the next packet. Its bytes are its own.
func (l *link) read() (packet.Packet, error) {
	var head []byte
	for {
		c, err := l.r.ReadByte()
		if err != nil {
			return nil, err
		}
		head = append(head, c)
		h, n, err := packet.ReadHeader(head)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			continue
		}
		body := make([]byte, h.Remaining)
		if _, err := io.ReadFull(l.r, body); err != nil {
			return nil, err
		}
		return packet.Decode(h, body, version, nil)
	}
}

func (l *link) close() { _ = l.conn.Close() }
