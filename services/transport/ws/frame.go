package ws

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"
)

// Opcodes (RFC 6455 §5.2).
const (
	OpContinuation = 0x0
	OpText         = 0x1
	OpBinary       = 0x2
	OpClose        = 0x8
	OpPing         = 0x9
	OpPong         = 0xA
)

// Close codes (RFC 6455 §7.4.1).
const (
	CodeNormal      = 1000
	CodeGoingAway   = 1001
	CodeProtocol    = 1002
	CodeUnsupported = 1003
	CodeNoStatus    = 1005 // never on the wire: the peer's close frame had no code
	CodeInvalidData = 1007
)

// HeaderRoom is the size of the longest header a server writes: it never masks.
const HeaderRoom = 10

// MaxControl is the longest payload of a control frame (RFC 6455 §5.5).
const MaxControl = 125

// CloseError ends a WebSocket. Code is sent (or was received) in the close frame.
type CloseError struct {
	Code int
	Text string
	Peer bool // the peer sent it; otherwise it answers a fault of the peer
}

// Error implements error.
func (e *CloseError) Error() string {
	if e.Peer {
		return fmt.Sprintf("websocket closed by the peer with code %d", e.Code)
	}
	return fmt.Sprintf("websocket error %d: %s", e.Code, e.Text)
}

func protocolError(text string) error { return &CloseError{Code: CodeProtocol, Text: text} }

// Decoder takes the frames of one client apart. The zero value is ready.
//
//	 0                   1                   2                   3
//	|F|R|R|R| opcode|M|  length 7   | length 16 or 64, if 126, 127  |
//	|I|S|S|S|  (4)  |A|             | then 4 bytes of masking key,  |
//	|N|V|V|V|       |S|             | then the masked payload       |
type Decoder struct {
	remain uint64      // payload bytes of the current frame still to come
	mask   [4]byte     // masking key
	hdr    [14]byte    // header bytes seen so far, when split over reads
	hn     uint8       // how many of them
	pos    uint8       // payload position modulo 4
	inBody bool        // the header is complete
	inMsg  bool        // a fragmented message is open
	op     byte        // opcode of the current frame
	ctl    []byte      // payload of the current control frame
	dead   *CloseError // after an error nothing more is decoded
}

// Decode reads b, which may begin and end anywhere in a frame, and moves the
// payload of data frames to the front of b, unmasked; n is its length. Each
// complete ping and pong is given to control, whose argument is only valid
// during the call. A close frame and every fault end decoding with a
// *CloseError; the n bytes that came before it are still good. Bytes after a
// close frame are ignored. b is overwritten.
func (d *Decoder) Decode(b []byte, control func(op byte, payload []byte)) (n int, err error) {
	if d.dead != nil {
		return 0, d.dead
	}
	out := b
	for len(b) > 0 {
		if !d.inBody {
			used, err := d.header(b)
			b = b[used:]
			if err != nil {
				return n, d.fail(err)
			}
			if !d.inBody {
				break
			}
		}
		m := int(min(uint64(len(b)), d.remain))
		d.unmask(b[:m])
		if d.op >= OpClose {
			d.ctl = append(d.ctl, b[:m]...)
		} else {
			n += copy(out[n:], b[:m])
		}
		b, d.remain = b[m:], d.remain-uint64(m)
		if d.remain > 0 {
			break
		}
		if err := d.end(control); err != nil {
			return n, d.fail(err)
		}
	}
	return n, nil
}

func (d *Decoder) fail(err error) error {
	ce, ok := err.(*CloseError)
	if !ok {
		ce = &CloseError{Code: CodeProtocol, Text: err.Error()}
	}
	d.dead = ce
	return ce
}

// header collects header bytes from b and returns how many it took. It sets
// inBody when the header is complete and correct.
func (d *Decoder) header(b []byte) (used int, err error) {
	for {
		need := d.headerLen()
		take := min(need-int(d.hn), len(b)-used)
		copy(d.hdr[d.hn:], b[used:used+take])
		d.hn += uint8(take)
		used += take
		if int(d.hn) < need {
			return used, nil
		}
		if need == 2 {
			if err := d.checkFirst(); err != nil {
				return used, err
			}
		}
		if need = d.headerLen(); int(d.hn) == need && need > 2 {
			return used, d.begin(need)
		}
	}
}

// headerLen is the length of the header as far as it is known.
func (d *Decoder) headerLen() int {
	if d.hn < 2 {
		return 2
	}
	switch d.hdr[1] & 0x7f {
	case 126:
		return 8
	case 127:
		return 14
	}
	return 6
}

