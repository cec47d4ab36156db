package ws_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/pando-mq/pando/services/transport/ws"
)

// client builds one masked frame; first is FIN, RSV and opcode.
func client(first byte, payload []byte) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	mask := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	b = append(b, mask[:]...)
	for i, x := range payload {
		b = append(b, x^mask[i%4])
	}
	return b
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// decode feeds input in pieces of the given size, 0 for all at once.
func decode(input []byte, size int) (payload []byte, controls []string, err error) {
	var d ws.Decoder
	control := func(op byte, p []byte) { controls = append(controls, fmt.Sprintf("%x:%s", op, p)) }
	if size == 0 {
		size = max(1, len(input))
	}
	for len(input) > 0 && err == nil {
		piece := bytes.Clone(input[:min(size, len(input))])
		input = input[len(piece):]
		var n int
		n, err = d.Decode(piece, control)
		payload = append(payload, piece[:n]...)
	}
	return payload, controls, err
}

func TestDecode(t *testing.T) {
	t.Parallel()
	long := bytes.Repeat([]byte("0123456789"), 7000)
	join := func(f ...[]byte) []byte { return bytes.Join(f, nil) }
	tests := []struct {
		name     string
		input    []byte
		payload  string
		controls string
	}{
		{"RFC 6455 §5.7, as binary", unhex(t, "82 85 37fa213d 7f9f4d5158"), "Hello", ""},
		{"empty message", client(0x82, nil), "", ""},
		{"16-bit length", client(0x82, long[:126]), string(long[:126]), ""},
		{"largest 16-bit length", client(0x82, long[:65535]), string(long[:65535]), ""},
		{"64-bit length", client(0x82, long), string(long), ""},
		{"two frames", join(client(0x82, []byte("ab")), client(0x82, []byte("cd"))), "abcd", ""},
		{"fragments with a ping between", join(client(0x02, []byte("ab")), client(0x89, []byte("hi")), client(0x00, []byte("c")), client(0x80, []byte("d"))), "abcd", "9:hi"},
		{"fragment, then a new message", join(client(0x02, nil), client(0x80, nil), client(0x82, []byte("x"))), "x", ""},
		{"pong", client(0x8a, []byte("unasked")), "", "a:unasked"},
		{"longest ping", client(0x89, long[:125]), "", "9:" + string(long[:125])},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, size := range []int{0, 1, 3, 7, 4096} {
				payload, controls, err := decode(tt.input, size)
				if err != nil || string(payload) != tt.payload || strings.Join(controls, ",") != tt.controls {
					t.Fatalf("pieces of %d: %.40q, controls %q, error %v", size, payload, controls, err)
				}
			}
		})
	}
}

func TestDecodeEnd(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		input []byte
		code  int
		peer  bool
	}{
		{"not masked", unhex(t, "82 01 00"), 1002, false},
		{"text", client(0x81, []byte("hi")), 1003, false},
		{"text fragment", client(0x01, []byte("hi")), 1003, false},
		{"RSV1: permessage-deflate", client(0xc2, []byte("x")), 1002, false},
		{"RSV2", client(0xa2, []byte("x")), 1002, false},
		{"RSV3", client(0x92, []byte("x")), 1002, false},
		{"opcode 3", client(0x83, nil), 1002, false},
		{"opcode 7", client(0x87, nil), 1002, false},
		{"opcode 11", client(0x8b, nil), 1002, false},
		{"opcode 15", client(0x8f, nil), 1002, false},
		{"length 2^63", unhex(t, "82 ff 8000000000000000 00000000"), 1002, false},
		{"length 2^64-1", unhex(t, "82 ff ffffffffffffffff 00000000"), 1002, false},
		{"length 125 in 16 bits", unhex(t, "82 fe 007d 00000000"), 1002, false},
		{"length 65535 in 64 bits", unhex(t, "82 ff 000000000000ffff 00000000"), 1002, false},
		{"ping of 126", client(0x89, make([]byte, 126)), 1002, false},
		{"fragmented ping", client(0x09, []byte("x")), 1002, false},
		{"fragmented close", client(0x08, nil), 1002, false},
		{"continuation of nothing", client(0x80, nil), 1002, false},
		{"continuation after the end", append(client(0x02, nil), append(client(0x80, nil), client(0x80, nil)...)...), 1002, false},
		{"message inside a message", append(client(0x02, nil), client(0x82, nil)...), 1002, false},
		{"close without code", client(0x88, nil), 1005, true},
		{"close 1000", client(0x88, []byte("\x03\xe8bye")), 1000, true},
		{"close 4999", client(0x88, []byte("\x13\x87")), 4999, true},
		{"close of one byte", client(0x88, []byte{3}), 1002, false},
		{"close 1005", client(0x88, []byte("\x03\xed")), 1002, false},
		{"close 999", client(0x88, []byte("\x03\xe7")), 1002, false},
		{"close 5000", client(0x88, []byte("\x13\x88")), 1002, false},
		{"close with broken UTF-8", client(0x88, []byte("\x03\xe8\xff")), 1007, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			input := append(client(0x82, []byte("good")), tt.input...)
			for _, size := range []int{0, 1, 5} {
				payload, _, err := decode(append(input, client(0x82, []byte("late"))...), size)
				ce, ok := errors.AsType[*ws.CloseError](err)
				if !ok || ce.Code != tt.code || ce.Peer != tt.peer {
					t.Fatalf("pieces of %d: error %v, want code %d", size, err, tt.code)
				}
				if !bytes.HasPrefix(payload, []byte("good")) || bytes.Contains(payload, []byte("late")) {
					t.Fatalf("pieces of %d: payload %q", size, payload)
				}
			}
		})
	}
}

