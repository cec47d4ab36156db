// Package chaos looks for broken promises: a workload of publishers and persistent sessions that note every acknowledgement and every delivery, faults that somebody
// else injects meanwhile, and a checker that compares the two notes at the end.
//
// What it holds the suite to (promises 1 to 3): a message whose PUBACK or PUBREC was read is delivered to the persistent session that was subscribed; one of QoS 2
// to a QoS 2 subscription exactly once; first deliveries of one publisher and QoS in the order of publishing; the retained message of a topic is the last
// acknowledged one, or a later one that was on its way.
//
// The client here is small and written for this: it decides itself what it sends again, and it notes an acknowledgement in the moment it is read.
package chaos
