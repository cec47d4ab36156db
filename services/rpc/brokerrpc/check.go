package brokerrpc

import (
	"fmt"
	"math"
	"net/netip"
	"time"

	"github.com/pando-mq/pando/services/broker"
)

const (
	// MaxText bounds every text but filters: what a two-byte length field of MQTT can say.
	MaxText = 65535
	// MaxFilter bounds a filter: its text, a mount point and the prefix of a shared group.
	MaxFilter = 3 * 65535
	// maxPartition is above every number of a partition.
	maxPartition = 4096
)

// Check reads values that came from the network and keeps the first thing that was wrong with them.
type Check struct{ err error }

// Err is the first thing that was wrong.
func (c *Check) Err() error { return c.err }

// Fail notes something wrong.
func (c *Check) Fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}

// Note keeps err if it is the first one.
func (c *Check) Note(err error) {
	if c.err == nil {
		c.err = err
	}
}

// Text reads a text of any kind but a filter.
func (c *Check) Text(s, what string) string {
	if len(s) > MaxText {
		c.Fail("%s of %d bytes", what, len(s))
		return ""
	}
	return s
}

// Filter reads a filter.
func (c *Check) Filter(s string) string {
	if len(s) > MaxFilter {
		c.Fail("filter of %d bytes", len(s))
		return ""
	}
	return s
}

// QoS reads a quality of service.
func (c *Check) QoS(v uint32) broker.QoS {
	if v > 2 {
		c.Fail("qos %d", v)
		return 0
	}
	return broker.QoS(v)
}

// Uint8 reads a small number.
func (c *Check) Uint8(v uint32, what string) uint8 {
	if v > math.MaxUint8 {
		c.Fail("%s %d", what, v)
		return 0
	}
	return uint8(v)
}

// Uint16 reads a packet id or a window.
func (c *Check) Uint16(v uint32, what string) uint16 {
	if v > math.MaxUint16 {
		c.Fail("%s %d", what, v)
		return 0
	}
	return uint16(v)
}

// Partition reads the number of a partition.
func (c *Check) Partition(v uint32) int {
	if v >= maxPartition {
		c.Fail("partition %d", v)
		return 0
	}
	return int(v)
}

// Count reads a number of things.
func (c *Check) Count(v uint32) int {
	if v > math.MaxInt32 {
		c.Fail("count %d", v)
		return 0
	}
	return int(v)
}

// Peer reads "ip:port"; "" is no address.
func (c *Check) Peer(s string) netip.AddrPort {
	if s == "" {
		return netip.AddrPort{}
	}
	a, err := netip.ParseAddrPort(s)
	if err != nil {
		c.Fail("peer %.64q", s)
	}
	return a
}

// EncodePeer is "ip:port", or "" for no address.
func EncodePeer(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// EncodeCount is a number of things; negative ones do not exist.
func EncodeCount(n int) uint32 { return uint32(min(max(n, 0), math.MaxInt32)) }

// EncodeTime is Unix milliseconds, 0 for the zero time.
func EncodeTime(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// DecodeTime is the reverse of EncodeTime.
func DecodeTime(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// EncodeDuration is whole milliseconds, rounded up; -1 for broker.Forever.
func EncodeDuration(d time.Duration) int64 {
	switch {
	case d == broker.Forever:
		return -1
	case d <= 0:
		return 0
	}
	ms := int64(d / time.Millisecond)
	if d%time.Millisecond != 0 {
		ms++
	}
	return ms
}

// DecodeDuration is the reverse of EncodeDuration; what does not fit is for ever.
func DecodeDuration(ms int64) time.Duration {
	switch {
	case ms == -1 || ms > math.MaxInt64/int64(time.Millisecond):
		return broker.Forever
	case ms < 0:
		return 0
	}
	return time.Duration(ms) * time.Millisecond
}
