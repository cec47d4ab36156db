//go:build !race

package transport_test

import (
	"io"
	"net"
	"runtime"
	"testing"

	"github.com/pando-mq/pando/services/transport"
)

// A message that comes and goes allocates nothing, with whatever a connection is
// served.
func TestMessagesAllocateNothing(t *testing.T) { // not parallel: it counts allocations
	for kind, dial := range map[transport.Kind]func(s *harness) net.Conn{
		transport.TCP: func(s *harness) net.Conn { return s.dial(t) },
		transport.WS:  func(s *harness) net.Conn { c, _ := rawWeb(t, s, ""); return c },
	} {
		t.Run(string(kind), func(t *testing.T) {
			s := start(t, kind, option{template: echo})
			c := dial(s)
			sent, back := []byte("message"), make([]byte, len("message"))
			if kind == transport.WS {
				sent, back = []byte(frame(0x82, "message")), make([]byte, 2+len("message"))
			}
			round := func() {
				write(t, c, sent)
				if _, err := io.ReadFull(c, back); err != nil {
					t.Fatal(err)
				}
			}
			round()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			const n = 5000
			for range n {
				round()
			}
			runtime.ReadMemStats(&after)
			if per := float64(after.Mallocs-before.Mallocs) / n; per > 0.05 {
				t.Errorf("%.2f allocations per message", per)
			}
		})
	}
}
