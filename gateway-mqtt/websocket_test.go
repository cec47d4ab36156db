package gatewaymqtt_test

import (
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
)

// upgradeHead is a request that is upgraded, with further header fields.
func upgradeHead(more ...string) string {
	return "GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
		"Sec-WebSocket-Version: 13\r\n" + strings.Join(append(more, ""), "\r\n") + "\r\n"
}

const mqttProtocol = "Sec-WebSocket-Protocol: mqtt"

// webFrame is a client's frame, masked with zeros.
func webFrame(first byte, payload string) string {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	return string(append(b, 0, 0, 0, 0)) + payload
}

// upgraded is a raw WebSocket connection.
func (w *world) upgraded(t *testing.T, more ...string) (net.Conn, *bufio.Reader) {
	t.Helper()
	nc, err := w.open(t, "raw")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(patience))
	_, _ = nc.Write([]byte(upgradeHead(append(more, mqttProtocol)...)))
	r := bufio.NewReader(nc)
	answer, err := http.ReadResponse(r, nil)
	if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v %v", answer, err)
	}
	if ext := answer.Header.Get("Sec-WebSocket-Extensions"); ext != "" {
		t.Errorf("extensions %q", ext)
	}
	return nc, r
}

// closeCode reads frames until the close frame and the end, and gives its code; 0: there was none.
func closeCode(t *testing.T, r io.Reader) (code uint16, data int) {
	t.Helper()
	for {
		var head [2]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
				t.Fatalf("the connection does not end: %v", err)
			}
			return code, data
		}
		body := make([]byte, head[1])
		if _, err := io.ReadFull(r, body); err != nil {
			t.Fatal(err)
		}
		if head[0] == 0x88 && len(body) >= 2 {
			code = binary.BigEndian.Uint16(body)
		} else {
			data += len(body)
		}
	}
}

