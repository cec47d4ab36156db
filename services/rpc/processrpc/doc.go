// Package processrpc speaks pando.process.v1: Register serves what every process answers, and Client.Node is another process as a broker.ProcessAdmin.
package processrpc
