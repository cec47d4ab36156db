package load

import (
	"bufio"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// upgrade turns a connection into a WebSocket, RFC 6455 §4.1.
func upgrade(c io.ReadWriter, host, path string) error {
	var nonce [16]byte
	_, _ = rand.Read(nonce[:]) // never fails
	key := base64.StdEncoding.EncodeToString(nonce[:])
	_, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n", path, host, key)
	if err != nil {
		return err
	}
	// The server speaks MQTT only after a CONNECT, so nothing of it can be in this reader afterwards.
	res, err := http.ReadResponse(bufio.NewReaderSize(c, 512), nil)
	if err != nil {
		return err
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusSwitchingProtocols {
		return errors.New("upgrade to WebSocket refused: " + res.Status)
	}
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	if res.Header.Get("Sec-WebSocket-Accept") != base64.StdEncoding.EncodeToString(sum[:]) {
		return errors.New("upgrade to WebSocket answered with a wrong Sec-WebSocket-Accept")
	}
	return nil
}

// Opcodes of RFC 6455 §5.2.
const (
	wsContinuation = 0
	wsBinary       = 2
	wsClose        = 8
	wsPing         = 9
	wsPong         = 10
)

// deframer takes the frames off a server's stream, wherever that is cut.
type deframer struct {
	head [10]byte // of a header that is not complete
	have int
	left uint64 // bytes of the present frame to come
	op   byte
}

var errFrame = errors.New("frame of WebSocket that a server may not send")

// feed moves the payload of binary frames in b to its front and returns it. pinged: at least one ping was there, which wants a pong.
func (d *deframer) feed(b []byte) (payload []byte, pinged bool, err error) {
	out := b[:0]
	for len(b) > 0 {
		if d.left == 0 {
			n, err := d.header(b)
			if err != nil {
				return nil, false, err
			}
			b = b[n:]
			pinged = pinged || d.have == 0 && d.op == wsPing
			continue
		}
		n := int(min(d.left, uint64(len(b))))
		if d.op <= wsBinary {
			out = append(out, b[:n]...)
		}
		d.left -= uint64(n)
		b = b[n:]
	}
	return out, pinged, nil
}

// header takes bytes of a header from b and says how many; have is 0 when it is complete.
func (d *deframer) header(b []byte) (int, error) {
	used := 0
	for {
		need := 2
		if d.have >= 2 {
			switch d.head[1] {
			case 126:
				need = 4
			case 127:
				need = 10
			}
		}
		if d.have == need {
			break
		}
		if used == len(b) {
			return used, nil
		}
		d.head[d.have] = b[used]
		d.have++
		used++
	}
	d.have, d.op = 0, d.head[0]&0x0F
	switch n := d.head[1]; {
	case n&0x80 != 0 || d.op == 1: // masked, or text
		return 0, errFrame
	case n == 126:
		d.left = uint64(binary.BigEndian.Uint16(d.head[2:]))
	case n == 127:
		d.left = binary.BigEndian.Uint64(d.head[2:])
	default:
		d.left = uint64(n)
	}
	if d.op == wsClose {
		return 0, io.EOF
	}
	return used, nil
}

// appendFrame appends one frame of a client: masked, as RFC 6455 §5.3 wants it.
func appendFrame(dst []byte, op byte, key uint32, payload []byte) []byte {
	dst = append(dst, 0x80|op)
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, 0x80|byte(n))
	case n < 1<<16:
		dst = binary.BigEndian.AppendUint16(append(dst, 0x80|126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, 0x80|127), uint64(n))
	}
	dst = binary.LittleEndian.AppendUint32(dst, key)
	at := len(dst)
	dst = append(dst, payload...)
	masked, wide := dst[at:], uint64(key)<<32|uint64(key)
	for len(masked) >= 8 {
		binary.LittleEndian.PutUint64(masked, binary.LittleEndian.Uint64(masked)^wide)
		masked = masked[8:]
	}
	for i := range masked {
		masked[i] ^= byte(key >> (8 * (i % 4)))
	}
	return dst
}