// bomb is a compressed message of 8 MiB of zeros.
func bomb(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(w, zeros{}, 8<<20); err != nil {
		t.Fatal(err)
	}
	_ = w.Flush()
	return b.String()
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// TestHostileWebSocket (case 34): what breaks RFC 6455, or hides MQTT packets from their decoder, ends the connection with its close code; the process
// keeps no memory of it, and the next client is served.
func TestHostileWebSocket(t *testing.T) { // not parallel: it counts what is allocated
	w := start(t, func(s *setup) {
		s.open("ws")
		s.cfg.Listeners["raw"] = bound("127.0.0.1:0", "tcp")
		s.listener("raw", func(l *gatewaymqttListener) { l.Kind = "ws" })
	})
	connect := string((&client{t: t, v: packet.V311}).encode(connectPacket(packet.V311, "hostile")))
	packed := bomb(t)
	const refused, unsupported = 1002, 1003
	for name, tt := range map[string]struct {
		frames string
		code   uint16
	}{
		"compressed bomb":                      {webFrame(0xc2, packed), refused},
		"compressed fragments":                 {webFrame(0x42, packed[:100]) + webFrame(0x80, packed[100:200]), refused},
		"text":                                 {webFrame(0x81, connect), unsupported},
		"unmasked":                             {"\x82\x02\xc0\x00", refused},
		"reserved bit":                         {webFrame(0xa2, connect), refused},
		"unknown opcode":                       {webFrame(0x83, connect), refused},
		"fragmented ping":                      {webFrame(0x09, "x"), refused},
		"ping of 126 bytes":                    {webFrame(0x89, strings.Repeat("x", 126)), refused},
		"length 2^63":                          {"\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", refused},
		"length 2^64-1":                        {"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00", refused},
		"length not minimal":                   {"\x82\xfe\x00\x05\x00\x00\x00\x00hello", refused},
		"a message inside a message":           {webFrame(0x02, connect[:2]) + webFrame(0x82, connect), refused},
		"continuation of nothing":              {webFrame(0x80, connect), refused},
		"no MQTT in the frame":                 {webFrame(0x82, "GET / HTTP/1.1\r\n\r\n"), 1000},
		"remaining length of five bytes":       {webFrame(0x82, "\x10\xff\xff\xff\xff\x7f"), 1000},
		"256 MB promised, and a frame of 2^40": {"\x82\xff\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x10\xff\xff\xff\x7f\x00\x04MQTT\x04\x02\x00\x3c", 1000},
	} {
		t.Run(name, func(t *testing.T) {
			nc, r := w.upgraded(t, "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, _ = nc.Write([]byte(tt.frames))
			code, _ := closeCode(t, r)
			runtime.ReadMemStats(&after)
			if code != tt.code {
				t.Errorf("close code %d, want %d", code, tt.code)
			}
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
				t.Errorf("%d bytes were allocated", grown)
			}
		})
	}
	c := w.dial(t, "ws", packet.V311)
	c.send(connectPacket(packet.V311, "next"))
	expect[*packet.Connack](c)
}

// TestPacketsAndFrames (case 34): packets over many frames and fragments, many packets in one frame, and a frame shorter than its packet's Remaining
// Length, which is no packet until the rest is there.
func TestPacketsAndFrames(t *testing.T) {
	t.Parallel()
	w := start(t, func(s *setup) {
		s.cfg.Listeners["raw"] = bound("127.0.0.1:0", "tcp")
		s.listener("raw", func(l *gatewaymqttListener) { l.Kind = "ws" })
	})
	cl := &client{t: t, v: packet.V311}
	ping := "\xc0\x00"
	for name, cut := range map[string]func(string) string{
		"one frame": func(s string) string { return webFrame(0x82, s) },
		"a frame for each byte": func(s string) (out string) {
			for i := range len(s) {
				out += webFrame(0x82, s[i:i+1])
			}
			return out
		},
		"fragments with pings between": func(s string) (out string) {
			out = webFrame(0x02, s[:1])
			for i := 1; i < len(s); i++ {
				out += webFrame(0x8a, "") + webFrame(0x00, s[i:i+1])
			}
			return out + webFrame(0x80, "")
		},
		"shorter than the remaining length": func(s string) string { return webFrame(0x82, s[:5]) + webFrame(0x82, s[5:]) },
	} {
		t.Run(name, func(t *testing.T) {
			nc, r := w.upgraded(t)
			all := string(cl.encode(connectPacket(packet.V311, name))) + ping + ping + string(cl.encode(message(1, 1, "a", strings.Repeat("x", 300))))
			_, _ = nc.Write([]byte(cut(all)))
			var got []byte
			for want := "\x20\x02\x00\x00\xd0\x00\xd0\x00\x40\x02\x00\x01"; string(got) != want; {
				var head [2]byte
				if _, err := io.ReadFull(r, head[:]); err != nil || head[0] != 0x82 || !strings.HasPrefix(want, string(got)) {
					t.Fatalf("frame %x after %x: %v", head, got, err)
				}
				at := len(got)
				got = append(got, make([]byte, head[1])...)
				if _, err := io.ReadFull(r, got[at:]); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestHostileUpgrades (cases 34 and 35): requests that are no clean upgrade are answered with an HTTP error and the end of the connection: nothing that
// comes behind them is a second request, or MQTT. HTTP/2 is not spoken.
func TestHostileUpgrades(t *testing.T) {
	t.Parallel()
	w := start(t, func(s *setup) {
		s.deps.Status = func() (string, bool) { return "fine", true }
		s.cfg.Listeners["raw"] = bound("127.0.0.1:0", "tcp")
		s.listener("raw", func(l *gatewaymqttListener) { l.Kind, l.AllowedOrigins = "ws", []string{"https://plant.example"} })
	})
	good := upgradeHead(mqttProtocol)
	body := "0\r\n\r\nGET /status HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, tt := range map[string]struct {
		head string
		want int
	}{
		"good":                            {good, 101},
		"allowed origin":                  {upgradeHead(mqttProtocol, "Origin: https://plant.example"), 101},
		"hostile origin":                  {upgradeHead(mqttProtocol, "Origin: https://evil.example"), 403},
		"origin with the name inside":     {upgradeHead(mqttProtocol, "Origin: https://plant.example.evil.example"), 403},
		"null origin":                     {upgradeHead(mqttProtocol, "Origin: null"), 403},
		"two origins":                     {upgradeHead(mqttProtocol, "Origin: https://plant.example", "Origin: https://evil.example"), 403},
		"wrong sub-protocol":              {upgradeHead("Sec-WebSocket-Protocol: stomp, amqp"), 400},
		"no sub-protocol":                 {upgradeHead(), 400},
		"huge cookie":                     {upgradeHead(mqttProtocol, "Cookie: "+strings.Repeat("c", 9000)), 431},
		"many header fields":              {upgradeHead(mqttProtocol, strings.Repeat("A: b\r\n", 2000)+"B: c"), 431},
		"no end of the head":              {strings.Repeat("x", 9000), 431},
		"content length":                  {upgradeHead(mqttProtocol, "Content-Length: 5") + body, 400},
		"transfer encoding":               {upgradeHead(mqttProtocol, "Transfer-Encoding: chunked") + body, 400},
		"both (CL.TE)":                    {upgradeHead(mqttProtocol, "Content-Length: 4", "Transfer-Encoding: chunked") + body, 400},
		"two content lengths":             {upgradeHead(mqttProtocol, "Content-Length: 0", "Content-Length: 44") + body, 400},
		"blank before the colon":          {upgradeHead(mqttProtocol, "Transfer-Encoding : chunked") + body, 400},
		"folded line":                     {upgradeHead(mqttProtocol, "X: y\r\n z") + "", 101},
		"status with a body":              {"GET /status HTTP/1.1\r\nHost: x\r\nContent-Length: 40\r\n\r\n" + body, 400},
		"status, then a second request":   {"GET /status HTTP/1.1\r\nHost: x\r\n\r\nGET /status HTTP/1.1\r\nHost: x\r\n\r\n", 200},
		"absolute address":                {strings.Replace(good, "GET /mqtt", "GET http://evil.example/status", 1), 200},
		"path with dots":                  {strings.Replace(good, "GET /mqtt", "GET /x/../mqtt", 1), 404},
		"no host":                         {strings.Replace(good, "Host: x\r\n", "", 1), 400},
		"two hosts":                       {upgradeHead(mqttProtocol, "Host: y"), 400},
		"HTTP/1.0":                        {strings.Replace(good, "HTTP/1.1", "HTTP/1.0", 1), 400},
		"HTTP/2 by prior knowledge":       {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + strings.Repeat("\x00\x00\x04\x03\x00\x00\x00\x00\x01\x00\x00\x00\x08", 100), 400},
		"upgrade to h2c":                  {strings.Replace(good, "Upgrade: websocket", "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__", 1), 400},
		"MQTT without WebSocket":          {"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00\r\n\r\n", 400},
		"another version of WebSocket":    {strings.Replace(good, "Version: 13", "Version: 8", 1), 426},
		"key of another length":           {strings.Replace(good, "dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ=", 1), 400},
		"method":                          {strings.Replace(good, "GET", "POST", 1), 400},
		"NUL in a header field":           {upgradeHead(mqttProtocol, "X: a\x00b"), 400},
		"answer split by the subprotocol": {upgradeHead("Sec-WebSocket-Protocol: mqtt\rSet-Cookie: a=b"), 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nc, err := w.open(t, "raw")
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			_ = nc.SetDeadline(time.Now().Add(patience))
			_, _ = nc.Write([]byte(tt.head))
			r := bufio.NewReader(nc)
			answer, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if answer.StatusCode != tt.want {
				t.Errorf("%s, want %d", answer.Status, tt.want)
			}
			if tt.want == http.StatusSwitchingProtocols {
				return
			}
			_, _ = io.Copy(io.Discard, answer.Body)
			_ = answer.Body.Close()
			if rest, err := io.ReadAll(r); len(rest) > 0 || err != nil && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("behind the answer: %q %v", rest, err)
			}
		})
	}
}

// TestHandshakeDrip (case 34): an upgrade that comes byte by byte ends at the time out.
func TestHandshakeDrip(t *testing.T) {
	t.Parallel()
	w := start(t, func(s *setup) {
		s.listener("tcp", func(l *gatewaymqttListener) { l.Kind, l.HandshakeTimeout = "ws", 100*time.Millisecond })
	})
	nc, err := net.Dial("tcp", w.gw.Addr("tcp").String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	head := upgradeHead(mqttProtocol, fmt.Sprintf("X: %s", strings.Repeat("y", 7000)))
	w.eventually(t, "counted", func() bool {
		if len(head) > 1 { // a byte at each look, never all of them
			_, _ = nc.Write([]byte(head[:1]))
			head = head[1:]
		}
		return w.shutdowns("handshake_timeout") == 1
	})
}