// checkFirst checks the first two bytes of a header (RFC 6455 §5.2, §5.4, §5.5).
func (d *Decoder) checkFirst() error {
	fin, op := d.hdr[0]&0x80 != 0, d.hdr[0]&0x0f
	length := d.hdr[1] & 0x7f
	switch {
	case d.hdr[0]&0x70 != 0:
		return protocolError("reserved bit set")
	case d.hdr[1]&0x80 == 0:
		return protocolError("frame is not masked")
	case op == OpText:
		return &CloseError{Code: CodeUnsupported, Text: "text frame"}
	case op > OpPong || (op > OpBinary && op < OpClose):
		return protocolError("unknown opcode")
	case op >= OpClose && !fin:
		return protocolError("fragmented control frame")
	case op >= OpClose && length > MaxControl:
		return protocolError("control frame too long")
	case op == OpContinuation && !d.inMsg:
		return protocolError("continuation without a message")
	case op == OpBinary && d.inMsg:
		return protocolError("new message inside a fragmented one")
	}
	if op < OpClose {
		d.inMsg = !fin
	}
	d.op = op
	return nil
}

// begin takes length and mask from the complete header of n bytes.
func (d *Decoder) begin(n int) error {
	switch n {
	case 6:
		d.remain = uint64(d.hdr[1] & 0x7f)
	case 8:
		d.remain = uint64(binary.BigEndian.Uint16(d.hdr[2:]))
		if d.remain < 126 {
			return protocolError("length is not minimal")
		}
	case 14:
		d.remain = binary.BigEndian.Uint64(d.hdr[2:])
		if d.remain>>63 != 0 {
			return protocolError("length has its highest bit set")
		}
		if d.remain < 1<<16 {
			return protocolError("length is not minimal")
		}
	}
	copy(d.mask[:], d.hdr[n-4:n])
	d.hn, d.pos, d.inBody = 0, 0, true
	return nil
}

// end closes the current frame.
func (d *Decoder) end(control func(op byte, payload []byte)) error {
	d.inBody = false
	if d.op < OpClose {
		return nil
	}
	ctl := d.ctl
	d.ctl = nil
	if d.op == OpClose {
		return closeError(ctl)
	}
	if control != nil {
		control(d.op, ctl)
	}
	return nil
}

// unmask applies the masking key (RFC 6455 §5.3), eight bytes at a time.
func (d *Decoder) unmask(b []byte) {
	k := d.mask
	for i := range k {
		k[i] = d.mask[(int(d.pos)+i)&3]
	}
	d.pos = uint8((int(d.pos) + len(b)) & 3)
	k32 := uint64(binary.LittleEndian.Uint32(k[:]))
	k64 := k32<<32 | k32
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^k64)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= k[i&3]
	}
}

// closeError reads the payload of a close frame (RFC 6455 §5.5.1, §7.4).
func closeError(p []byte) error {
	if len(p) == 0 {
		return &CloseError{Code: CodeNoStatus, Peer: true}
	}
	if len(p) == 1 {
		return protocolError("close code of one byte")
	}
	code := int(binary.BigEndian.Uint16(p))
	if !validCode(code) {
		return protocolError("close code not allowed")
	}
	if !utf8.Valid(p[2:]) {
		return &CloseError{Code: CodeInvalidData, Text: "close reason is not UTF-8"}
	}
	return &CloseError{Code: code, Text: string(p[2:]), Peer: true}
}

// validCode reports whether a code may stand in a close frame (RFC 6455 §7.4).
func validCode(code int) bool {
	return code >= 1000 && code <= 1003 || code >= 1007 && code <= 1014 || code >= 3000 && code <= 4999
}

// PutHeader writes the header of one complete frame of n payload bytes so that
// it ends where room ends, and returns its length. room is HeaderRoom long:
// a buffer that starts with it needs no copy when the length becomes known.
func PutHeader(room []byte, op byte, n int) int {
	var h [HeaderRoom]byte
	used := len(AppendHeader(h[:0], op, n))
	copy(room[len(room)-used:], h[:used])
	return used
}

// AppendHeader appends the header of one complete, unmasked frame of n bytes.
func AppendHeader(dst []byte, op byte, n int) []byte {
	dst = append(dst, 0x80|op)
	switch {
	case n < 126:
		return append(dst, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, 126), uint16(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, 127), uint64(n))
}

// AppendControl appends a control frame; payload over MaxControl is cut.
func AppendControl(dst []byte, op byte, payload []byte) []byte {
	payload = payload[:min(len(payload), MaxControl)]
	return append(AppendHeader(dst, op, len(payload)), payload...)
}

// AppendClose appends a close frame. A code that must not be sent, such as
// CodeNoStatus, gives a close frame without payload.
func AppendClose(dst []byte, code int, text string) []byte {
	if !validCode(code) {
		return AppendControl(dst, OpClose, nil)
	}
	text = text[:min(len(text), MaxControl-2)]
	for !utf8.ValidString(text) && len(text) > 0 {
		text = text[:len(text)-1]
	}
	p := append(binary.BigEndian.AppendUint16(nil, uint16(code)), text...)
	return AppendControl(dst, OpClose, p)
}
