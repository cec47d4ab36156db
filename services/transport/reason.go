package transport

import (
	"errors"
	"io"
	"os"
	"syscall"

	"github.com/pando-mq/pando/services/transport/ws"
)

// Reason says why a connection ended; its text is the key under which the
// listener counts it. Protocols define their own ("keepalive_timeout", "kick").
type Reason string

// Error implements error.
func (r Reason) Error() string { return string(r) }

// Reasons given by the transport itself. "normal" is a nil reason.
const (
	ErrPeerClosed       Reason = "closed"            // the peer closed its side
	ErrReset            Reason = "connection_reset"  // the peer or the network broke it
	ErrSlowReader       Reason = "slow_reader"       // output passed Config.MaxPending
	ErrSendTimeout      Reason = "send_timeout"      // the peer took nothing within Config.SendTimeout
	ErrReadLimit        Reason = "read_limit"        // a packet longer than the read limit
	ErrDeadline         Reason = "deadline"          // Conn.SetDeadline
	ErrPostOverflow     Reason = "post_overflow"     // more than MaxPosts functions queued
	ErrPanic            Reason = "panic"             // a Handler panicked
	ErrShutdown         Reason = "shutdown"          // Listener.Close
	ErrRefused          Reason = "refused"           // Accept returned nil
	ErrMaxClients       Reason = "max_clients"       // Config.MaxClients
	ErrMaxConnections   Reason = "max_connections"   // Deps.Budget
	ErrProxy            Reason = "proxy_error"       // no header of the PROXY protocol, or a broken one
	ErrProxyUntrusted   Reason = "proxy_untrusted"   // the peer is no trusted proxy
	ErrProxyTimeout     Reason = "proxy_timeout"     // Config.ProxyTimeout
	ErrMaxHandshakes    Reason = "max_handshakes"    // Config.MaxHandshakes
	ErrHandshakeTimeout Reason = "handshake_timeout" // Config.HandshakeTimeout
	ErrTLS              Reason = "tls_error"         // TLS handshake refused
	ErrUpgrade          Reason = "upgrade_refused"   // not an acceptable WebSocket upgrade
	ErrHTTP             Reason = "http_request"      // answered by an HTTPFunc
	ErrWebSocket        Reason = "websocket_error"   // RFC 6455 broken by the peer
	errOther            Reason = "error"             // anything else
)

// ReasonOf names the reason given to Close, Abort or Closed.
func ReasonOf(err error) Reason {
	if err == nil {
		return "normal"
	}
	if r, ok := errors.AsType[Reason](err); ok {
		return r
	}
	return errOther
}

// readReason turns an error of reading a socket into a reason.
func readReason(err error) error {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF): // the second: TLS without close_notify
		return ErrPeerClosed
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ETIMEDOUT):
		return ErrReset
	}
	return err
}

// writeReason turns an error of writing a socket into a reason.
func writeReason(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return ErrSendTimeout
	}
	return readReason(err)
}

// closeCode is the WebSocket close code for a reason.
func closeCode(reason error) int {
	if ce, ok := errors.AsType[*ws.CloseError](reason); ok {
		return ce.Code
	}
	if errors.Is(reason, ErrShutdown) {
		return ws.CodeGoingAway
	}
	return ws.CodeNormal
}
