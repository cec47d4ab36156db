// Package scenario holds the kinds of load that a broker is measured with: who connects, who subscribes to what, who publishes how.
//
// Each is a function from Options to a Result, and nothing in it knows which broker it talks to.
package scenario
