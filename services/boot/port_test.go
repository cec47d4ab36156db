package boot_test

import (
	"testing"

	"github.com/pando-mq/pando/services/boot"
)

func TestOffset(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		addr   string
		n      int
		want   string
		refuse bool
	}{
		"moved":             {"127.0.0.1:1883", 100, "127.0.0.1:1983", false},
		"not moved":         {"127.0.0.1:1883", 0, "127.0.0.1:1883", false},
		"every address":     {":1883", 1, ":1884", false},
		"IPv6":              {"[::1]:1883", 1, "[::1]:1884", false},
		"a name":            {"host.example:8080", 45000, "host.example:53080", false},
		"the last port":     {"127.0.0.1:61616", 3919, "127.0.0.1:65535", false},
		"turned around":     {"127.0.0.1:61616", 3920, "127.0.0.1:15536", false},
		"turned far around": {"127.0.0.1:61616", 45000, "127.0.0.1:56616", false},
		"a free port":       {"127.0.0.1:0", 100, "127.0.0.1:0", false},
		"no port":           {"127.0.0.1", 100, "", true},
		"a named port":      {"127.0.0.1:mqtt", 100, "", true},
		"too large":         {"127.0.0.1:65536", 100, "", true},
	} {
		got, err := boot.Offset(c.addr, c.n)
		if got != c.want || (err != nil) != c.refuse {
			t.Errorf("%s: Offset(%q, %d) = %q, %v; want %q", name, c.addr, c.n, got, err, c.want)
		}
	}
}

func TestServiceAddrs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		listen, advertise         string
		offset                    int
		wantListen, wantAdvertise string
	}{
		"default":                 {"127.0.0.1", "", 0, "127.0.0.1:9701", "127.0.0.1:9701"},
		"moved":                   {"127.0.0.1", "", 7, "127.0.0.1:9708", "127.0.0.1:9708"},
		"own port":                {"10.0.0.1:7000", "", 1, "10.0.0.1:7001", "10.0.0.1:7001"},
		"IPv6":                    {"::1", "", 0, "[::1]:9701", "[::1]:9701"},
		"IPv6 in brackets":        {"[::1]", "", 0, "[::1]:9701", "[::1]:9701"},
		"behind a name":           {"0.0.0.0", "router-0.routers", 10, "0.0.0.0:9711", "router-0.routers:9711"},
		"behind a name and port":  {"0.0.0.0", "example.org:4000", 10, "0.0.0.0:9711", "example.org:4000"},
		"a free port for a test":  {"127.0.0.1:0", "127.0.0.1", 0, "127.0.0.1:0", "127.0.0.1:9701"},
		"advertised IPv6 address": {"::", "fd00::1", 0, "[::]:9701", "[fd00::1]:9701"},
	} {
		cfg := boot.Common{PortOffset: c.offset}
		cfg.Cluster.Listen, cfg.Cluster.Advertise = c.listen, c.advertise
		if err := cfg.ServiceAddrs(9701); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if cfg.Cluster.Listen != c.wantListen || cfg.Cluster.Advertise != c.wantAdvertise {
			t.Errorf("%s: listens on %q, tells %q; want %q, %q", name, cfg.Cluster.Listen, cfg.Cluster.Advertise, c.wantListen, c.wantAdvertise)
		}
	}
	cfg := boot.Common{}
	cfg.Cluster.Listen = "a:b:c"
	if err := cfg.ServiceAddrs(9701); err == nil {
		t.Error("a:b:c is taken for an address")
	}
}

// A process that listens on every address tells a name under which others find it.
func TestEveryAddressIsNeverAdvertised(t *testing.T) {
	t.Parallel()
	for _, listen := range []string{"0.0.0.0", "::", "0.0.0.0:9000"} {
		cfg := boot.Common{}
		cfg.Cluster.Listen = listen
		if err := cfg.ServiceAddrs(9701); err != nil {
			t.Fatal(err)
		}
		if a := cfg.Cluster.Advertise; a == cfg.Cluster.Listen || a == "" {
			t.Errorf("listening on %s tells %s", listen, a)
		}
	}
}
