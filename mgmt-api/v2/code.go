package v2

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/pando-mq/pando/mgmt-api/fleet"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/log"
)

// The codes of the envelope (EMQ 2.x REST API). Those of plugins (110, 111) belong to paths that do not exist here yet.
const (
	codeOK            = 0
	codeUnreachable   = 101 // a node or service does not answer
	codeUnknown       = 102
	codeLogin         = 103 // user name or password wrong
	codeEmptyLogin    = 104
	codeMissingParam  = 107
	codeParamType     = 108
	codeNotJSON       = 109
	codeClientOffline = 112
)

// envelope is the body of every answer.
type envelope struct {
	Code    int      `json:"code"`
	Result  any      `json:"result,omitzero"`
	Message string   `json:"message,omitempty"`
	Missing []string `json:"missing,omitempty"` // services whose part is not there
}

// failure is a refusal with its code.
type failure struct {
	code int
	text string
}

func (f *failure) Error() string { return f.text }

func fail(code int, text string) error { return &failure{code, text} }

// codeOf is the one place where a Kind becomes a code.
func codeOf(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	switch broker.KindOf(err) {
	case broker.KindUnavailable, broker.KindBusy, broker.KindNotOwner, broker.KindStale, broker.KindCanceled:
		return &failure{codeUnreachable, err.Error()}
	}
	return &failure{codeUnknown, err.Error()}
}

// result writes a success.
func (h *handler) result(w http.ResponseWriter, r *http.Request, v any, missing []fleet.Missing) {
	e := envelope{Code: codeOK, Result: v}
	for _, m := range missing {
		e.Missing = append(e.Missing, m.Service+": "+m.Reason)
	}
	h.write(w, r, e)
}

// refuse writes a failure.
func (h *handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	f := codeOf(err)
	h.write(w, r, envelope{Code: f.code, Message: f.text})
}

func (h *handler) write(w http.ResponseWriter, r *http.Request, v any) {
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	if err := e.Encode(v); err != nil {
		h.Log.Debug("answer not written", log.KeyURL, r.URL.Path, log.KeyError, err.Error())
	}
}

// empty is the result of what has none.
func empty() []struct{} { return []struct{}{} }
