package session

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Config is the `session` section of the configuration: what holds for every session.
type Config struct {
	MaxSubscriptions  int           `yaml:"max_subscriptions" hot:"true" default:"0" doc:"Subscriptions one client may hold; 0 means no limit."`
	UpgradeQoS        bool          `yaml:"upgrade_qos" hot:"true" default:"false" doc:"Deliver with the higher of the QoS of publish and subscription instead of the lower."`
	MaxInflight       int           `yaml:"max_inflight" hot:"true" default:"32" doc:"QoS 1 and 2 messages on their way to a client without a final answer; a client may ask for fewer. 0 means 65535. A change holds for connections that begin after it."`
	RetryInterval     time.Duration `yaml:"retry_interval" hot:"true" default:"20s" doc:"Unanswered messages are sent again after this time, for clients whose protocol allows it on a live connection (not MQTT 3.1.1 and 5.0). 0 means never; a client that connected while it was 0 is not repeated to."`
	MaxAwaitingRel    int           `yaml:"max_awaiting_rel" hot:"true" default:"1000" doc:"QoS 2 messages received from one client and not released by it; 0 means no limit."`
	AwaitRelTimeout   time.Duration `yaml:"await_rel_timeout" hot:"true" default:"30s" doc:"With max_awaiting_rel reached, entries older than this give way to a new one. 0 means never."`
	ExpiryInterval    time.Duration `yaml:"expiry_interval" hot:"true" default:"2h" doc:"How long the session of an MQTT 3 client outlives its connection, and the most an MQTT 5 client gets. A change holds for connections that begin after it."`
	IgnoreLoopDeliver bool          `yaml:"ignore_loop_deliver" hot:"true" default:"false" doc:"Never deliver a message to the client that published it."`
	Queue             QueueConfig   `yaml:"queue" doc:"Messages waiting for a client that is away or slow."`
}

// QueueConfig bounds and orders the queue of a session.
type QueueConfig struct {
	Type          string         `yaml:"type" hot:"true" default:"simple" enum:"simple,priority" doc:"simple: in order of arrival; priority: topics with a higher priority first."`
	Priority      map[string]int `yaml:"priority" hot:"true" doc:"Topic name to priority, for type priority; other topics have 0. At most 255 different ones."`
	MaxLength     int            `yaml:"max_length" hot:"true" default:"1000" doc:"Waiting messages; 0 means no limit other than max_bytes."`
	MaxBytes      Bytes          `yaml:"max_bytes" hot:"true" default:"16MB" doc:"Bytes of the messages of one session, waiting and in flight."`
	LowWatermark  Percent        `yaml:"low_watermark" hot:"true" default:"20%" doc:"The alarm of a filling queue is cleared at this share of max_length and max_bytes."`
	HighWatermark Percent        `yaml:"high_watermark" hot:"true" default:"60%" doc:"The alarm of a filling queue is raised at this share of max_length or max_bytes."`
	StoreQoS0     bool           `yaml:"store_qos0" hot:"true" default:"true" doc:"Keep QoS 0 messages, in memory, for a client that is away."`
}

// Queue types.
const (
	QueueSimple   = "simple"
	QueuePriority = "priority"
)

// DefaultConfig is the configuration that the default tags describe.
func DefaultConfig() Config {
	return Config{
		MaxInflight: 32, RetryInterval: 20 * time.Second, MaxAwaitingRel: 1000, AwaitRelTimeout: 30 * time.Second, ExpiryInterval: 2 * time.Hour,
		Queue: QueueConfig{Type: QueueSimple, MaxLength: 1000, MaxBytes: 16 << 20, LowWatermark: 20, HighWatermark: 60, StoreQoS0: true},
	}
}

