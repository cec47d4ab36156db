//go:build broken_ack

package journal

const ackBeforeAppend = true
