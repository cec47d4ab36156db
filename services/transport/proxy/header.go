package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
)

// MaxHeader is the longest header that is taken, in bytes. The protocol allows
// 107 in version 1 and 65,551 in version 2; what proxies send is below 1,000.
const MaxHeader = 4096

// Header is what a proxy says of the connection it forwards.
type Header struct {
	// Local: the connection is the proxy's own (a health check), or it does not
	// know whose it is. The addresses of the socket hold, nothing else is set.
	Local  bool
	Source netip.AddrPort // the client; IPv4 never as IPv6-mapped
	Dest   netip.AddrPort // where the client connected to

	// What version 2 may add.
	TLS        bool   // the client speaks TLS with the proxy
	TLSVersion string // "TLSv1.3"
	Verified   bool   // the client showed a certificate and the proxy found it good
	CommonName string // of that certificate; only set if Verified
	ServerName string // the name that the client asked for (SNI)
}

// ErrNone says that the bytes are no header of the PROXY protocol.
var ErrNone = errors.New("no PROXY header")

// ErrMalformed is wrapped by every other error.
var ErrMalformed = errors.New("malformed PROXY header")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrMalformed}, args...)...)
}

// The beginnings of both versions. They differ in the first byte.
const (
	prefix1 = "PROXY "
	prefix2 = "\r\n\r\n\x00\r\nQUIT\n"
)

// Parse reads the header at the beginning of b and says how long it is. n is 0
// without an error while more bytes are needed.
func Parse(b []byte) (h Header, n int, err error) {
	switch {
	case len(b) == 0:
		return h, 0, nil
	case begins(b, prefix1):
		return parse1(b)
	case begins(b, prefix2):
		return parse2(b)
	}
	return h, 0, ErrNone
}

// begins reports whether b begins with prefix, as far as both go.
func begins(b []byte, prefix string) bool {
	n := min(len(b), len(prefix))
	return string(b[:n]) == prefix[:n]
}

// max1 is the longest header of version 1, its end included.
const max1 = 107

// parse1 reads version 1:
//
//	PROXY TCP4 192.0.2.7 198.51.100.1 51234 1883\r\n
//	PROXY TCP6 2001:db8::7 2001:db8::1 51234 1883\r\n
//	PROXY UNKNOWN ...\r\n
func parse1(b []byte) (h Header, n int, err error) {
	end := bytes.IndexByte(b[:min(len(b), max1)], '\n')
	switch {
	case end < 0 && len(b) >= max1:
		return h, 0, malformed("line of more than %d bytes", max1)
	case end < 0:
		return h, 0, nil
	case b[end-1] != '\r':
		return h, 0, malformed("line does not end with CR LF")
	}
	h, err = line1(string(b[len(prefix1) : end-1]))
	if err != nil {
		return Header{}, 0, err
	}
	return h, end + 1, nil
}

// line1 reads what is between the prefix and the end of the line.
func line1(text string) (h Header, err error) {
	var field [5]string
	n := 0
	for rest, more := text, true; more; n++ {
		if n == 0 && (rest == "UNKNOWN" || len(rest) > 7 && rest[:8] == "UNKNOWN ") {
			return Header{Local: true}, nil
		}
		if n == len(field) {
			return h, malformed("more than %d fields", len(field))
		}
		field[n], rest, more = cut(rest)
	}
	if n != len(field) {
		return h, malformed("%d fields", n)
	}
	if field[0] != "TCP4" && field[0] != "TCP6" {
		return h, malformed("unknown protocol")
	}
	if h.Source, err = address1(field[0], field[1], field[3]); err != nil {
		return Header{}, err
	}
	if h.Dest, err = address1(field[0], field[2], field[4]); err != nil {
		return Header{}, err
	}
	return h, nil
}

// cut splits at the first blank; each blank separates two fields.
func cut(s string) (field, rest string, more bool) {
	for i := range len(s) {
		if s[i] == ' ' {
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

// address1 reads an address and a port in the one form that the protocol allows.
func address1(protocol, host, port string) (netip.AddrPort, error) {
	a, err := netip.ParseAddr(host)
	if err != nil || a.Zone() != "" || a.Is4() != (protocol == "TCP4") {
		return netip.AddrPort{}, malformed("address")
	}
	p := 0
	for i := range len(port) {
		if port[i] < '0' || port[i] > '9' || i > 0 && p == 0 {
			return netip.AddrPort{}, malformed("port")
		}
		if p = 10*p + int(port[i]-'0'); p > 65535 {
			return netip.AddrPort{}, malformed("port")
		}
	}
	if port == "" {
		return netip.AddrPort{}, malformed("port")
	}
	return netip.AddrPortFrom(a.Unmap(), uint16(p)), nil
}