// Validate reports every value that makes no sense.
func (c *Config) Validate() error {
	var errs []error
	check := func(ok bool, key, want string) {
		if !ok {
			errs = append(errs, fmt.Errorf("%s: %s", key, want))
		}
	}
	q := &c.Queue
	check(c.MaxSubscriptions >= 0, "max_subscriptions", "must not be negative")
	check(c.MaxInflight >= 0 && c.MaxInflight <= maxWindow, "max_inflight", "must be 0 to 65535")
	check(c.RetryInterval >= 0, "retry_interval", "must not be negative")
	check(c.MaxAwaitingRel >= 0, "max_awaiting_rel", "must not be negative")
	check(c.AwaitRelTimeout >= 0, "await_rel_timeout", "must not be negative")
	check(c.ExpiryInterval >= 0, "expiry_interval", "must not be negative")
	check(q.Type == QueueSimple || q.Type == QueuePriority, "queue.type", "must be simple or priority")
	check(q.MaxLength >= 0, "queue.max_length", "must not be negative")
	check(q.MaxBytes > 0, "queue.max_bytes", "must be above 0: every queue is bounded in bytes")
	check(q.LowWatermark >= 0 && q.LowWatermark <= q.HighWatermark && q.HighWatermark <= 100, "queue.low_watermark, queue.high_watermark", "must be ordered and within 0% to 100%")
	check(len(priorities(q)) <= maxLanes, "queue.priority", "at most 255 different priorities")
	return errors.Join(errs...)
}

// Settings is a valid Config made ready; all sessions of a host share one. Immutable.
type Settings struct {
	Config
	lanes []int // priorities, highest first; always holds 0
}

// Prepare checks a Config and makes it ready for use.
func Prepare(c Config) (*Settings, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Settings{Config: c, lanes: priorities(&c.Queue)}, nil
}

// maxLanes is what a lane number has room for.
const maxLanes = 256

// priorities lists the different priorities, highest first.
func priorities(q *QueueConfig) []int {
	all := []int{0}
	if q.Type == QueuePriority {
		for _, p := range q.Priority {
			all = append(all, p)
		}
	}
	slices.Sort(all)
	slices.Reverse(all)
	return slices.Compact(all)
}

// lane is the place of a topic's priority in s.lanes.
func (s *Settings) lane(topic string) uint8 {
	if len(s.lanes) == 1 {
		return 0
	}
	p := s.Queue.Priority[topic]
	i, _ := slices.BinarySearchFunc(s.lanes, p, func(a, b int) int { return cmp.Compare(b, a) })
	return uint8(i)
}

// Window is how many QoS 1/2 messages may be unanswered for a client that asked for at most receiveMax (0: it did not say).
func (s *Settings) Window(receiveMax uint16) uint16 {
	w := s.MaxInflight
	if w == 0 {
		w = maxWindow
	}
	if receiveMax != 0 {
		w = min(w, int(receiveMax))
	}
	return uint16(w)
}

// Bytes is a size in bytes, written "65536", "64KB" or "16MB"; KB is 1024 bytes, as in the seed's files.
type Bytes int64

// UnmarshalText reads "16MB" and the like.
func (b *Bytes) UnmarshalText(text []byte) error {
	s := strings.ToUpper(strings.TrimSpace(string(text)))
	factor := int64(1)
	s = strings.TrimSuffix(strings.TrimSuffix(s, "B"), "I")
	if i := strings.IndexAny(s, "KMGT"); i >= 0 && i == len(s)-1 {
		factor = 1 << (10 * (1 + strings.IndexByte("KMGT", s[i])))
		s = strings.TrimSpace(s[:i])
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/factor {
		return fmt.Errorf("%q is no size in bytes, such as 64KB or 16MB", text)
	}
	*b = Bytes(n * factor)
	return nil
}

// MarshalText gives the largest unit that divides the value.
func (b Bytes) MarshalText() ([]byte, error) {
	for i := range 4 {
		shift := 40 - 10*i
		if b != 0 && b&(1<<shift-1) == 0 {
			return fmt.Appendf(nil, "%d%cB", b>>shift, "TGMK"[i]), nil
		}
	}
	return strconv.AppendInt(nil, int64(b), 10), nil
}

// Percent is a share in hundredths, written "60%".
type Percent float64

// UnmarshalText reads "60%".
func (p *Percent) UnmarshalText(text []byte) error {
	number, ok := strings.CutSuffix(strings.TrimSpace(string(text)), "%")
	f, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || !(f >= 0 && f <= 100) {
		return fmt.Errorf("%q is no share from 0%% to 100%%", text)
	}
	*p = Percent(f)
	return nil
}

// MarshalText writes "60%".
func (p Percent) MarshalText() ([]byte, error) {
	return append(strconv.AppendFloat(nil, float64(p), 'f', -1, 64), '%'), nil
}

// of is the share of n.
func (p Percent) of(n int64) int64 { return int64(float64(n) * float64(p) / 100) }
