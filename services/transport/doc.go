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
// It must not block: nothing in Conn does. What takes time is done elsewhere
// and comes back through Post; PauseRead holds the peer back meanwhile. It keeps
// nothing of the slice given to Data. It does not ask for goroutines: today each
// connection has one that reads, an event loop may replace it behind the same
// interface.
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
// # Inside
//
// Conn state is guarded by conn.mu, the table of connections by Listener.mu;
// they are never held together, nor across I/O or a Handler's method. The one
// callback under conn.mu is the encoder given to AppendFrom. A connection's
// goroutine reads, and is the last to leave: it waits for the batch that runs
// (serial.go) and for the writer (output.go) before it reports Closed.
package transport
