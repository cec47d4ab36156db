package edge

import (
	"context"
	"log/slog"
	"time"

	"github.com/pando-mq/pando/services/broker"
)

const (
	openTimeout  = 5 * time.Second
	retryFloor   = 20 * time.Millisecond
	retryCeiling = time.Second
)

var errOldEpoch = broker.E(broker.KindStale, "session partition answered with an old epoch", nil)

// serve keeps a stream to the partition's owner open until ctx ends.
func (p *partition) serve(ctx context.Context) {
	pause := retryFloor
	for ctx.Err() == nil {
		err := p.serveStream(ctx)
		if err == nil {
			pause = retryFloor
		} else if ctx.Err() == nil {
			p.e.log.Debug("session stream ended", slog.Int("session_partition", p.n), slog.Any("error", err))
		}
		if !sleep(ctx, pause) {
			return
		}
		pause = min(2*pause, retryCeiling)
	}
}

// serveStream opens one stream, announces, sends what has no answer, and waits for the stream's end. nil: the stream had worked.
func (p *partition) serveStream(ctx context.Context) error {
	p.mu.Lock()
	p.number++
	number := p.number
	p.stream = nil
	p.mu.Unlock()
	openCtx, cancel := context.WithTimeout(ctx, openTimeout)
	stream, err := p.e.deps.Sessions.OpenSession(openCtx, broker.SessionOpen{Gateway: p.e.deps.Node, NodeName: p.e.deps.NodeName, Partition: p.n}, &streamHandler{p, number})
	cancel()
	if err != nil {
		return err
	}
	defer stream.Close()
	if !p.begin(stream) {
		return errOldEpoch
	}
	p.pump()
	select {
	case <-stream.Done():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// begin takes a stream into use: announcements first, then every request without an answer. It refuses an owner older than one seen.
func (p *partition) begin(stream broker.SessionStream) bool {
	announce := p.announcements()
	p.mu.Lock()
	defer p.mu.Unlock()
	if stream.Epoch() < p.epoch {
		return false
	}
	p.epoch = stream.Epoch()
	for _, q := range p.first {
		delete(p.byID, q.ID)
	}
	for id, q := range p.byID {
		if q.Op == broker.OpAnnounce {
			delete(p.byID, id)
		}
	}
	for _, q := range announce {
		p.lastID++
		q.ID = p.lastID
		p.byID[q.ID] = q
	}
	p.first, p.sent, p.stream = announce, 0, stream
	return true
}

// announcements makes one OpAnnounce per attached connection. Nothing attaches meanwhile: that takes an answer on a stream.
func (p *partition) announcements() []*request {
	var list []*request
	for _, c := range p.all() {
		if r, ok := c.announcement(); ok {
			list = append(list, &request{SessionRequest: r, size: requestSize(&r), done: c.announced})
		}
	}
	return list
}

// streamHandler is the receiving end of one stream.
type streamHandler struct {
	p      *partition
	number uint64
}

// Replies implements broker.SessionHandler.
func (h *streamHandler) Replies(replies []broker.SessionReply) { h.p.replied(h.number, replies) }

// Pushes implements broker.SessionHandler.
func (h *streamHandler) Pushes(pushes []broker.Push) {
	p := h.p
	conns := make([]*Conn, len(pushes))
	p.mu.Lock()
	if h.number != p.number {
		p.mu.Unlock()
		return
	}
	for i := range pushes {
		conns[i] = p.conns[pushes[i].Conn]
	}
	p.mu.Unlock()
	for i := range pushes {
		switch {
		case conns[i] != nil:
			conns[i].pushed(&pushes[i])
		case pushes[i].Op == broker.PushKick: // gone already: nothing of it is under way
			p.sendLater(broker.SessionRequest{Op: broker.OpKicked, Tenant: pushes[i].Tenant, ClientID: pushes[i].ClientID, Conn: pushes[i].Conn, Epoch: pushes[i].Epoch}, nil)
		}
	}
}

// sleep waits and reports whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
