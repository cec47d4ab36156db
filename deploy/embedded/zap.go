package embedded

import (
	"context"
	"log/slog"
	"sync/atomic"

	"go.uber.org/zap/zapcore"
)

// core hands etcd's log lines to slog, one level lower and its warnings two: what etcd calls info or warns about at each start is of interest only when one
// looks for it.
type core struct {
	log     *slog.Logger
	closing *atomic.Bool // everything is of interest to nobody from here on: etcd reports each listener that it closes as an error
}

func newCore(log *slog.Logger, closing *atomic.Bool) zapcore.Core {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return core{log, closing}
}

// noise is what etcd calls an error and is none: on a first start there is no storage version yet to update.
const noise = "failed to update storage version"

// level maps zap's levels.
func (c core) level(l zapcore.Level) slog.Level {
	if l >= zapcore.ErrorLevel && !c.closing.Load() {
		return slog.LevelWarn
	}
	return slog.LevelDebug
}

// Enabled implements zapcore.Core.
func (c core) Enabled(l zapcore.Level) bool { return c.log.Enabled(context.Background(), c.level(l)) }

// With implements zapcore.Core.
func (c core) With(fields []zapcore.Field) zapcore.Core {
	return core{slog.New(c.log.Handler().WithAttrs(attrs(fields))), c.closing}
}

// Check implements zapcore.Core.
func (c core) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) && e.Message != noise {
		return ce.AddCore(e, c)
	}
	return ce
}

// Write implements zapcore.Core.
func (c core) Write(e zapcore.Entry, fields []zapcore.Field) error {
	c.log.LogAttrs(context.Background(), c.level(e.Level), e.Message, attrs(fields)...)
	return nil
}

// Sync implements zapcore.Core.
func (core) Sync() error { return nil }

func attrs(fields []zapcore.Field) []slog.Attr {
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(enc)
	}
	list := make([]slog.Attr, 0, len(enc.Fields))
	for k, v := range enc.Fields {
		list = append(list, slog.Any(k, v))
	}
	return list
}
