// Package routerrpc speaks pando.router.v1: Register serves a router process, Client is the whole tier as a broker.Router, and Client.Node one process of it
// as a broker.RouterNode and broker.RouterAdmin.
//
// The client finds the owner of a topic or retained partition in the cluster's view, waits for one, and follows KindNotOwner. Publishes and deliveries go over
// the multiplexed streams of package rpc.
package routerrpc
