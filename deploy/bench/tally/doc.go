// Package tally keeps the books of a load run: how long messages took, and which of them were lost, repeated or out of order.
//
// Every message carries the run and the stream it belongs to, its sequence number in the stream, and when it was sent. A receiver keeps one Inbox per stream,
// with one bit per message, so that loss and repetition are counted exactly and not guessed from totals: a lost and a repeated message do not cancel out.
package tally
