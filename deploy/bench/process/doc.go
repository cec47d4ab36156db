// Package process reads what processes cost, from /proc, and describes the machine.
//
// CPU is user plus system time of all threads, also of those that ended. Linux gives it in ticks of 10 ms: measure seconds, not milliseconds.
package process
