//go:build !broken_ack

package journal

// ackBeforeAppend breaks the first promise on purpose. The build tag broken_ack turns it on, for one test only: the one that proves that the checker of
// deploy/chaos catches a suite that acknowledges before the record is durable.
const ackBeforeAppend = false
