// Package fleettest is a suite in memory for tests of management: nodes in a registry, gateways, session-stores and routers that answer from tables, and
// built-in users and rules. Each process can be made silent.
//
// The tables answer as the real services do: pages are ordered, the limit of subscriptions counts clients, filters of routes are never split.
package fleettest
