package ops

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// checkTimeout bounds all checks of one request together; load balancers ask
// every few seconds.
const checkTimeout = 2 * time.Second

// Check returns nil when one part of the process is ready, else why it is not.
// It is called for each request, must honour its context and be safe for
// concurrent use.
type Check func(ctx context.Context) error

// readiness is the body of /readyz.
type readiness struct {
	Ready  bool              `json:"ready"`
	Checks map[string]string `json:"checks"` // "ok", or the reason
}

type checks struct {
	mu    sync.Mutex // guards named
	named map[string]Check
}

func (c *checks) set(name string, check Check) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.named == nil {
		c.named = map[string]Check{}
	}
	c.named[name] = check
}

func (c *checks) snapshot() map[string]Check {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make(map[string]Check, len(c.named))
	for name, check := range c.named {
		all[name] = check
	}
	return all
}

// run asks all checks at the same time.
func (c *checks) run(ctx context.Context) readiness {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	type answer struct {
		name string
		err  error
	}
	all := c.snapshot()
	answers := make(chan answer, len(all))
	for name, check := range all {
		go func() { answers <- answer{name, check(ctx)} }()
	}
	r := readiness{Ready: true, Checks: make(map[string]string, len(all))}
	for range all {
		a := <-answers
		r.Checks[a.name] = "ok"
		if a.err != nil {
			r.Ready, r.Checks[a.name] = false, a.err.Error()
		}
	}
	return r
}

// ServeHTTP answers 200 or 503 with the outcome of each check.
func (c *checks) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r := c.run(req.Context())
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !r.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	// An error here means that the asker is gone.
	_ = json.NewEncoder(w).Encode(r)
}
