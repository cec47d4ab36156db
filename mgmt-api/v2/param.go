package v2

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/go-chi/chi/v5"

	"github.com/pando-mq/pando/mgmt-api/fleet"
)

// maxPageNumber keeps products with the page size within 32 bits.
const maxPageNumber = 1_000_000

// variable is a decoded part of the path. The routing was done on the encoded path.
func variable(r *http.Request, name string) string {
	raw := chi.URLParam(r, name)
	if text, err := url.PathUnescape(raw); err == nil {
		return text
	}
	return raw
}

// body is a JSON object whose fields are read one by one.
type body struct {
	fields map[string]json.RawMessage
	err    error // the first refusal
}

func readBody(r *http.Request) *body {
	b := &body{}
	data, err := io.ReadAll(r.Body)
	if err != nil {
		var large *http.MaxBytesError
		if !errors.As(err, &large) {
			err = fail(codeNotJSON, "the body cannot be read")
		}
		return &body{err: err}
	}
	if err := json.Unmarshal(data, &b.fields); err != nil || b.fields == nil {
		return &body{err: fail(codeNotJSON, "the body is not a JSON object")}
	}
	return b
}

// read fills v from a field and reports whether it was there.
func read[T any](b *body, name string, v *T) bool {
	raw, ok := b.fields[name]
	if b.err != nil || !ok {
		return false
	}
	if err := json.Unmarshal(raw, v); err != nil || string(raw) == "null" {
		b.err = fail(codeParamType, "params type error: "+name)
	}
	return true
}

// need is read for what must be there.
func need[T any](b *body, name string, v *T) {
	if b.err == nil && !read(b, name, v) {
		b.err = fail(codeMissingParam, "params error: "+name+" is missing")
	}
}

// pageOf reads curr_page and page_size, brought within their bounds.
func (h *handler) pageOf(r *http.Request) (number, size int) {
	q := r.URL.Query()
	return bounded(q.Get("curr_page"), 1, maxPageNumber), bounded(q.Get("page_size"), min(20, h.MaxPage), h.MaxPage)
}

// bounded reads a number from 1 to most; what is none is the default.
func bounded(text string, def, most int) int {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) || n < 1 {
		return def
	}
	return int(min(n, int64(most)))
}

// listing is the result of every list with pages.
type listing[R any] struct {
	CurrentPage int `json:"current_page"`
	PageSize    int `json:"page_size"`
	TotalNum    int `json:"total_num"`
	TotalPage   int `json:"total_page"`
	Objects     []R `json:"objects"`
}

// objects is the result of a look-up.
type objects[R any] struct {
	Objects []R `json:"objects"`
}

func found[R any](rows ...R) objects[R] {
	if rows == nil {
		rows = []R{}
	}
	return objects[R]{rows}
}

// pages answers with one page of a list; total < 0 counts it by reading.
func pages[From, To any](h *handler, w http.ResponseWriter, r *http.Request, total int, fetch fleet.Fetch[From], row func(From) To) {
	number, size := h.pageOf(r)
	win, err := fleet.Walk(r.Context(), (number-1)*size, size, total, fetch)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	l := listing[To]{CurrentPage: number, PageSize: size, TotalNum: win.Total, TotalPage: (win.Total + size - 1) / size, Objects: make([]To, 0, len(win.Rows))}
	for _, from := range win.Rows {
		l.Objects = append(l.Objects, row(from))
	}
	h.result(w, r, l, win.Missing)
}

// lookup answers with all rows of a short list.
func lookup[From, To any](h *handler, w http.ResponseWriter, r *http.Request, fetch func(context.Context) (fleet.Page[From], error), row func(From) To) {
	page, err := fetch(r.Context())
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	rows := make([]To, 0, len(page.Rows))
	for _, from := range page.Rows {
		rows = append(rows, row(from))
	}
	h.result(w, r, found(rows...), page.Missing)
}
