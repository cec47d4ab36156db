package v2

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/pando-mq/pando/mgmt-api/account"
	"github.com/pando-mq/pando/mgmt-api/fleet"
	"github.com/pando-mq/pando/services/log"
)

const (
	requestTime = 30 * time.Second // for one request, all services together
	queueTime   = 2 * time.Second  // wait for a free place
)

// Deps is what the handler stands on. All fields must be set.
type Deps struct {
	Fleet       *fleet.Fleet
	Book        *account.Book
	Status      func() (text string, serve bool)
	MaxPage     int   // rows of one page
	MaxBody     int64 // bytes of one request body
	MaxRequests int   // at the same time
	Log         *slog.Logger
	Served      func(status int, took time.Duration) // counts each request
}

// handler answers all paths.
type handler struct {
	Deps
	places chan struct{}
	paths  []string
}

// New makes the handler of the whole listener.
func New(d Deps) http.Handler {
	h := &handler{Deps: d, places: make(chan struct{}, d.MaxRequests)}
	r := chi.NewRouter()
	r.NotFound(nothing)
	r.MethodNotAllowed(nothing)
	r.Get("/", h.root)
	r.Get("/status", h.status)
	r.Route("/api/v2", func(r chi.Router) {
		r.Post("/auth", h.login)
		r.Group(func(r chi.Router) {
			r.Use(h.administrator)
			h.monitorRoutes(r)
			h.clientRoutes(r)
			h.mqttRoutes(r)
		})
	})
	h.list(r)
	return h.guard(http.NewCrossOriginProtection().Handler(r))
}

// nothing is the answer for what does not exist.
func nothing(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	w.WriteHeader(http.StatusNotFound)
}

// list remembers the paths for /.
func (h *handler) list(r chi.Router) {
	_ = chi.Walk(r, func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		h.paths = append(h.paths, method+" /"+strings.Trim(route, "/"))
		return nil
	})
	slices.Sort(h.paths)
}

// root lists the paths.
func (h *handler) root(w http.ResponseWriter, r *http.Request) {
	h.write(w, r, struct {
		Paths []string `json:"paths"`
	}{h.paths})
}

// status is for load balancers: the text of the seed, 200 only while listeners serve.
func (h *handler) status(w http.ResponseWriter, _ *http.Request) {
	text, serve := h.Status()
	w.Header().Set("Content-Type", "text/plain")
	if !serve {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_, _ = fmt.Fprint(w, text)
}

// guard is around everything: bounds, counting, and what a broken handler answers.
func (h *handler) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begin := time.Now()
		out := &counted{ResponseWriter: w}
		ctx, cancel := context.WithTimeout(r.Context(), requestTime)
		defer cancel()
		defer func() {
			if v := recover(); v != nil {
				h.Log.Error("request broke", log.KeyURL, r.URL.Path, log.KeyError, fmt.Sprint(v), log.KeyReason, string(debug.Stack()))
				if out.code == 0 {
					nothing(out, r)
				}
			}
			h.Served(max(out.code, http.StatusOK), time.Since(begin))
		}()
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		if r.URL.Path != "/status" && !h.enter(ctx) {
			w.Header().Set("Retry-After", "1")
			out.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if r.URL.Path != "/status" {
			defer func() { <-h.places }()
		}
		r = r.WithContext(ctx)
		r.Body = http.MaxBytesReader(out, r.Body, h.MaxBody)
		r.URL.RawPath = r.URL.EscapedPath() // routing sees the path as it was sent, so that %2F is part of a variable
		next.ServeHTTP(out, r)
	})
}

// enter waits a little for a place among the requests that are worked on.
func (h *handler) enter(ctx context.Context) bool {
	wait := time.NewTimer(queueTime)
	defer wait.Stop()
	select {
	case h.places <- struct{}{}:
		return true
	case <-wait.C:
	case <-ctx.Done():
	}
	return false
}

// counted remembers the status.
type counted struct {
	http.ResponseWriter
	code int
}

func (c *counted) WriteHeader(code int) {
	if c.code == 0 {
		c.code = code
	}
	c.ResponseWriter.WriteHeader(code)
}

func (c *counted) Write(p []byte) (int, error) {
	if c.code == 0 {
		c.code = http.StatusOK
	}
	return c.ResponseWriter.Write(p)
}

// administrator lets only administrators pass.
func (h *handler) administrator(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, password, ok := r.BasicAuth()
		if ok {
			result, err := h.Book.Login(r.Context(), name, password)
			if err != nil {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			ok = result == account.OK
		}
		if !ok {
			w.Header().Set("WWW-Authenticate", `Basic Realm="emqx control center"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}
