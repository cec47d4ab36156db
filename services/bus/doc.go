// Package bus carries events between the processes of a cluster: what
// happened to clients, sessions and messages, traces, hook events.
//
// An event is never the only copy of anything. Delivery is at most once: a
// subscriber that is slow, disconnected or not there yet misses events, and
// what was dropped is counted. State that must not be lost goes through the
// journal or through etcd.
//
// Every subject stands in one table (subject.go). On NATS the subject of an
// event is
//
//	pando.<cluster>.event.<subject>
//
// and the payload is the event as one JSON object. Node names, client ids and
// topics are in the payload only: they may hold any character.
//
// Two implementations pass one suite (package bustest): Memory for one
// process, and NATS.
package bus
