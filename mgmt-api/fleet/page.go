package fleet

import (
	"context"
	"slices"

	"github.com/pando-mq/pando/services/broker"
)

// The bounds of a page, rows.
const (
	DefaultPage = 100
	MaxPage     = 1000
)

// PageSize is what becomes of a wish.
func PageSize(wish int) int {
	if wish <= 0 {
		return DefaultPage
	}
	return min(wish, MaxPage)
}

// Page is one page of a list. It may be short or empty before the end; the end is an empty Next.
type Page[R any] struct {
	Rows    []R
	Next    string // After of the next page, "" at the end
	Missing []Missing
}

// part is what one service gave for a page: its rows in order, and, when it has more, the key up to which they are complete; rows beyond it are left for the
// next page.
type part[R any] struct {
	rows []R
	more bool
	upTo string
}

// merge makes a page of the parts of several services. key is what rows are ordered by; rows of one key stay on one page.
func merge[R any](parts []part[R], limit int, key func(R) string, compare func(a, b R) int) Page[R] {
	var all []R
	bound, bounded := "", false // beyond it some service has rows that are not here
	for _, p := range parts {
		all = append(all, p.rows...)
		if p.more && (!bounded || p.upTo < bound) {
			bound, bounded = p.upTo, true
		}
	}
	slices.SortStableFunc(all, compare)
	next := ""
	if bounded {
		n := len(all)
		for n > 0 && key(all[n-1]) > bound {
			n--
		}
		all, next = all[:n], bound
	}
	if cut := limit; cut < len(all) {
		for cut < len(all) && key(all[cut]) == key(all[cut-1]) {
			cut++
		}
		if cut < len(all) {
			all, next = all[:cut], key(all[cut-1])
		}
	}
	return Page[R]{Rows: all, Next: next}
}

// cut makes a part of what a service answered to a wish for limit rows. A service that may have more gave at least limit rows.
func cut[R any](rows []R, limit int, key func(R) string) part[R] {
	if len(rows) < limit {
		return part[R]{rows: rows}
	}
	return part[R]{rows: rows, more: true, upTo: key(rows[len(rows)-1])}
}

// Fetch gives the page after a key.
type Fetch[R any] func(ctx context.Context, after string, limit int) (Page[R], error)

// Window is a numbered page of a list, for interfaces that count pages.
type Window[R any] struct {
	Rows    []R
	Total   int
	Missing []Missing
}

// Walk reads a list from its beginning and keeps the rows from skip to skip+take. With total < 0 it reads to the end and counts; otherwise it stops
// when the window is full and believes total.
func Walk[R any](ctx context.Context, skip, take, total int, fetch Fetch[R]) (Window[R], error) {
	w := Window[R]{Total: total}
	for seen, after := 0, ""; ; {
		limit := MaxPage
		if total >= 0 {
			limit = min(limit, skip+take-seen)
		}
		p, err := fetch(ctx, after, limit)
		if err != nil {
			return Window[R]{}, err
		}
		if from, to := max(0, skip-seen), min(len(p.Rows), skip+take-seen); from < to {
			w.Rows = append(w.Rows, p.Rows[from:to]...)
		}
		seen += len(p.Rows)
		w.Missing = sortedMissing(append(w.Missing, p.Missing...))
		if p.Next == "" {
			w.Total = seen
			return w, nil
		}
		if total >= 0 && seen >= skip+take {
			return w, nil
		}
		if p.Next <= after {
			return Window[R]{}, broker.Errorf(broker.KindInternal, "a list does not go on after %q", after)
		}
		after = p.Next
	}
}
