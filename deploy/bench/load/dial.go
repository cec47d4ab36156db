package load

import (
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"
)

// Defaults of Dial.
const (
	defaultParallel = 16
	defaultTimeout  = 20 * time.Second
)

// dialler makes sockets in goroutines of its own and hands them over to the loop.
type dialler struct {
	Dial
	ring   func()
	tokens chan struct{} // one for each connection that is not ready yet

	mu   sync.Mutex
	done []dialled
}

// dialled is what became of one attempt.
type dialled struct {
	c   *conn
	s   *socket
	tls *tls.Conn
	err error
}

func newDialler(d Dial, ring func()) *dialler {
	if d.Parallel == 0 {
		d.Parallel = defaultParallel
	}
	if d.Timeout == 0 {
		d.Timeout = defaultTimeout
	}
	return &dialler{Dial: d, ring: ring, tokens: make(chan struct{}, d.Parallel)}
}

// attempt is one connection to be made.
type attempt struct {
	c     *conn
	to    netip.AddrPort
	from  netip.Addr
	began int64
}

// run makes the connections of a list, in order, until ctx ends, and returns when none is under way any more.
func (d *dialler) run(ctx context.Context, list []*conn) {
	var group sync.WaitGroup
	defer group.Wait()
	work := make(chan attempt)
	defer close(work)
	for range min(d.Parallel, len(list)) {
		group.Go(func() {
			for a := range work {
				d.hand(d.connect(a))
			}
		})
	}
	next := time.NewTimer(0)
	defer next.Stop()
	for i, c := range list {
		a := attempt{c: c, to: c.spec.Addr}
		if len(d.Sources) > 0 {
			a.from = d.Sources[i%len(d.Sources)]
		}
		if d.Interval > 0 {
			select {
			case <-next.C:
				next.Reset(d.Interval)
			case <-ctx.Done():
			}
		}
		select {
		case d.tokens <- struct{}{}:
			a.began = nanotime()
			work <- a
		case <-ctx.Done():
			d.hand(dialled{c: c, err: ctx.Err()})
		}
	}
}

// settled gives back the token of a connection that is ready or failed.
func (d *dialler) settled() {
	select {
	case <-d.tokens:
	default: // it never had one: the run was ended before its turn
	}
}

func (d *dialler) hand(r dialled) {
	d.mu.Lock()
	d.done = append(d.done, r)
	d.mu.Unlock()
	d.ring()
}

// take is for the loop.
func (d *dialler) take() []dialled {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := d.done
	d.done = nil
	return list
}

func (d *dialler) connect(a attempt) dialled {
	r := dialled{c: a.c}
	a.c.began = a.began // the loop looks at it only after the hand-over
	if r.s, r.err = open(a.to, a.from, d.Timeout); r.err != nil {
		return r
	}
	if r.err = d.handshake(&r, a.to); r.err == nil {
		r.err = r.s.release()
	}
	if r.err != nil {
		_ = r.s.Close()
	}
	return r
}

func (d *dialler) handshake(r *dialled, to netip.AddrPort) error {
	if d.Kind == TLS || d.Kind == WSS {
		r.tls = tls.Client(r.s, d.TLS)
		if err := r.tls.Handshake(); err != nil {
			return fmt.Errorf("TLS handshake: %w", err)
		}
	}
	switch {
	case d.Kind == WS:
		return upgrade(r.s, to.String(), d.Path)
	case d.Kind == WSS:
		return upgrade(r.tls, to.String(), d.Path)
	}
	return nil
}

// framed says whether MQTT is inside WebSocket frames.
func (d *dialler) framed() bool { return d.Kind == WS || d.Kind == WSS }

// maskKey is the mask of one connection. RFC 6455 wants a new one per frame against proxies that could be fooled; there is none on the way here.
func maskKey() uint32 { return rand.Uint32() }
