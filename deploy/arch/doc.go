// Package arch keeps the rules of the house: who may import whom, and what no
// file may hold. Its test reads the whole tree and names, for each violation,
// the rule, the file and what is wrong with it.
//
// To permit a new import, change the table in table.go in the same commit as
// the design; there is no list of exceptions.
package arch
