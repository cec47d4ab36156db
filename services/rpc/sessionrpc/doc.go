// Package sessionrpc speaks pando.session.v1: Register serves a session-store process, Client is the whole tier as a broker.Sessions, and Client.Node one
// process of it as a broker.SessionAdmin.
//
// The client finds the owner of a session partition in the cluster's view, waits for one, and follows KindNotOwner. Requests, replies and pushes, and
// deliveries, go over the multiplexed streams of package rpc. When half of a channel's answer queue is used, pushes at QoS 0 are dropped and counted.
package sessionrpc
