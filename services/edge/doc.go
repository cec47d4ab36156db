// Package edge is what all protocol gateways share: connecting and take-over, publishing, subscribing, delivering, keep-alive, wills, quotas, mount
// points, hooks, and the dispatch of $local subscriptions. A gateway turns bytes into calls of [Conn] and calls of its [Device] into bytes; it decides nothing.
//
// # The shape of a gateway
//
//	e, err := edge.New(cfg, deps)                                     one per process and incarnation; e.Start(ctx), e.Stop(ctx), e.Fence()
//	c := e.Connect(dev, &edge.ConnectRequest{...}, func(r edge.ConnectResult) { CONNACK })
//	c.Publish(edge.Publish{Msg, PacketID, Done: func(r edge.PublishResult) { PUBACK or PUBREC }})
//	c.Release(packetID, func(packetID uint16, known bool, err error) { PUBCOMP })      PUBREL came
//	c.AuthContinue(data); c.Reauthenticate(data, func([]byte, error))  enhanced authentication, see ConnectRequest.Challenge
//	known := c.Ack(packetID, broker.AckPuback, failed)                PUBACK, PUBREC, PUBCOMP came; PUBREL goes out by Device.Release
//	c.Subscribe(subs, func([]edge.SubscribeResult) { SUBACK })
//	c.Unsubscribe(filters, func([]edge.SubscribeResult) { UNSUBACK })
//	c.Touch()                                                         something was received: for the keep-alive
//	c.Drained()                                                       after Deliver said SentFull: there is room again
//	c.Disconnect(edge.Disconnect{...})                                DISCONNECT came; close the socket then
//	c.SetExpiry(d, func(error) {})
//	c.Closed("closed")                                                the connection is over, always, exactly once, as the last call
//
// # Threads
//
// Every method of Conn is called on the connection's executor, returns at once, and calls back on the executor, sometimes before it returned. What
// happens elsewhere comes through Device.Post, in order, one posted function at a time; after Closed nothing is called back. Packets of one client are handled in order: while the ACL, a
// hook or a full queue makes one wait, those behind it wait too, and nobody else's do; the Device is told to Hold when that takes too many bytes.
//
// # What it promises
//
// Clean sessions live here (services/session) and end with their connection; for persistent ones the edge is the window of the session partition that
// owns them. Either way the client id is attached at its session partition, so that it has one owner in the cluster. A gateway incarnation is one Edge:
// after Fence (the lease was lost) it refuses everything, and the process makes a new one.
//
// # Bounds
//
// Per connection: packets in the gate and unanswered publishes, SUBSCRIBEs, UNSUBSCRIBEs and PUBRELs (publish.max_unacked, beyond it reading is held), the session's queue
// (session.queue), pushes of a persistent session (its window, and output.max_pushed for QoS 0), cached decisions (acl.cache_size). Per process: publishes
// towards routers (publish.max_queued), requests to one session partition (16 MiB, beyond it they wait; answers to deliveries do not), questions (auth.workers and
// auth.waiting), readers of retained messages (32), shared messages that look for a member (4 MiB). What is dropped is counted by [DropReason].
//
// # Locks
//
// topicSink.mu (order of one topic partition) is taken before groups.mu, deliverStreams.mu, the index's locks, the announcer's and Conn.mu; partition.mu
// (requests, connections) before Conn.mu. Conn.mu guards what other goroutines touch of a connection; under it nothing else is locked. The rest of a connection belongs to
// its executor. No lock is held while a Device, a hook, a callback or another service is called.
package edge
