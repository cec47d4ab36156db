// Package wire is the little of MQTT 3.1, 3.1.1 and 5.0 that a load generator speaks.
//
// It is written apart from the product's codec on purpose: a mistake that both share would measure nothing. Encoders append to a slice of the caller and do
// not allocate when it has room; the decoder aliases its input. It does not validate what a broker may send beyond what keeps it from reading outside a packet.
package wire
