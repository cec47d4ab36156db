// Package route is the origin's side of routing: what a gateway and a session partition both need towards the routers.
//
// Publisher is the first-in-first-out queue of each (source, topic partition): it numbers publishes, sends them to the partition's owner, keeps them until
// they are acked and sends them again, in order, to the next owner (rules N4, N10). Announcer tells routers which filters an origin has, answers
// their snapshots, and says when a subscription is routed everywhere (rules N1, N7, N8).
//
// It promises that an acked publish was answered by the router under one epoch, and that a Wait that reported nil was acked by every router that may
// route the filter. It never looks into sessions, and it never decides who receives a message.
//
// Locks: one per Publisher lane, one per Announcer; none is held across a call into the router, a callback or a channel send.
package route
