// Package fleet asks the services of a cluster what management wants to know, and merges their answers.
//
// Every question goes to all services concerned at the same time, each with the same deadline. A list is made of the sorted pages of all of
// them. Who did not answer is named in Missing; the rest of the answer holds. A change of one client (kick, subscribe) is asked of everybody as well:
// the one process that has the client does it, the others say that they do not have it.
//
// It keeps nothing between two questions, and at most one page of each service in memory.
package fleet
