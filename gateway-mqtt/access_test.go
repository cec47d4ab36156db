package gatewaymqtt

import (
	"net/http"
	"net/netip"
	"testing"
)

// FuzzForwarded: whatever a header says, only a trusted proxy is believed, and the answer is an address.
func FuzzForwarded(f *testing.F) {
	for _, s := range []string{"", "192.0.2.1", "a, 192.0.2.1,", "10.0.0.1,10.0.0.2", "::1%eth0", "[2001:db8::1]", "::ffff:192.0.2.1", ",,,,"} {
		f.Add(s, "80")
		f.Add(s, "1, 65536")
	}
	trusted, err := parsePrefixes([]string{"10.0.0.0/8"})
	if err != nil {
		f.Fatal(err)
	}
	l := &listener{cfg: ListenerConfig{ProxyAddressHeader: "A", ProxyPortHeader: "P"}, trusted: trusted}
	proxy, stranger := netip.MustParseAddrPort("10.0.0.1:1"), netip.MustParseAddrPort("192.0.2.9:2")
	f.Fuzz(func(t *testing.T, address, port string) {
		h := http.Header{"A": {address}, "P": {port}}
		if got := l.forwarded(stranger, h); got != stranger {
			t.Errorf("a stranger became %s", got)
		}
		got := l.forwarded(proxy, h)
		if !got.IsValid() || got.Addr().Is4In6() || got != proxy && within(trusted, got.Addr()) {
			t.Errorf("%q, %q gave %s", address, port, got)
		}
	})
}
