// Package brokerrpc converts the vocabulary of services/broker to and from pando.broker.v1, for the adapters beside it: messages, identities, subscriptions,
// deliveries, snapshots and rows of listings.
//
// # What is kept
//
// A value comes back as it was, with these exceptions. Times and durations have whole milliseconds: times are cut, durations rounded up, so that a short
// one does not become the 0 that means something else. A time of exactly 1970-01-01 is "none". Negative durations are 0; broker.Forever stays. An empty
// slice or map comes back as nil, which every contract treats alike. A byte that is not UTF-8 in a text becomes '?'.
//
// # What is refused
//
// Decoders never panic and refuse, with an error, what no correct sender makes: texts and topics above their length, an empty topic, QoS above 2, ids that are
// not 16 bytes, numbers of partitions above 4096, unknown enumerators, missing parts.
package brokerrpc
