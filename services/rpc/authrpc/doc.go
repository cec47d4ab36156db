// Package authrpc speaks pando.auth.v1: Register serves an authsvc process, Client is any of them as a broker.Auth and a broker.AuthAdmin, and Client.Node one
// of them as a broker.AuthAdmin.
//
// The client stays with one authsvc of the cluster's view and goes to the next one when that is unavailable. A question that changes nothing is asked again
// there; a change is sent once, over a connection that stands, because its outcome would be unknown (an appended rule would be there twice).
package authrpc
