// Package suite measures brokers one beside the other and writes the table of figures.
//
// A Row is one scenario with the bars that it is judged by. For each repetition, row and broker a broker is started that has seen nothing else, the brokers
// in turn, and the figure in the table is the median. The generator, the broker and whatever else this machine does share its processors: CPU per message
// is robust against that, times are not, so the load of the machine stands in the table.
//
// What a broker was set to is asked of the running process (Probe): whether it turns strangers away, whether it refuses a topic that no rule permits, whether
// it counts, and at which level of durability it acknowledges. Figures without all of these are marked as not counting.
package suite
