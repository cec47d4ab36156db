package transport_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/pando-mq/pando/services/transport"
)

const upgradeRequest = "GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Version: 13\r\n\r\n"

// frame is a client's frame, masked with zeros: the payload stays readable.
func frame(first byte, payload string) string {
	n := len(payload)
	if n < 126 {
		return string([]byte{first, 0x80 | byte(n), 0, 0, 0, 0}) + payload
	}
	return string(binary.BigEndian.AppendUint16([]byte{first, 0x80 | 126}, uint16(n))) + "\x00\x00\x00\x00" + payload
}

// rawWeb upgrades a plain connection by hand and returns a reader behind the answer.
func rawWeb(t *testing.T, s *harness, with string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c := s.dialTCP(t)
	write(t, c, []byte(upgradeRequest+with))
	br := bufio.NewReader(c)
	resp, err := http.ReadResponse(br, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("upgrade: %v, %v", resp, err)
	}
	return c, br
}

// readFrame reads one unmasked frame of the server.
func readFrame(t *testing.T, r io.Reader) (first byte, payload string) {
	t.Helper()
	var h [2]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		t.Fatalf("read frame: %v", err)
	}
	b := make([]byte, h[1])
	if _, err := io.ReadFull(r, b); err != nil {
		t.Fatalf("read frame: %v", err)
	}
	return h[0], string(b)
}

func wantFrame(t *testing.T, r io.Reader, first byte, payload string) {
	t.Helper()
	if f, p := readFrame(t, r); f != first || p != payload {
		t.Fatalf("frame %x %q, want %x %q", f, p, first, payload)
	}
}

func TestWebSocketStream(t *testing.T) {
	t.Parallel()
	s := start(t, transport.WS, option{template: packets})
	p := string(packet([]byte("hello")))
	for name, tt := range map[string]struct {
		frames string
		want   string
	}{
		"one packet":              {frame(0x82, p), "hello"},
		"two packets in a frame":  {frame(0x82, p+p), "hellohello"},
		"packet over two frames":  {frame(0x82, p[:3]) + frame(0x82, p[3:]), "hello"},
		"packet over fragments":   {frame(0x02, p[:1]) + frame(0x00, p[1:2]) + frame(0x80, p[2:]), "hello"},
		"empty frames between":    {frame(0x82, "") + frame(0x82, p[:3]) + frame(0x82, "") + frame(0x82, p[3:]), "hello"},
		"pong in the middle":      {frame(0x02, p[:1]) + frame(0x8a, "unasked") + frame(0x80, p[1:]), "hello"},
		"together with handshake": {"", "hello"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := ""
			if tt.frames == "" {
				first = frame(0x82, p)
			}
			c, br := rawWeb(t, s, first)
			write(t, c, []byte(tt.frames))
			wantFrame(t, br, 0x82, tt.want)
		})
	}
}

func TestWebSocketPing(t *testing.T) {
	t.Parallel()
	s := start(t, transport.WS, option{template: packets})
	c, br := rawWeb(t, s, "")
	write(t, c, []byte(frame(0x89, "are you there")))
	wantFrame(t, br, 0x8a, "are you there")
	p := string(packet([]byte("hello")))
	write(t, c, []byte(frame(0x02, p[:2])+frame(0x89, "now")+frame(0x80, p[2:])))
	wantFrame(t, br, 0x8a, "now")
	wantFrame(t, br, 0x82, "hello")
}

func TestWebSocketFaults(t *testing.T) {
	t.Parallel()
	s := start(t, transport.WS, option{template: packets})
	good := frame(0x82, string(packet([]byte("good"))))
	for name, tt := range map[string]struct {
		frames string
		code   uint16
		reason transport.Reason
	}{
		"unmasked":                 {"\x82\x01x", 1002, transport.ErrWebSocket},
		"text":                     {frame(0x81, "x"), 1003, transport.ErrWebSocket},
		"compressed":               {frame(0xc2, "x"), 1002, transport.ErrWebSocket},
		"length 2^63":              {"\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 1002, transport.ErrWebSocket},
		"long ping":                {frame(0x89, strings.Repeat("p", 126)), 1002, transport.ErrWebSocket},
		"fragmented ping":          {frame(0x09, "x"), 1002, transport.ErrWebSocket},
		"stray continuation":       {frame(0x80, "x"), 1002, transport.ErrWebSocket},
		"message inside a message": {frame(0x02, "") + frame(0x82, ""), 1002, transport.ErrWebSocket},
		"bad close code":           {frame(0x88, "\x03\xee"), 1002, transport.ErrWebSocket},
		"close":                    {frame(0x88, "\x0f\xa0bye"), 4000, transport.ErrPeerClosed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, transport.WS, option{template: packets})
			c, br := rawWeb(t, s, "")
			write(t, c, []byte(good+tt.frames+good))
			wantFrame(t, br, 0x82, "good")
			wantFrame(t, br, 0x88, string(binary.BigEndian.AppendUint16(nil, tt.code)))
			wantEOF(t, br)
			_ = c.Close()
			wantReason(t, s.handler(t), tt.reason)
		})
	}
	if c, br := rawWeb(t, s, ""); c != nil {
		write(t, c, []byte(good))
		wantFrame(t, br, 0x82, "good")
	}
}

