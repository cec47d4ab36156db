// Package gatewaymqtt is described in README.md.
package gatewaymqtt
