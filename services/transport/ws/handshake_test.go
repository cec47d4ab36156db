package ws_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/pando-mq/pando/services/transport/ws"
)

// The request of RFC 6455 §1.2, with a sub-protocol of MQTT.
const request = "GET /mqtt HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://example.com\r\n" +
	"Sec-WebSocket-Protocol: chat, mqtt\r\nSec-WebSocket-Version: 13\r\n\r\n"

var options = ws.Options{Path: "/mqtt", Subprotocols: []string{"mqtt", "mqttv3.1"}, RequireSubprotocol: true}

func TestCheck(t *testing.T) {
	t.Parallel()
	replace := func(old, new string) string { return strings.Replace(request, old, new, 1) }
	only := ws.Options{Path: "/mqtt", Subprotocols: []string{"mqtt"}, AllowedOrigins: []string{"https://a.example", "http://EXAMPLE.com"}}
	other := ws.Options{Path: "/mqtt", AllowedOrigins: []string{"https://a.example"}}
	tests := []struct {
		name    string
		opts    ws.Options
		request string
		status  int // 0: admitted
		text    string
		sub     string
	}{
		{"RFC 6455 §1.2", options, request, 0, "", "mqtt"},
		{"query", options, replace("/mqtt ", "/mqtt?token=x "), 0, "", "mqtt"},
		{"client's order", options, replace("chat, mqtt", "mqttv3.1,mqtt"), 0, "", "mqttv3.1"},
		{"two protocol fields", options, replace("chat, mqtt", "chat\r\nSec-WebSocket-Protocol: mqtt"), 0, "", "mqtt"},
		{"other path", options, replace("/mqtt ", "/mqtt/ "), 404, "Not Found", ""},
		{"no upgrade", options, replace("Upgrade: websocket\r\n", ""), 400, "Bad Request", ""},
		{"upgrade to h2c", options, replace("Upgrade: websocket", "Upgrade: h2c"), 400, "Bad Request", ""},
		{"no connection token", options, replace("keep-alive, Upgrade", "keep-alive"), 400, "Bad Request", ""},
		{"POST", options, replace("GET", "POST"), 400, "Bad Request", ""},
		{"HTTP/1.0", options, replace("HTTP/1.1", "HTTP/1.0"), 400, "Bad Request", ""},
		{"no host", options, replace("Host: server.example.com\r\n", ""), 400, "Bad Request", ""},
		{"body", options, replace("Origin: http://example.com", "Content-Length: 3"), 400, "Bad Request", ""},
		{"chunked body", options, replace("Origin: http://example.com", "Transfer-Encoding: chunked"), 400, "Bad Request", ""},
		{"not HTTP", options, "\x16\x03\x01\x02\r\n\r\n", 400, "Bad Request", ""},
		{"version 8", options, replace("Version: 13", "Version: 8"), 426, "Upgrade Required", ""},
		{"no version", options, replace("Sec-WebSocket-Version: 13\r\n", ""), 426, "Upgrade Required", ""},
		{"no key", options, replace("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""), 400, "Bad Request", ""},
		{"short key", options, replace("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ="), 400, "Bad Request", ""},
		{"two keys", options, replace("Origin: http://example.com", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), 400, "Bad Request", ""},
		{"unknown protocol", options, replace("chat, mqtt", "chat"), 400, "Bad WebSocket Protocol", ""},
		{"no protocol", options, replace("Sec-WebSocket-Protocol: chat, mqtt\r\n", ""), 400, "Bad WebSocket Protocol", ""},
		{"no protocol, not required", only, replace("Sec-WebSocket-Protocol: chat, mqtt\r\n", ""), 0, "", ""},
		{"origin in the list", only, request, 0, "", "mqtt"},
		{"origin not in the list", other, request, 403, "Forbidden", ""},
		{"no origin", other, replace("Origin: http://example.com\r\n", ""), 0, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, err := ws.ParseRequest([]byte(tt.request))
			var sub string
			if err == nil {
				sub, err = tt.opts.Check(r)
			}
			he, _ := errors.AsType[*ws.HTTPError](err)
			if he == nil {
				he = &ws.HTTPError{}
			}
			if he.Status != tt.status || he.Text != tt.text || sub != tt.sub {
				t.Errorf("status %d %q, protocol %q", he.Status, he.Text, sub)
			}
		})
	}
}

func TestReadHead(t *testing.T) {
	t.Parallel()
	buf := make([]byte, ws.MaxHead)
	for name, r := range map[string]io.Reader{
		"at once":      strings.NewReader(request + "\x82\x80"),
		"byte by byte": iotest.OneByteReader(strings.NewReader(request + "\x82\x80")),
		"end of input": iotest.DataErrReader(strings.NewReader(request)),
	} {
		head, total, err := ws.ReadHead(r, buf)
		if err != nil || head != len(request) || total < head {
			t.Errorf("%s: head %d of %d, error %v", name, head, total, err)
		}
	}
	if _, _, err := ws.ReadHead(strings.NewReader(request[:50]), buf); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut request: %v", err)
	}
	huge := "GET / HTTP/1.1\r\nCookie: " + strings.Repeat("c", ws.MaxHead) + "\r\n\r\n"
	_, _, err := ws.ReadHead(strings.NewReader(huge), buf)
	if he, ok := errors.AsType[*ws.HTTPError](err); !ok || he.Status != 431 {
		t.Errorf("huge header: %v", err)
	}
}

// The answer of RFC 6455 §1.3 to its own key.
func TestAppendAccept(t *testing.T) {
	t.Parallel()
	r, err := ws.ParseRequest([]byte(request))
	if err != nil {
		t.Fatal(err)
	}
	got := string(ws.AppendAccept(nil, r, "mqtt"))
	for _, want := range []string{"HTTP/1.1 101 ", "\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", "\r\nSec-WebSocket-Protocol: mqtt\r\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
	if got := string(ws.AppendAccept(nil, r, "")); strings.Contains(got, "Sec-WebSocket-Protocol") {
		t.Errorf("protocol in %q", got)
	}
}

// FuzzHandshake: whatever is parsed is decided on without a panic, and what is
// admitted names our path, and gets an answer that net/http reads as 101.
func FuzzHandshake(f *testing.F) {
	f.Add([]byte(request))
	f.Add([]byte(strings.Replace(request, "Version: 13", "Version: 8", 1)))
	f.Add([]byte("GET /status HTTP/1.1\r\nHost: x\r\n\r\n"))
	f.Add([]byte("POST /mqtt HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"))
	f.Add([]byte("GET /mqtt HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"))
	f.Add([]byte(strings.Replace(request, "Host:", "Transfer-Encoding : chunked\r\nHost:", 1)))
	f.Add([]byte("\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00\r\n\r\n"))
	f.Fuzz(func(t *testing.T, input []byte) {
		buf := make([]byte, ws.MaxHead)
		head, total, err := ws.ReadHead(bytes.NewReader(input), buf)
		if err != nil {
			return
		}
		if head > total || !bytes.HasSuffix(buf[:head], []byte("\r\n\r\n")) {
			t.Fatalf("head %d of %d", head, total)
		}
		r, err := ws.ParseRequest(buf[:head])
		if err != nil {
			return
		}
		sub, err := options.Check(r)
		if err != nil {
			return
		}
		if r.URL.Path != options.Path || sub == "" {
			t.Fatalf("admitted %q with protocol %q", r.URL, sub)
		}
		resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(ws.AppendAccept(nil, r, sub))), r)
		if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("answer: %v", err)
		}
		_ = resp.Body.Close()
	})
}