// After the end nothing is decoded, whatever comes.
func TestDecodeAfterEnd(t *testing.T) {
	t.Parallel()
	var d ws.Decoder
	_, first := d.Decode(client(0x81, nil), nil)
	n, second := d.Decode(client(0x82, []byte("late")), nil)
	if n != 0 || !errors.Is(second, first) {
		t.Errorf("n %d, errors %v and %v", n, first, second)
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{
		0: "8200", 125: "827d", 126: "827e007e", 65535: "827effff", 65536: "827f0000000000010000",
	} {
		if got := hex.EncodeToString(ws.AppendHeader(nil, ws.OpBinary, n)); got != want {
			t.Errorf("header of %d bytes: %s, want %s", n, got, want)
		}
		room := make([]byte, ws.HeaderRoom)
		size := ws.PutHeader(room, ws.OpBinary, n)
		if got := hex.EncodeToString(room[ws.HeaderRoom-size:]); got != want {
			t.Errorf("header put for %d bytes: %s, want %s", n, got, want)
		}
	}
	for want, got := range map[string][]byte{
		"880203e8":               ws.AppendClose(nil, 1000, ""),
		"8800":                   ws.AppendClose(nil, ws.CodeNoStatus, "not sent"),
		"8a026869":               ws.AppendControl(nil, ws.OpPong, []byte("hi")),
		"8804" + "03ea" + "6869": ws.AppendClose(nil, 1002, "hi"),
	} {
		if hex.EncodeToString(got) != want {
			t.Errorf("%x, want %s", got, want)
		}
	}
	if long := ws.AppendClose(nil, 1000, strings.Repeat("é", 100)); len(long) != 2+2+122 {
		t.Errorf("close reason not cut at a rune: %d bytes", len(long))
	}
}

// FuzzFrame: the result does not depend on how the input was cut, and never is
// longer than the input.
func FuzzFrame(f *testing.F) {
	f.Add(client(0x82, []byte("hello")), uint8(1))
	f.Add(append(client(0x02, []byte("ab")), append(client(0x89, []byte("p")), client(0x80, []byte("c"))...)...), uint8(3))
	f.Add(client(0x88, []byte("\x03\xe8bye")), uint8(2))
	f.Add(client(0x82, bytes.Repeat([]byte("x"), 300)), uint8(7))
	f.Add([]byte{0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}, uint8(5))
	f.Add([]byte{0x81, 0x01, 0x00}, uint8(1))
	f.Fuzz(func(t *testing.T, input []byte, size uint8) {
		whole, wholeCtl, wholeErr := decode(input, 0)
		pieces, piecesCtl, piecesErr := decode(input, int(size))
		if !bytes.Equal(whole, pieces) || strings.Join(wholeCtl, ",") != strings.Join(piecesCtl, ",") {
			t.Fatalf("%q %q at once, %q %q in pieces of %d", whole, wholeCtl, pieces, piecesCtl, size)
		}
		if fmt.Sprint(wholeErr) != fmt.Sprint(piecesErr) {
			t.Fatalf("error %v at once, %v in pieces", wholeErr, piecesErr)
		}
		if len(whole) > len(input) {
			t.Fatal("more payload than input")
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	frame := client(0x82, make([]byte, 256))
	buf := make([]byte, len(frame))
	var d ws.Decoder
	b.SetBytes(256)
	b.ReportAllocs()
	for b.Loop() {
		copy(buf, frame)
		if n, err := d.Decode(buf, nil); n != 256 || err != nil {
			b.Fatal(n, err)
		}
	}
}
