package ctl

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	mgmtv1 "github.com/pando-mq/pando/proto/gen/pando/mgmt/v1"
)

// column is one column of a table.
type column[R any] struct {
	title string
	text  func(R) string
}

// page is one page of a list.
type page[R any] struct {
	rows    []R
	next    string
	missing []*mgmtv1.Missing
}

// pageRows is how many rows are asked for at once.
const pageRows = 500

// list prints all pages, or the first limit rows.
func list[R proto.Message](ctx context.Context, a *app, limit int, fetch func(ctx context.Context, size uint32, token string) (page[R], error), columns ...column[R]) error {
	out := newListing(a, columns)
	told := map[string]bool{}
	for left, token := limit, ""; ; {
		size := pageRows
		if limit > 0 {
			size = min(size, left)
		}
		p, err := fetch(ctx, uint32(size), token)
		if err != nil {
			return err
		}
		if limit > 0 {
			p.rows = p.rows[:min(len(p.rows), left)]
			left -= len(p.rows)
		}
		if err := out.rows(p.rows); err != nil {
			return err
		}
		a.note(told, p.missing)
		if token = p.next; token == "" || limit > 0 && left == 0 {
			return out.end()
		}
	}
}

// note tells once who did not answer.
func (a *app) note(told map[string]bool, missing []*mgmtv1.Missing) {
	for _, m := range missing {
		text := clean(m.GetService() + ": " + m.GetReason())
		if !told[text] {
			told[text] = true
			fmt.Fprintln(a.Err, "incomplete:", text)
		}
	}
}

// listing writes rows as they come: a table with one head, or a JSON array.
type listing[R proto.Message] struct {
	app     *app
	columns []column[R]
	written int
}

func newListing[R proto.Message](a *app, columns []column[R]) *listing[R] {
	return &listing[R]{app: a, columns: columns}
}

func (l *listing[R]) rows(rows []R) error {
	if l.app.flags.output == "json" {
		return l.json(rows)
	}
	if len(rows) == 0 {
		return nil
	}
	w := tabwriter.NewWriter(l.app.Out, 0, 8, 2, ' ', 0)
	if l.written == 0 {
		l.line(w, func(c column[R]) string { return c.title })
	}
	for _, r := range rows {
		l.line(w, func(c column[R]) string { return clean(c.text(r)) })
	}
	l.written += len(rows)
	return w.Flush()
}

// line writes one line; the last cell has no end mark, so that nothing is padded there.
func (l *listing[R]) line(w *tabwriter.Writer, cell func(column[R]) string) {
	cells := make([]string, len(l.columns))
	for i, c := range l.columns {
		cells[i] = cell(c)
		if cells[i] == "" {
			cells[i] = "-"
		}
	}
	fmt.Fprintln(w, strings.Join(cells, "\t"))
}

func (l *listing[R]) json(rows []R) error {
	for _, r := range rows {
		lead := ",\n  "
		if l.written == 0 {
			lead = "[\n  "
		}
		text, err := json.Marshal(plain(r.ProtoReflect()))
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(l.app.Out, "%s%s", lead, text); err != nil {
			return err
		}
		l.written++
	}
	return nil
}

func (l *listing[R]) end() error {
	if l.app.flags.output != "json" {
		return nil
	}
	tail := "\n]"
	if l.written == 0 {
		tail = "[]"
	}
	_, err := fmt.Fprintln(l.app.Out, tail)
	return err
}

// show prints one thing: a line for each column, or a JSON object.
func show[R proto.Message](a *app, r R, columns ...column[R]) error {
	if a.flags.output == "json" {
		return a.object(r)
	}
	w := tabwriter.NewWriter(a.Out, 0, 8, 2, ' ', 0)
	for _, c := range columns {
		text := clean(c.text(r))
		if text == "" {
			text = "-"
		}
		fmt.Fprintf(w, "%s\t%s\n", strings.ToLower(c.title), text)
	}
	return w.Flush()
}

// object prints one JSON object.
func (a *app) object(m proto.Message) error {
	text, err := json.Marshal(plain(m.ProtoReflect()))
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, text, "", "  "); err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.Out, out.String())
	return err
}

// done says what was done, to people only.
func (a *app) done(format string, args ...any) error {
	if a.flags.output == "json" {
		return nil
	}
	_, err := fmt.Fprintln(a.Out, clean(fmt.Sprintf(format, args...)))
	return err
}

// plain is a message as encoding/json likes it: every field under its name in the proto file, numbers as numbers.
func plain(m protoreflect.Message) map[string]any {
	out := map[string]any{}
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		v := m.Get(f)
		switch {
		case f.IsMap():
			table := map[string]any{}
			v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
				table[k.String()] = scalar(f.MapValue(), v)
				return true
			})
			out[string(f.Name())] = table
		case f.IsList():
			items := make([]any, v.List().Len())
			for i := range items {
				items[i] = scalar(f, v.List().Get(i))
			}
			out[string(f.Name())] = items
		default:
			out[string(f.Name())] = scalar(f, v)
		}
	}
	return out
}

func scalar(f protoreflect.FieldDescriptor, v protoreflect.Value) any {
	switch f.Kind() {
	case protoreflect.MessageKind:
		return plain(v.Message())
	case protoreflect.EnumKind:
		return string(f.Enum().Values().ByNumber(v.Enum()).Name())
	case protoreflect.BytesKind:
		return string(v.Bytes())
	}
	return v.Interface()
}

// clean escapes what a terminal could take for a command.
func clean(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0 {
		return s
	}
	return strings.Trim(strconv.Quote(s), `"`)
}

// moment is a time in the local zone, "" for none.
func moment(ms int64) string {
	if ms == 0 {
		return ""
	}
	return time.UnixMilli(ms).Local().Format(time.DateTime)
}

// span is a duration in whole seconds.
func span(ms int64) string {
	return (time.Duration(ms) * time.Millisecond).Round(time.Second).String()
}

// size is a number of bytes for people.
func size(n uint64) string {
	for _, u := range [...]struct {
		name  string
		bytes uint64
	}{{"GB", 1 << 30}, {"MB", 1 << 20}, {"KB", 1 << 10}} {
		if n >= u.bytes {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(u.bytes), u.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}

func number[N ~uint32 | ~uint64 | ~int64 | ~int32](n N) string { return fmt.Sprint(n) }

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
