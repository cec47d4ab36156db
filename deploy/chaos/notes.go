package chaos

import (
	"sync"
	"time"
)

// notes is what the clients saw.
type notes struct {
	mu        sync.Mutex
	acked     map[messageKey]time.Time // PUBACK or PUBREC read
	published map[int]uint64           // publisher -> highest number ever sent
	delivered map[int][]delivered      // session -> in the order of arrival
	lostState int                      // persistent sessions that the server had forgotten
	reconnect int
}

// messageKey names one message: number n of a publisher.
type messageKey struct {
	publisher int
	n         uint64
}

type delivered struct {
	messageKey
	dup bool
}

func newNotes() *notes {
	return &notes{acked: map[messageKey]time.Time{}, published: map[int]uint64{}, delivered: map[int][]delivered{}}
}

func (n *notes) ack(publisher int, number uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	k := messageKey{publisher, number}
	if _, ok := n.acked[k]; !ok {
		n.acked[k] = time.Now()
	}
}

func (n *notes) sent(publisher int, number uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.published[publisher] = max(n.published[publisher], number)
}

func (n *notes) deliver(session, publisher int, number uint64, dup bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.delivered[session] = append(n.delivered[session], delivered{messageKey{publisher, number}, dup})
}

func (n *notes) connected(expected, present bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.reconnect++
	if expected && !present {
		n.lostState++
	}
}

// total counts deliveries.
func (n *notes) total() (acked, delivered int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, d := range n.delivered {
		delivered += len(d)
	}
	return len(n.acked), delivered
}
