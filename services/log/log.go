package log

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"
)

// Log is where the lines of a process go.
type Log struct {
	logger *slog.Logger
	level  slog.LevelVar
	file   *os.File // nil when the lines go to the writer given to Open
}

// Open makes the log of a process. Lines go to the configured file, else to w,
// which is standard error in a program. The attributes are put on each line;
// that is the place for the node's and the service's name.
func Open(c Config, w io.Writer, attrs ...slog.Attr) (*Log, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	l := &Log{}
	if c.File != "" {
		f, err := os.OpenFile(c.File, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
		if err != nil {
			return nil, fmt.Errorf("log.file: %w", err)
		}
		l.file, w = f, f
	}
	if err := l.SetLevel(c.Level); err != nil {
		return nil, err
	}
	l.logger = slog.New(newHandler(c.Format, w, &l.level).WithAttrs(attrs))
	return l, nil
}

func newHandler(format string, w io.Writer, level slog.Leveler) slog.Handler {
	o := &slog.HandlerOptions{Level: level, ReplaceAttr: plain}
	if format == "json" {
		return slog.NewJSONHandler(w, o)
	}
	return slog.NewTextHandler(w, o)
}

// plain writes levels in lower case, as they are configured, and durations as
// text in both formats.
func plain(_ []string, a slog.Attr) slog.Attr {
	if level, ok := a.Value.Any().(slog.Level); ok && a.Key == slog.LevelKey {
		return slog.String(a.Key, strings.ToLower(level.String()))
	}
	if d, ok := a.Value.Any().(time.Duration); ok {
		return slog.String(a.Key, d.String())
	}
	return a
}

// Logger for the Deps of everything in the process.
func (l *Log) Logger() *slog.Logger { return l.logger }

// Level in force: debug, info, warn or error.
func (l *Log) Level() string { return strings.ToLower(l.level.Level().String()) }

// SetLevel changes the level of every logger made from this log, at once.
func (l *Log) SetLevel(name string) error {
	level, err := ParseLevel(name)
	if err != nil {
		return err
	}
	l.level.Set(level)
	return nil
}

// Close closes the file, if there is one. What is logged later is lost.
func (l *Log) Close() error {
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}
