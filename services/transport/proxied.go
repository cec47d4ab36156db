package transport

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/pando-mq/pando/services/transport/proxy"
)

// readProxy takes the header of the PROXY protocol off the connection. It comes
// from a trusted peer or not at all, and within Config.ProxyTimeout.
func (c *conn) readProxy() error {
	if trusted := c.ln.deps.Trusted; trusted == nil || !trusted(c.info.Remote.Addr()) {
		return ErrProxyUntrusted
	}
	if err := c.setDeadlines(time.Now().Add(c.ln.cfg.ProxyTimeout)); err != nil {
		return err
	}
	buf := c.ln.pool.getRead()
	defer c.ln.pool.putRead(buf)
	for total := 0; ; {
		n, err := c.raw.Read(buf[total:proxy.MaxHeader])
		total += n
		h, used, bad := proxy.Parse(buf[:total])
		switch {
		case bad != nil:
			return fmt.Errorf("%w: %w", ErrProxy, bad)
		case used > 0:
			c.proxied(&h, buf[used:total])
			return nil
		case err != nil:
			if err = handshakeReason(ErrProxy, err); errors.Is(err, ErrHandshakeTimeout) {
				return ErrProxyTimeout
			}
			return err
		}
	}
}

// proxied takes over what the proxy says; rest came together with it.
func (c *conn) proxied(h *proxy.Header, rest []byte) {
	c.info.Via = c.info.Remote
	if !h.Local {
		c.info.Remote, c.info.Local, c.info.Proxy = h.Source, h.Dest, h
	}
	if len(rest) > 0 {
		c.nc = &prefixed{TCPConn: c.raw, rest: append([]byte(nil), rest...)}
	}
}

// prefixed is a socket before whose input comes what was read from it too early.
type prefixed struct {
	*net.TCPConn
	rest []byte
}

// Read implements net.Conn.
func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		return p.TCPConn.Read(b)
	}
	n := copy(b, p.rest)
	if p.rest = p.rest[n:]; len(p.rest) == 0 {
		p.rest = nil
	}
	return n, nil
}

// unwrap reads directly from the socket again: rest is what comes before that.
func (c *conn) unwrap() {
	if p, ok := c.nc.(*prefixed); ok {
		c.nc, c.rest = c.raw, append(c.rest, p.rest...)
	}
}