func TestWebSocketCloseCodes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		reason error
		code   websocket.StatusCode
	}{
		"normal":   {nil, websocket.StatusNormalClosure},
		"kick":     {transport.Reason("kick"), websocket.StatusNormalClosure},
		"shutdown": {transport.ErrShutdown, websocket.StatusGoingAway},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, transport.WS, option{})
			c, _ := s.dialWeb(t, nil)
			s.handler(t).conn.Close(tt.reason)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if _, _, err := c.Read(ctx); websocket.CloseStatus(err) != tt.code {
				t.Errorf("close status %v, want %v", err, tt.code)
			}
		})
	}
}

// The whole closing handshake with an independent client.
func TestWebSocketPeerCloses(t *testing.T) {
	t.Parallel()
	for _, kind := range []transport.Kind{transport.WS, transport.WSS} {
		s := start(t, kind, option{template: echo})
		c, resp := s.dialWeb(t, http.Header{"Cookie": {"session=abc"}})
		if c.Subprotocol() != "mqtt" || resp.Header.Get("Sec-WebSocket-Extensions") != "" {
			t.Errorf("subprotocol %q, extensions %q", c.Subprotocol(), resp.Header.Get("Sec-WebSocket-Extensions"))
		}
		h := s.handler(t)
		if got := h.conn.Info().Header.Get("Cookie"); got != "session=abc" {
			t.Errorf("cookie %q", got)
		}
		if err := c.Close(websocket.StatusNormalClosure, "bye"); err != nil {
			t.Errorf("close: %v", err)
		}
		wantReason(t, h, transport.ErrPeerClosed)
	}
}

func TestHTTPOnWebSocketListener(t *testing.T) {
	t.Parallel()
	status := func(*http.Request) (int, string, []byte) { return 200, "text/plain", []byte("Node is started") }
	s := start(t, transport.WS, option{http: map[string]transport.HTTPFunc{
		"/status": status, "/mqtt/status": status,
		"/panic": func(*http.Request) (int, string, []byte) { panic("bug") },
	}})
	for _, tt := range []struct {
		method, path string
		header       string
		status       int
		body         string
		reason       transport.Reason
	}{
		{"GET", "/status", "", 200, "Node is started", transport.ErrHTTP},
		{"HEAD", "/status", "", 200, "", transport.ErrHTTP},
		{"GET", "/mqtt/status?x=y", "", 200, "Node is started", transport.ErrHTTP},
		{"POST", "/status", "", 405, "Method Not Allowed", transport.ErrUpgrade},
		{"GET", "/other", "", 404, "Not Found", transport.ErrUpgrade},
		{"GET", "/mqtt", "", 400, "Bad Request", transport.ErrUpgrade},
		{"GET", "/mqtt", "Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\n" +
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: stomp\r\n", 400, "Bad WebSocket Protocol", transport.ErrUpgrade},
		{"GET", "/mqtt", "Cookie: " + strings.Repeat("c", 9000) + "\r\n", 431, "Request Header Fields Too Large", transport.ErrUpgrade},
	} {
		t.Run(fmt.Sprintf("%s %s %d", tt.method, tt.path, tt.status), func(t *testing.T) {
			before := s.Shutdowns()[tt.reason]
			c := s.dialTCP(t)
			write(t, c, []byte(tt.method+" "+tt.path+" HTTP/1.1\r\nHost: x\r\n"+tt.header+"\r\n"))
			r, err := http.NewRequestWithContext(t.Context(), tt.method, "http://x/", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(bufio.NewReader(c), r)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != tt.status || string(body) != tt.body || !resp.Close {
				t.Errorf("status %d, body %q, error %v", resp.StatusCode, body, err)
			}
			_ = resp.Body.Close()
			_ = c.Close()
			eventually(t, "counted", func() bool { return s.Shutdowns()[tt.reason] == before+1 })
		})
	}
	c := s.dialTCP(t)
	write(t, c, []byte("GET /panic HTTP/1.1\r\nHost: x\r\n\r\n"))
	_, _ = io.Copy(io.Discard, c)
	eventually(t, "panic counted", func() bool { return s.Shutdowns()[transport.ErrPanic] == 1 })
	if len(s.accepted) != 0 {
		t.Error("a plain request was accepted")
	}
}
