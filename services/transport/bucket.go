package transport

import "time"

// Bucket is a token bucket: it holds size tokens at most and gains rate of them
// per second. It may be overdrawn, by what one step took. It is not safe for use
// by many goroutines.
type Bucket struct {
	rate, size float64
	tokens     float64
	at         time.Time
}

// NewBucket is full at first. A size of 0 stands for one second of rate.
func NewBucket(rate, size float64, now time.Time) *Bucket {
	if size == 0 {
		size = rate
	}
	return &Bucket{rate: rate, size: size, tokens: size, at: now}
}

// Take takes n tokens and says how long to take no more; 0 while there are some left.
func (b *Bucket) Take(n int, now time.Time) time.Duration {
	b.tokens = min(b.size, b.tokens+now.Sub(b.at).Seconds()*b.rate) - float64(n)
	b.at = now
	if b.tokens >= 0 {
		return 0
	}
	return time.Duration(-b.tokens / b.rate * float64(time.Second))
}
