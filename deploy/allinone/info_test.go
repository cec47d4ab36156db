package allinone_test

import (
	"strings"
	"testing"

	"github.com/pando-mq/pando/deploy/allinone"
)

// What is printed to be typed next works as it stands, whichever listeners there are.
func TestNextFitsTheListeners(t *testing.T) {
	t.Parallel()
	tcp := allinone.Listener{Name: "tcp", Kind: "tcp", Addr: "127.0.0.1:1883"}
	ssl := allinone.Listener{Name: "ssl", Kind: "ssl", Addr: "127.0.0.1:8883"}
	own := allinone.Listener{Name: "ssl", Kind: "ssl", Addr: "127.0.0.1:8883", Own: true}
	ws := allinone.Listener{Name: "ws", Kind: "ws", Addr: "127.0.0.1:8083", Path: "/mqtt"}
	for name, c := range map[string]struct {
		listeners []allinone.Listener
		want, not string
	}{
		"all":                       {[]allinone.Listener{tcp, ssl, ws}, "mosquitto_sub -h localhost -p 8883 --cafile data/certs/ca.pem ", "mosquitto_sub -p"},
		"a configured certificate":  {[]allinone.Listener{tcp, own, ws}, "mosquitto_sub -p 1883 ", "--cafile"},
		"no TLS":                    {[]allinone.Listener{tcp, ws}, "mosquitto_sub -p 1883 ", "--cafile"},
		"WebSocket is all there is": {[]allinone.Listener{ws}, "pandoctl --data-dir data ", "mosquitto_"},
		"an address that the certificate does not name": {
			[]allinone.Listener{{Kind: "tcp", Addr: "192.0.2.7:1883"}, {Kind: "ssl", Addr: "192.0.2.7:8883"}}, "mosquitto_sub -h 192.0.2.7 -p 1883 ", "localhost",
		},
		"all addresses":          {[]allinone.Listener{{Kind: "tcp", Addr: "[::]:1883"}, {Kind: "ssl", Addr: "[::]:8883"}}, "mosquitto_sub -h localhost -p 8883 ", "-h ::"},
		"one of two has its own": {[]allinone.Listener{tcp, own, {Name: "ssl2", Kind: "ssl", Addr: "127.0.0.1:8885"}}, "-p 8885 --cafile", "-p 8883"},
	} {
		var out strings.Builder
		allinone.Info{DataDir: "data", CAFile: "data/certs/ca.pem", Listeners: c.listeners}.Next(&out)
		if !strings.Contains(out.String(), c.want) || strings.Contains(out.String(), c.not) {
			t.Errorf("%s: %q, want %q and not %q", name, out.String(), c.want, c.not)
		}
	}
}

// A path that a shell would take apart is quoted.
func TestNextQuotesPaths(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	allinone.Info{DataDir: "my 'data'", CAFile: "my data/ca.pem", Listeners: []allinone.Listener{{Kind: "ssl", Addr: "127.0.0.1:8883"}}}.Next(&out)
	for _, want := range []string{`--cafile 'my data/ca.pem' -t`, `--data-dir 'my '\''data'\''' clients`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q, want %q", out.String(), want)
		}
	}
}
