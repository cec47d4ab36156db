package journaltest

import (
	"errors"
	"testing"

	"github.com/pando-mq/pando/services/journal"
)

// BenchmarkAppend appends b.N events of size bytes as fast as the log takes them and reports events per record. It takes snapshots when
// they are due, of a state of 1 MiB.
func BenchmarkAppend(b *testing.B, l journal.Log, size int) {
	event := make([]byte, size)
	state := make([]byte, 1<<20)
	slots := make(chan struct{}, 10_000) // events under way
	done := func(err error) {
		if err != nil {
			b.Error(err)
		}
		<-slots
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		slots <- struct{}{}
		for {
			err := l.Append(event, done)
			if err == nil {
				break
			}
			if !errors.Is(err, journal.ErrFull) {
				b.Fatal(err)
			}
		}
		if l.SnapshotDue() {
			l.Snapshot(state)
		}
	}
	for range cap(slots) { // all under way are durable
		slots <- struct{}{}
	}
	s := l.Stats()
	b.ReportMetric(float64(s.Events)/float64(s.Batches), "events/record")
}
