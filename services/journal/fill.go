package journal

// A log is reported as full from 70 % of its stream's limit on, before appends have to wait (at 75 %), until it is below 60 % again.
const (
	fillHigh = 70
	fillLow  = 60
)

// watchFill reports a stream that passed one of the marks. Called without the lock.
func (p *partition) watchFill() {
	if p.fill == nil {
		return
	}
	p.mu.Lock()
	used, limit, was := p.stats.StreamBytes, p.stats.MaxBytes, p.filled
	switch {
	case limit <= 0:
		p.filled = false
	case used >= limit/100*fillHigh:
		p.filled = true
	case used < limit/100*fillLow:
		p.filled = false
	}
	now := p.filled
	p.mu.Unlock()
	if now != was {
		p.fill(p.name, now, used, limit)
	}
}

// leaveFill takes a report back when this owner ends: the next one makes its own.
func (p *partition) leaveFill() {
	p.mu.Lock()
	was := p.filled
	p.filled = false
	used, limit := p.stats.StreamBytes, p.stats.MaxBytes
	p.mu.Unlock()
	if was {
		p.fill(p.name, false, used, limit)
	}
}
