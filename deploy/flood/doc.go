// Package flood measures what well-behaved clients notice while others misbehave: 100 witnesses send themselves a message of QoS 1 at a steady pace, first
// alone, then during a flood. It reports the witnesses' round trips and the largest resident memory of the process under attack.
package flood
