// Package ctl is pandoctl: the commands, how they reach a running suite, and what they print.
//
// A command is one file; it asks pando.mgmt.v1 and prints rows as a table for people or as JSON for programs. What comes from devices (client ids, topics,
// names) is printed with its control characters escaped, so that it cannot speak to the terminal. Exit codes are listed in the help of the root command.
package ctl
