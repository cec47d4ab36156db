// Package rpc is gRPC in one place: the server and the dialer that every process uses, the way to the owner of a partition, errors on the wire,
// and the multiplexed streams of the three hot hops. The adapters that speak a service's own protobuf are the packages below it.
//
// # Streams
//
// Publish, Deliver and Session are hot. For each of them one physical bidirectional gRPC stream leads from a process to another one, and carries any
// number of channels. A channel is one broker.PublishStream, DeliverStream or SessionStream:
//
//	opener                                    server
//	open(channel 7, what) ───────────────────►  calls the implementation's OpenX
//	                      ◄─────────────────── opened(7, epoch, credit)   or opened(7, failure)
//	items(7, ...)         ───────────────────►  Send of the implementation's stream
//	                      ◄─────────────────── answers(7, ...), credit(7, bytes)
//	close(7)              ───────────────────►  Close of the implementation's stream
//	                      ◄─────────────────── closed(7, failure)         when the implementation ended it
//
// What a channel promises is what services/broker promises for a stream: first in, first out, both ways; it ends as a whole; Send never blocks; no answer
// comes after Done. A physical stream that breaks ends all its channels with KindUnavailable; the next Open makes a new one.
//
// # Batching
//
// One goroutine sends for all channels of a physical stream. It puts what gathered while it was busy into one gRPC message, of all channels in turn, at most
// 256 items or 64 KiB; there is no timer, so an idle stream has no delay.
//
// # Bounds
//
// A sender has at most the credit of a channel on the way or waiting in the server (4 MiB, so a route.Publisher's window fits), and at most QueueBytes
// waiting for credit. Above that the channel ends with KindBusy. Answers wait in a queue of QueueBytes too; above it the channel ends the same way. What
// is on the wire is bounded by gRPC's flow control. Sizes are counted by the adapters over the same decoded items on both sides, so they never drift.
//
// # Owners
//
// A Dialer follows the cluster's view. Owned finds the owner of a partition, waits for one within its context, and looks again after KindNotOwner. A channel
// ends with KindUnavailable when the view shows its process gone and with KindNotOwner when it shows another epoch of its partition: sooner than a
// keep-alive would find out.
//
// # Locks
//
// Dialer.mu, pool.mu, Mux.mu, link.mu, Channel.mu, acceptor.mu and sender.mu. Mux.mu may be held while link.mu is taken, link.mu while sender.mu is; no other
// pair nests. None is held across I/O, a channel send or a callback.
package rpc
