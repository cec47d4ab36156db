package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/pando-mq/pando/services/transport/ws"
)

// establish does everything between accept and the protocol, blocking, within
// the timeouts: socket options, PROXY header, TLS, WebSocket upgrade.
func (c *conn) establish() error {
	cfg := &c.ln.cfg
	if err := c.tune(); err != nil {
		return fmt.Errorf("set socket options: %w", err)
	}
	kind := c.info.Kind
	if !kind.secure() {
		rc, err := c.raw.SyscallConn()
		if err != nil {
			return fmt.Errorf("open raw connection: %w", err)
		}
		c.rc = rc
	}
	if cfg.ProxyProtocol {
		return c.handshake(c.behindProxy)
	}
	if err := c.admitted(); err != nil || kind == TCP {
		return err
	}
	return c.handshake(c.stack)
}

// handshake runs what takes time, if not too many do, and ends its deadlines.
func (c *conn) handshake(fn func() error) error {
	defer c.ln.handshakes.Add(-1)
	if c.ln.handshakes.Add(1) > int64(c.ln.cfg.MaxHandshakes) {
		return ErrMaxHandshakes
	}
	if err := fn(); err != nil {
		return err
	}
	return c.setDeadlines(time.Time{})
}

// behindProxy is establish where the PROXY protocol is below.
func (c *conn) behindProxy() error {
	if err := c.readProxy(); err != nil {
		return err
	}
	if err := c.admitted(); err != nil {
		return err
	}
	if c.info.Kind != TCP {
		if err := c.stack(); err != nil {
			return err
		}
	}
	c.unwrap()
	return nil
}

// admitted asks whether the client may connect, before anything costly is done.
func (c *conn) admitted() error {
	if c.ln.deps.Admit == nil {
		return nil
	}
	return c.ln.deps.Admit(c.info.Remote.Addr())
}

// stack does the handshakes of the layers above TCP.
func (c *conn) stack() error {
	by := time.Now().Add(c.ln.cfg.HandshakeTimeout)
	if err := c.setDeadlines(by); err != nil {
		return err
	}
	if c.info.Kind.secure() {
		if err := c.startTLS(by); err != nil {
			return err
		}
	}
	if c.info.Kind.web() {
		return c.upgrade()
	}
	return nil
}

// setDeadlines sets both deadlines, unless the connection is ending: then the
// one that wakes its goroutine stays.
func (c *conn) setDeadlines(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return c.reason
	}
	return c.raw.SetDeadline(t)
}

func (c *conn) tune() error {
	cfg := &c.ln.cfg
	var errs []error
	if !cfg.NoDelay { // package net sets it
		errs = append(errs, c.raw.SetNoDelay(false))
	}
	if cfg.SndBuf > 0 {
		errs = append(errs, c.raw.SetWriteBuffer(cfg.SndBuf))
	}
	if cfg.RecBuf > 0 {
		errs = append(errs, c.raw.SetReadBuffer(cfg.RecBuf))
	}
	return errors.Join(errs...)
}

func (c *conn) startTLS(by time.Time) error {
	p := &pipe{Conn: c.nc, turns: c.ln.turns, pool: c.ln.pool}
	t := tls.Server(p, c.ln.tls.Load())
	ctx, cancel := context.WithDeadline(context.Background(), by)
	defer cancel()
	p.begin()
	err := t.HandshakeContext(ctx)
	p.end()
	p.turns = nil
	if err != nil {
		return handshakeReason(ErrTLS, err)
	}
	state := t.ConnectionState()
	c.nc, c.pipe, c.info.TLS = t, p, &state
	return nil
}

// handshakeReason tells a timeout from a fault of the peer.
func handshakeReason(fault Reason, err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return ErrHandshakeTimeout
	case readReason(err) == ErrPeerClosed, readReason(err) == ErrReset:
		return readReason(err)
	}
	return fmt.Errorf("%w: %w", fault, err)
}

// upgrade reads one request and turns the connection into a WebSocket, or
// answers it and gives the reason to end.
func (c *conn) upgrade() error {
	buf := c.ln.pool.getRead()
	defer c.ln.pool.putRead(buf)
	head, total, err := ws.ReadHead(c.nc, buf[:ws.MaxHead])
	if err != nil {
		return c.refuse(err)
	}
	r, err := ws.ParseRequest(buf[:head])
	if err != nil {
		return c.refuse(err)
	}
	if fn := c.ln.deps.HTTP[r.URL.Path]; fn != nil {
		return c.answer(fn, r)
	}
	sub, err := c.ln.upgrade.Check(r)
	if err != nil {
		return c.refuse(err)
	}
	if _, err := c.nc.Write(ws.AppendAccept(nil, r, sub)); err != nil {
		return handshakeReason(ErrUpgrade, err)
	}
	c.web = new(ws.Decoder)
	c.rest = append([]byte(nil), buf[head:total]...)
	c.info.Header, c.info.Subprotocol = r.Header, sub
	return nil
}

// refuse answers an *ws.HTTPError with its text.
func (c *conn) refuse(err error) error {
	he, ok := errors.AsType[*ws.HTTPError](err)
	if !ok {
		return handshakeReason(ErrUpgrade, err)
	}
	c.respond(he.Status, "text/plain", []byte(he.Text), false)
	return fmt.Errorf("%w: %w", ErrUpgrade, err)
}

// answer serves a path of Deps.HTTP.
func (c *conn) answer(fn HTTPFunc, r *http.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return c.refuse(&ws.HTTPError{Status: http.StatusMethodNotAllowed, Text: "Method Not Allowed"})
	}
	c.guard(func() {
		status, contentType, body := fn(r)
		c.respond(status, contentType, body, r.Method == http.MethodHead)
	})
	return ErrHTTP
}

func (c *conn) respond(status int, contentType string, body []byte, head bool) {
	if _, err := c.nc.Write(ws.AppendResponse(nil, status, contentType, body, head)); err == nil {
		c.linger()
	}
}

// webReason is the reason for the end that the decoder found.
func webReason(ce *ws.CloseError) error {
	if ce.Peer {
		return fmt.Errorf("%w: %w", ErrPeerClosed, ce)
	}
	return fmt.Errorf("%w: %w", ErrWebSocket, ce)
}
