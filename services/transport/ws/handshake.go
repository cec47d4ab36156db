package ws

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// MaxHead bounds the request line and the header fields together, in bytes.
const MaxHead = 8 << 10

// keySuffix is the GUID of RFC 6455 §1.3.
const keySuffix = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// HTTPError refuses a request: Status and Text are sent to the client.
type HTTPError struct {
	Status int
	Text   string
}

// Error implements error.
func (e *HTTPError) Error() string { return fmt.Sprintf("http %d: %s", e.Status, e.Text) }

// Refusals. Texts of the 400s are those of EMQ 2.x.
func badRequest() error { return &HTTPError{http.StatusBadRequest, "Bad Request"} }

// ReadHead reads from r into buf until the empty line that ends a request's
// header. It returns the length of the head and the number of bytes read, which
// is larger when the client did not wait for the answer. A head that does not
// fit into buf is an *HTTPError 431; other errors are the reader's. The caller
// bounds the time.
func ReadHead(r io.Reader, buf []byte) (head, total int, err error) {
	for total < len(buf) {
		n, err := r.Read(buf[total:])
		from := max(0, total-3)
		total += n
		if i := bytes.Index(buf[from:total], []byte("\r\n\r\n")); i >= 0 {
			return from + i + 4, total, nil
		}
		if err != nil {
			if err == io.EOF && total > 0 {
				err = io.ErrUnexpectedEOF
			}
			return 0, total, err
		}
	}
	return 0, total, &HTTPError{http.StatusRequestHeaderFieldsTooLarge, "Request Header Fields Too Large"}
}

// ParseRequest parses a complete head. Every fault is an *HTTPError 400; so are
// a missing Host field, an announced body, which no endpoint here takes, and a
// field name that is none: "Transfer-Encoding : chunked" says one thing to this
// server and may say another to a proxy before it (RFC 9112 §5.1).
func ParseRequest(head []byte) (*http.Request, error) {
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
	if err != nil {
		return nil, badRequest()
	}
	if !validNames(r.Header) || r.Host == "" || !r.ProtoAtLeast(1, 1) || r.ContentLength != 0 || len(r.TransferEncoding) > 0 {
		return nil, badRequest()
	}
	return r, nil
}

// validNames reports whether all field names are tokens (RFC 9110 §5.6.2).
func validNames(h http.Header) bool {
	for name := range h {
		for i := range len(name) {
			c := name[i]
			letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
			if !letter && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
				return false
			}
		}
	}
	return true
}

// Options is what a listener asks of an upgrade request.
type Options struct {
	Path               string   // the only path that is upgraded
	Subprotocols       []string // known sub-protocols; the client's order decides
	RequireSubprotocol bool     // refuse a client that offers none of them
	AllowedOrigins     []string // "scheme://host[:port]", exact; empty or "*" admits all
}

// Check decides on an upgrade request and returns the sub-protocol to answer
// with, "" for none. A refusal is an *HTTPError: 404 another path, 400 not an
// upgrade or no known sub-protocol, 426 another version, 403 origin.
func (o *Options) Check(r *http.Request) (subprotocol string, err error) {
	if r.URL.Path != o.Path {
		return "", &HTTPError{http.StatusNotFound, "Not Found"}
	}
	h := r.Header
	if r.Method != http.MethodGet || !hasToken(h["Connection"], "upgrade") || !hasToken(h["Upgrade"], "websocket") {
		return "", badRequest()
	}
	if v := h["Sec-Websocket-Version"]; len(v) != 1 || v[0] != "13" {
		return "", &HTTPError{http.StatusUpgradeRequired, "Upgrade Required"}
	}
	if !validKey(h["Sec-Websocket-Key"]) {
		return "", badRequest()
	}
	if !o.originAllowed(h["Origin"]) {
		return "", &HTTPError{http.StatusForbidden, "Forbidden"}
	}
	subprotocol = o.choose(h["Sec-Websocket-Protocol"])
	if subprotocol == "" && o.RequireSubprotocol {
		return "", &HTTPError{http.StatusBadRequest, "Bad WebSocket Protocol"}
	}
	return subprotocol, nil
}

// choose returns the first offered sub-protocol that is known.
func (o *Options) choose(fields []string) string {
	for _, f := range fields {
		for offer := range strings.SplitSeq(f, ",") {
			offer = strings.TrimSpace(offer)
			for _, known := range o.Subprotocols {
				if offer == known {
					return known
				}
			}
		}
	}
	return ""
}

// originAllowed lets clients without an Origin pass: they are no browsers.
func (o *Options) originAllowed(origin []string) bool {
	if len(o.AllowedOrigins) == 0 || len(origin) == 0 {
		return true
	}
	for _, a := range o.AllowedOrigins {
		if a == "*" || len(origin) == 1 && strings.EqualFold(a, origin[0]) {
			return true
		}
	}
	return false
}

func hasToken(fields []string, token string) bool {
	for _, f := range fields {
		for t := range strings.SplitSeq(f, ",") {
			if strings.EqualFold(strings.TrimSpace(t), token) {
				return true
			}
		}
	}
	return false
}

// validKey: exactly one key, which is 16 bytes in base64 (RFC 6455 §4.2.1).
func validKey(fields []string) bool {
	if len(fields) != 1 {
		return false
	}
	raw, err := base64.StdEncoding.DecodeString(fields[0])
	return err == nil && len(raw) == 16
}

// AcceptKey answers a Sec-WebSocket-Key (RFC 6455 §4.2.2).
func AcceptKey(key string) string {
	sum := sha1.Sum([]byte(key + keySuffix))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// AppendAccept appends the 101 answer to a request that Check admitted.
func AppendAccept(dst []byte, r *http.Request, subprotocol string) []byte {
	dst = append(dst, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	dst = append(dst, AcceptKey(r.Header.Get("Sec-Websocket-Key"))...)
	if subprotocol != "" {
		dst = append(append(dst, "\r\nSec-WebSocket-Protocol: "...), subprotocol...)
	}
	return append(dst, "\r\n\r\n"...)
}

// AppendResponse appends a complete answer that ends the connection. A body is
// left out for HEAD requests by passing head.
func AppendResponse(dst []byte, status int, contentType string, body []byte, head bool) []byte {
	dst = fmt.Appendf(dst, "HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Type: %s\r\nContent-Length: %d\r\n",
		status, http.StatusText(status), contentType, len(body))
	if status == http.StatusUpgradeRequired {
		dst = append(dst, "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"...)
	}
	dst = append(dst, "\r\n"...)
	if head {
		return dst
	}
	return append(dst, body...)
}
