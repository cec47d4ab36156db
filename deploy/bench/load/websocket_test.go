package load

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"
)

// frame is one of a server.
func frame(op byte, payload []byte) []byte {
	b := []byte{0x80 | op}
	switch n := len(payload); {
	case n < 126:
		b = append(b, byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
	}
	return append(b, payload...)
}

func TestDeframer(t *testing.T) {
	t.Parallel()
	long := bytes.Repeat([]byte("0123456789"), 30)
	huge := bytes.Repeat([]byte("x"), 70_000)
	var stream []byte
	for _, f := range [][]byte{frame(wsBinary, []byte("a")), frame(wsBinary, nil), frame(wsPing, []byte("are you there")), frame(wsBinary, long), frame(wsContinuation, huge)} {
		stream = append(stream, f...)
	}
	want := "a" + string(long) + string(huge)
	for _, size := range []int{1, 2, 3, 7, 100, len(stream)} {
		var d deframer
		var got []byte
		pings := 0
		for rest := bytes.Clone(stream); len(rest) > 0; {
			n := min(size, len(rest))
			payload, pinged, err := d.feed(rest[:n])
			if err != nil {
				t.Fatalf("in pieces of %d: %v", size, err)
			}
			got = append(got, payload...)
			pings += count(pinged)
			rest = rest[n:]
		}
		if string(got) != want || pings != 1 {
			t.Errorf("in pieces of %d: %d bytes and %d pings, want %d and 1", size, len(got), pings, len(want))
		}
	}
}

func TestDeframerRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		in   []byte
		want error
	}{
		{"masked", []byte{0x82, 0x81, 0, 0, 0, 0, 0}, errFrame},
		{"text", frame(1, []byte("x")), errFrame},
		{"close", frame(wsClose, nil), io.EOF},
	}
	for _, tc := range tests {
		var d deframer
		if _, _, err := d.feed(tc.in); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
	}
}

// Frames of a client are masked (RFC 6455 §5.3): taking the mask off again gives the payload, at every length.
func TestAppendFrame(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 3, 4, 7, 8, 9, 125, 126, 1000, 65535, 65536} {
		payload := make([]byte, n)
		for i := range payload {
			payload[i] = byte(i * 7)
		}
		b := appendFrame(nil, wsBinary, 0xA1B2C3D4, payload)
		head := 2
		switch b[1] & 0x7F {
		case 126:
			head = 4
		case 127:
			head = 10
		}
		if b[0] != 0x82 || b[1]&0x80 == 0 || len(b) != head+4+n {
			t.Fatalf("%d bytes: header %x and %d bytes in all", n, b[:head], len(b))
		}
		mask, got := b[head:head+4], bytes.Clone(b[head+4:])
		for i := range got {
			got[i] ^= mask[i%4]
		}
		if !bytes.Equal(got, payload) {
			t.Fatalf("%d bytes come back as others", n)
		}
	}
}
