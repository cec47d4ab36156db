// Package gatewayrpc speaks pando.gateway.v1: Register serves a gateway process, and Client.Node is one gateway process as a broker.Gateway. There is no tier:
// whoever asks a gateway knows which one.
package gatewayrpc
