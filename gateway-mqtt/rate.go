package gatewaymqtt

import "time"

// bucket is a token bucket in bytes: it holds size at most and gains rate per second. It may be overdrawn, by what one read took.
type bucket struct {
	rate, size float64
	tokens     float64
	at         time.Time
}

// newBucket is full at first. A size of 0 stands for one second of rate.
func newBucket(rate, size float64, now time.Time) *bucket {
	if size == 0 {
		size = rate
	}
	return &bucket{rate: rate, size: size, tokens: size, at: now}
}

// take takes n bytes and says how long to take no more; 0 while there are tokens left.
func (b *bucket) take(n int, now time.Time) time.Duration {
	b.tokens = min(b.size, b.tokens+now.Sub(b.at).Seconds()*b.rate) - float64(n)
	b.at = now
	if b.tokens >= 0 {
		return 0
	}
	return time.Duration(-b.tokens / b.rate * float64(time.Second))
}
