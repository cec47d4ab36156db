package transport

import "sync"

const (
	readSize  = 16 << 10 // one read; pooled
	smallSize = 1 << 10  // a read under TLS that may wait; pooled
	writeSize = 2 << 10  // first size of an output buffer
	maxWrite  = 64 << 10 // larger output buffers are left to the collector
)

// pool shares the buffers of one listener's connections.
type pool struct {
	reads  sync.Pool // *[readSize]byte
	smalls sync.Pool // *[smallSize]byte
	writes sync.Pool // *[]byte
	heads  sync.Pool // *[]byte without a buffer, for the next putWrite
	ops    sync.Pool // *rawOp
}

func (p *pool) getRead() []byte {
	if b, ok := p.reads.Get().(*[readSize]byte); ok {
		return b[:]
	}
	return make([]byte, readSize)
}

func (p *pool) getSmall() []byte {
	if b, ok := p.smalls.Get().(*[smallSize]byte); ok {
		return b[:]
	}
	return make([]byte, smallSize)
}

// putRead takes a buffer of either size back and ignores others.
func (p *pool) putRead(b []byte) {
	switch len(b) {
	case readSize:
		p.reads.Put((*[readSize]byte)(b))
	case smallSize:
		p.smalls.Put((*[smallSize]byte)(b))
	}
}

func (p *pool) getWrite() []byte {
	if h, ok := p.writes.Get().(*[]byte); ok {
		b := (*h)[:0]
		*h = nil
		p.heads.Put(h)
		return b
	}
	return make([]byte, 0, writeSize)
}

func (p *pool) putWrite(b []byte) {
	if cap(b) < writeSize || cap(b) > maxWrite {
		return
	}
	h, ok := p.heads.Get().(*[]byte)
	if !ok {
		h = new([]byte)
	}
	*h = b[:0]
	p.writes.Put(h)
}
