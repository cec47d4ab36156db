// Package edgetest is what tests of gateways and of the edge stand on: a [Device] that records, and a [Backend] that plays the rest of the suite in
// memory (authentication, routers, session partitions, retained messages) for any number of edges in one process, with faults on demand.
//
// The backend keeps the contracts of package broker as far as a gateway can notice, without durability and without fail-over of its own: streams break
// when the test says so.
package edgetest
