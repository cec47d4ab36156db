package session_test

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/pando-mq/pando/services/session"
)

// TestDefaultsAreTheTags: what DefaultConfig says and what the default tags say is the same, and every key is documented.
func TestDefaultsAreTheTags(t *testing.T) {
	t.Parallel()
	checkTags(t, reflect.ValueOf(session.DefaultConfig()))
}

func checkTags(t *testing.T, v reflect.Value) {
	for i := range v.NumField() {
		f, field := v.Field(i), v.Type().Field(i)
		if field.Tag.Get("yaml") == "" || field.Tag.Get("doc") == "" {
			t.Errorf("%s has no key or no text", field.Name)
		}
		if f.Kind() == reflect.Struct {
			checkTags(t, f)
			continue
		}
		tag, got := field.Tag.Get("default"), fmt.Sprint(f.Interface())
		switch x := f.Interface().(type) {
		case time.Duration:
			d, err := time.ParseDuration(tag)
			if err != nil || d != x {
				t.Errorf("%s: tag %q, default %v", field.Name, tag, x)
			}
			continue
		case map[string]int:
			got = ""
		case encoding.TextMarshaler:
			text, err := x.MarshalText()
			if err != nil {
				t.Error(err)
			}
			got = string(text)
		}
		if got != tag {
			t.Errorf("%s: tag %q, default %q", field.Name, tag, got)
		}
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for key, change := range map[string]func(*session.Config){
		"max_subscriptions":   func(c *session.Config) { c.MaxSubscriptions = -1 },
		"max_inflight":        func(c *session.Config) { c.MaxInflight = 70000 },
		"retry_interval":      func(c *session.Config) { c.RetryInterval = -1 },
		"max_awaiting_rel":    func(c *session.Config) { c.MaxAwaitingRel = -1 },
		"await_rel_timeout":   func(c *session.Config) { c.AwaitRelTimeout = -1 },
		"expiry_interval":     func(c *session.Config) { c.ExpiryInterval = -1 },
		"queue.type":          func(c *session.Config) { c.Queue.Type = "lifo" },
		"queue.max_length":    func(c *session.Config) { c.Queue.MaxLength = -1 },
		"queue.max_bytes":     func(c *session.Config) { c.Queue.MaxBytes = 0 },
		"queue.low_watermark": func(c *session.Config) { c.Queue.LowWatermark = 70 },
		"queue.priority": func(c *session.Config) {
			c.Queue.Type, c.Queue.Priority = session.QueuePriority, map[string]int{}
			for i := range 300 {
				c.Queue.Priority[fmt.Sprint(i)] = i
			}
		},
	} {
		c := session.DefaultConfig()
		change(&c)
		if _, err := session.Prepare(c); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: error %v", key, err)
		}
	}
}

func TestScalars(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]session.Bytes{"0": 0, "1500": 1500, "64KB": 64 << 10, "16MiB": 16 << 20, "2g": 2 << 30, "7B": 7} {
		var b session.Bytes
		if err := b.UnmarshalText([]byte(text)); err != nil || b != want {
			t.Errorf("%q is %d, %v", text, b, err)
		}
		back, _ := b.MarshalText()
		var again session.Bytes
		if err := again.UnmarshalText(back); err != nil || again != want {
			t.Errorf("%q came back as %q", text, back)
		}
	}
	for _, text := range []string{"", "x", "-1", "1XB", "99999999999T"} {
		var b session.Bytes
		if b.UnmarshalText([]byte(text)) == nil {
			t.Errorf("%q is a size", text)
		}
	}
	for _, text := range []string{"", "60", "101%", "-1%", "NaN%"} {
		var p session.Percent
		if p.UnmarshalText([]byte(text)) == nil {
			t.Errorf("%q is a share", text)
		}
	}
}

func TestWindow(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		inflight int
		receive  uint16
		want     uint16
	}{{32, 0, 32}, {32, 10, 10}, {32, 100, 32}, {0, 0, 65535}, {0, 7, 7}} {
		set := settings(t, func(s *session.Config) { s.MaxInflight = c.inflight })
		if got := set.Window(c.receive); got != c.want {
			t.Errorf("max_inflight %d, receive maximum %d: %d, want %d", c.inflight, c.receive, got, c.want)
		}
	}
}
