package journal_test

import (
	"context"
	"testing"

	"github.com/pando-mq/pando/services/journal"
	"github.com/pando-mq/pando/services/journal/journaltest"
)

// narrow are streams with a limit, for what only asks for their size.
type narrow struct {
	journal.Streams
	limit int64
}

func (n narrow) Info(ctx context.Context, name string) (journal.StreamInfo, error) {
	i, err := n.Streams.Info(ctx, name)
	i.MaxBytes = n.limit
	return i, err
}

// TestFullLogsAreReported once when they pass 70 %, and taken back when their owner ends.
func TestFullLogsAreReported(t *testing.T) {
	t.Parallel()
	type report struct {
		name string
		full bool
	}
	reports := make(chan report, 16)
	store := journal.New(narrow{journal.NewMemoryStreams(), 100_000}, journal.Options{Level: journal.Memory}, journal.Deps{
		Full: func(name string, full bool, used, limit int64) {
			if used < 70_000 || limit != 100_000 {
				t.Errorf("%s full %v at %d of %d", name, full, used, limit)
			}
			reports <- report{name, full}
		},
	})
	l, err := store.Open(t.Context(), "SS_1", journal.Owner{Epoch: 1}, &journaltest.Events{})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	for range 74 { // appends wait from 75 % on
		if len(reports) > 0 {
			break
		}
		if err := l.Append(make([]byte, 850), func(err error) { done <- err }); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if got := <-reports; got != (report{"SS_1", true}) {
		t.Errorf("%+v", got)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := <-reports; got != (report{"SS_1", false}) || len(reports) != 0 {
		t.Errorf("%+v, and %d more", got, len(reports))
	}
}
