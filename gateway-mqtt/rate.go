package gatewaymqtt

import (
	"time"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
	"github.com/pando-mq/pando/services/config"
	"github.com/pando-mq/pando/services/transport"
)

// pace holds a client back that sends more than its listener takes: reading stops until the buckets are filled again. Used on the connection's executor.
type pace struct {
	size     *transport.Bucket // of bytes; nil without rate_limit
	messages *transport.Bucket // of PUBLISHes; nil without message_rate
	until    time.Time         // end of the hold in force
	timer    *time.Timer       // ends it
}

// bucketOf is a full bucket; nil for a limit of 0.
func bucketOf(l config.Limit, now time.Time) *transport.Bucket {
	if l.Rate == 0 {
		return nil
	}
	rate, burst := l.Set()
	return transport.NewBucket(rate, burst, now)
}

// bytes accounts for n bytes that were consumed.
func (p *pace) bytes(c *conn, n int) {
	if p.size != nil && c.state != closing {
		now := time.Now()
		p.wait(c, now, p.size.Take(n, now))
	}
}

// packet accounts for a packet.
func (p *pace) packet(c *conn, t packet.Type) {
	if p.messages != nil && t == packet.TypePublish && c.state != closing {
		now := time.Now()
		p.wait(c, now, p.messages.Take(1, now))
	}
}

// wait holds the client for d, or until the hold in force ends if that is later.
func (p *pace) wait(c *conn, now time.Time, d time.Duration) {
	end := now.Add(d)
	if d <= 0 || end.Before(p.until) {
		return
	}
	p.until = end
	c.hold(holdRate)
	if p.timer == nil {
		p.timer = time.AfterFunc(d, func() { c.tc.Post(func() { p.over(c) }) })
		return
	}
	p.timer.Reset(d)
}

// over ends the hold, unless a longer one began when its timer had fired already.
func (p *pace) over(c *conn) {
	if left := time.Until(p.until); left > 0 {
		p.timer.Reset(left)
		return
	}
	c.resume(holdRate)
}
