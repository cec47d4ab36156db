// Package scram is the server's side of SCRAM-SHA-256 and SCRAM-SHA-512 (RFC 5802, RFC 7677) as MQTT 5.0 §4.12 carries it, and the derivation of what a
// server keeps of a password. It is pure: no I/O, no clock, and no state between the steps, so that any server that has the user's keys can go on.
//
//	client                                   server
//	n,,n=user,r=<nonce>               ──►    ParseFirst
//	                                  ◄──    First.Challenge: r=<nonce><more>,s=<salt>,i=<iterations>
//	c=biws,r=<nonce><more>,p=<proof>  ──►    Finish
//	                                  ◄──    v=<signature>
//
// What Challenge leaves for Finish is a text that whoever holds the connection keeps and gives back. It holds no secret, but it decides which challenge the
// proof must answer: it must come from Challenge, and must serve once. Clients never see it.
//
// Channel binding is not supported: the header is "n,," and nothing else. Proofs and nonces are compared in constant time.
package scram
