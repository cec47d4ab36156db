package transport

import (
	"crypto/tls"
	"net/http"
	"net/netip"
	"time"

	"github.com/pando-mq/pando/services/transport/proxy"
)

// MaxPosts bounds the functions queued by Conn.Post on one connection. Callers
// post a few per connection and coalesce the rest; whoever passes the bound
// loses the connection with ErrPostOverflow.
const MaxPosts = 4096

// Handler is a protocol's state machine for one connection.
type Handler interface {
	// Data is given the bytes received and not yet consumed and returns how many
	// it consumed; the rest comes again, with more. b is valid only during the
	// call. After PauseRead it may leave complete packets unconsumed: ResumeRead
	// brings them again without waiting for more. An error closes the connection
	// with that reason, after what was queued has been sent.
	Data(b []byte) (n int, err error)
	// Closed ends the state machine. The socket takes no more output. reason is
	// nil for an ordinary end; ReasonOf gives its name.
	Closed(reason error)
}

// Drainer is a Handler that holds output back while the peer is slow. Drained is
// called when the output pending has fallen to a quarter of Config.HighWater
// after having been above it (Conn.Writable returned false).
type Drainer interface {
	Drained()
}

// Conn is one accepted connection. All methods may be called from any goroutine
// and none of them blocks.
type Conn interface {
	// Append queues a copy of b for sending. Queued by a Handler's method or a
	// posted function it leaves at the end of that batch, otherwise at Flush.
	// After Close it is dropped.
	Append(b []byte)
	// AppendFrom queues what encode appends to dst. encode must be pure: it must
	// not call a method of any Conn nor keep dst.
	AppendFrom(encode func(dst []byte) []byte)
	// Flush sends what is queued, unless a batch runs that will do so.
	Flush()
	// Pending is the number of queued bytes not yet given to the kernel.
	Pending() int
	// Writable is false from the moment Pending passes Config.HighWater until it
	// is a quarter of it; then Drained is called.
	Writable() bool
	// Post runs fn serialised with Data. It returns false, and fn never runs, when
	// Closed has been called or is being called, or MaxPosts functions wait.
	Post(fn func()) bool
	// PauseRead stops Data calls (and reading) until ResumeRead. Calls do not nest.
	// While paused the end of the peer is not noticed; deadlines are.
	PauseRead()
	ResumeRead()
	// SetReadLimit bounds the unconsumed input in bytes: a packet must be complete
	// within n bytes. It begins as Config.ReadLimit, meant for peers not yet
	// authenticated.
	SetReadLimit(n int)
	// SetDeadline closes the connection with ErrDeadline at t; zero: never. It
	// replaces the one set before and there is none at first.
	SetDeadline(t time.Time)
	// Close ends the connection: no more Data, what is queued is sent within
	// Config.SendTimeout, then Closed(reason). The first reason counts.
	Close(reason error)
	// Abort ends the connection at once and drops what is queued.
	Abort(reason error)
	// Info describes the connection; it is the same pointer at each call, until
	// ForgetInfo: then it is nil.
	Info() *Info
	// ForgetInfo lets go of what Info describes, for whoever keeps many idle
	// connections and took what it needs.
	ForgetInfo()
}

// Info is what is known of a connection when Accept is called. It belongs to the
// Handler, which may set to nil what it no longer needs.
type Info struct {
	Listener string         // Config.Name
	Kind     Kind           //
	Remote   netip.AddrPort // the client, IPv4 never as IPv6-mapped; with the PROXY protocol as the proxy says
	Local    netip.AddrPort // where it connected to
	Via      netip.AddrPort // the proxy that sent a header of the PROXY protocol; invalid without one
	Opened   time.Time      // when it was accepted
	Refused  Reason         // with Deps.Explain, the limit it is above: say so and close it, it is counted already; "" for the others

	Proxy       *proxy.Header        // what that header says; nil without one and for the proxy's own connections
	TLS         *tls.ConnectionState // nil without TLS; holds the peer's certificates
	Header      http.Header          // of the WebSocket upgrade request (Cookie, Origin); nil otherwise
	Subprotocol string               // negotiated WebSocket sub-protocol, "" for none
}

// Kind is the protocol stack of a listener.
type Kind string

// The kinds. "ssl" is read as TLS.
const (
	TCP Kind = "tcp"
	TLS Kind = "tls"
	WS  Kind = "ws"
	WSS Kind = "wss"
)

// secure reports whether TLS is below.
func (k Kind) secure() bool { return k == TLS || k == WSS }

// web reports whether WebSocket is on top.
func (k Kind) web() bool { return k == WS || k == WSS }

// HTTPFunc answers a plain GET or HEAD on a WebSocket listener. It runs in the
// connection's goroutine within the handshake timeout.
type HTTPFunc func(r *http.Request) (status int, contentType string, body []byte)
