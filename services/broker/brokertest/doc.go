// Package brokertest says what the contracts of package broker mean, so that a program can check it, and offers collaborators for tests.
//
// # Suites
//
// TestRouter, TestSessions, TestGateway and TestAuth run one subtest for each sentence of the contract comments that can be seen from outside; the
// subtest's name quotes the sentence. An implementation is described by a harness: the interface itself, and the functions by which a
// suite makes happen what the interface cannot (a partition moves, a process dies, a log stops). A missing function fails the sentences that need it.
// The suites wait for conditions, with a deadline, and never for a time to pass: they hold for a local implementation and for one behind gRPC.
//
// # Collaborators
//
// Sinks are destinations under a test's control, Upstream is a router under a test's control. Router, Sessions, Gateway and Auth are small implementations
// in memory that pass the suites. FaultyRouter, FaultySessions and FaultyAuth put faults in front of any implementation: delay, a stream that breaks
// after it took a batch, a batch that arrives twice, a refusal at open.
//
// # Locks
//
// Each fake has one lock and makes calls outwards without it, one at a time and in order (see loop). Sinks and Upstream are locked by themselves and are
// called last. Nothing here is durable, and nothing here is fast.
package brokertest
