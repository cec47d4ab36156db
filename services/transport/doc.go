// Package transport owns the sockets: listeners for tcp, tls, ws and wss, and
// the connections they accept. A protocol is a Handler that is given bytes and
// a Conn it appends bytes to; it never sees a socket, a deadline or a frame.
//
// # What a Handler can rely on
//
//   - Data, Drained, Closed and every function given to Conn.Post are serialised
//     per connection: no two run at once and each sees what the one before wrote.
//   - Output queued while one of them runs leaves in one batch after it.
//   - Closed is the last call and comes exactly once for every Handler returned
//     by Deps.Accept, whatever ended the connection.
//   - A panic in a Handler is logged and ends that connection only.
//
// # What a Handler must do
//
// It must not block: nothing in Conn does, and many connections share the
// goroutine that calls it. What takes time is done elsewhere and comes back through
// Post; PauseRead holds the peer back meanwhile. It keeps nothing of the slice given
// to Data, which is the same buffer for all connections of a loop.
//
// # Bounds
//
// Per connection: unconsumed input (Config.ReadLimit, Conn.SetReadLimit), output
// not yet taken by the kernel (Config.MaxPending plus the one Append that passed
// it), MaxPosts functions. Per listener: connections, handshakes at once, and the
// time of a handshake. What passes a bound is closed and counted by Reason; with
// Deps.Explain MaxRefusals connections at once hear why first. Above
// Config.ConnRate connections wait in the kernel's queue. Several listeners may
// share a Budget.
//
// # The client's address
//
// With Config.ProxyProtocol each connection begins with a header that names the
// client (package proxy). It is taken from peers that Deps.Trusted knows, at most
// proxy.MaxHeader bytes within Config.ProxyTimeout; without it there is no
// connection. Info.Remote is then the client's address and Info.Via the proxy's.
//
// # Event loops
//
// On Linux, unless Config.Transport says otherwise, a connection belongs to one of
// a few event loops once its handshakes are done (loop_*.go). An idle one is then a
// struct and the kernel's socket: no goroutine, buffer, timer or closure. A loop
// reads at most 32 KB from a connection in a turn, into its own buffer, runs the
// Handlers, and flushes every connection that was written to once at the turn's
// end; what was posted to another loop meanwhile wakes that one once. What the
// kernel does not take stays with the connection until epoll says that it may be
// written. Its epoll set is a descriptor in the runtime's poller, so a waiting loop
// occupies no thread, and is woken by a deadline in the past, without a system
// call. A lazy wheel per loop keeps the deadlines, 20 to 40 ms late.
//
// crypto/tls reads from and writes to buffers there (sealed.go) and goes on after
// "nothing to read yet". Handshakes have a goroutine each, of which all but one
// processor's worth may compute at a time: a flood of them leaves the loops theirs.
//
// Elsewhere, and with Config.Transport "goroutine", each connection has a goroutine
// that reads. The tests of this package run both ways.
//
// # Inside
//
// The state of a connection is guarded by conn.mu or loopConn.mu, a loop's queue by
// loop.mu, the table of connections by Listener.mu, the use of the loops by
// Loops.mu. None is held while another one is taken but Listener.mu, under which
// Loops.mu and then loop.mu may be; none across I/O or a Handler's method. The one
// callback under the connection's lock is the encoder given to AppendFrom.
//
// The goroutine of a connection without a loop is the last to leave: it waits for
// the batch that runs (serial.go) and for the writer (output.go) before it reports
// Closed.
package transport
