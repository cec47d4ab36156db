package journal_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/pando-mq/pando/services/journal"
	"github.com/pando-mq/pando/services/journal/journaltest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemory(t *testing.T) {
	t.Parallel()
	journaltest.Run(t, func(*testing.T) journal.Streams { return journal.NewMemoryStreams() })
}
