package router

import (
	"fmt"
	"testing"
	"time"

	"github.com/pando-mq/pando/services/broker"
)

// A topic that is published to again and again, each time with an expiry far away, keeps one message, also in the list of what expires.
func TestReplacedRetainedMessagesAreLetGo(t *testing.T) {
	t.Parallel()
	s, far := newRetainedState(1), time.Now().Add(time.Hour)
	for i := range 10000 {
		s.put(held{m: &broker.Message{Topic: "often", Payload: []byte("x"), Expires: far}})
		s.put(held{m: &broker.Message{Topic: fmt.Sprint("gone/", i), Payload: []byte("x"), Expires: far}})
		s.remove("", fmt.Sprint("gone/", i))
	}
	last := &broker.Message{Topic: "often", Payload: []byte("last"), Expires: far}
	s.put(held{m: last})
	if len(s.due) > 2*s.n+pruneFloor {
		t.Errorf("%d messages are kept for %d", len(s.due), s.n)
	}
	if n := s.expire(far); n != 1 || s.n != 0 || len(s.due) != 0 {
		t.Errorf("%d expired, %d are left", n, s.n)
	}
}
