package e2e

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/eclipse/paho.golang/paho"
)

// over is an HTTP client for one request on this connection.
func over(c net.Conn) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return c, nil }}}
}

// mayBeTransparent reports whether this process, and what it starts, may use addresses that are not its own.
func mayBeTransparent() bool {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		return false
	}
	defer syscall.Close(fd)
	return syscall.SetsockoptInt(fd, syscall.IPPROTO_IP, syscall.IP_TRANSPARENT, 1) == nil
}

// TestMosquittoBridge: a mosquitto bridges topics out, in and both ways, as MQTT 3.1 and 3.1.1 with the bridge bit, and as 5.0. Each message arrives once,
// and the retain flag crosses the bridge.
func TestMosquittoBridge(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"mqttv31", "mqttv311", "mqttv50"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			bridged(t, version)
		})
	}
}

func bridged(t *testing.T, version string) {
	b := &balancer{dir: t.TempDir()}
	addr := ports(t, "127.0.0.1", 1)[0]
	_, port, _ := net.SplitHostPort(addr)
	far := unique("e2e/bridge")
	id := unique("bridge")
	config := fmt.Sprintf(`listener %s 127.0.0.1
allow_anonymous true
persistence false
connection pando
address %s
bridge_protocol_version %s
try_private true
cleansession true
notifications false
remote_clientid %s
restart_timeout 1
topic up/# out 1 "" %[5]s/
topic down/# in 1 "" %[5]s/
topic both/# both 1 "" %[5]s/
`, port, suite.MQTT()[0], version, id, far)
	if os.Geteuid() == 0 {
		config = "user root\n" + config
	}
	b.run(t, config, addr, func(file string) []string { return []string{"mosquitto", "-c", file} })

	here, err := paho5Over(t, from(t, "127.0.0.1", addr), &paho.Connect{ClientID: "here", CleanStart: true, KeepAlive: 60})
	if err != nil {
		t.Fatal(err)
	}
	there := paho5(t, connect{Place: 1})
	here.Subscribe(t, 1, "down/#", "both/#")
	there.Subscribe(t, 1, far+"/#")
	eventually(t, patience, func() error { // the bridge is connected when something comes through
		there.Publish(t, message{Topic: far + "/down/ready", Payload: "x", QoS: 1})
		<-there.got
		select {
		case <-here.got:
			return nil
		default:
			return fmt.Errorf("the bridge is not connected")
		}
	})
	settle(t, here, there, far)
	out, err := suite.Ctl(t.Context(), "", "clients", "list", "--contains", id)
	if err != nil || !strings.Contains(out, map[string]string{"mqttv31": "mqtt 3.1", "mqttv311": "mqtt 3.1.1", "mqttv50": "mqtt 5.0"}[version]) {
		t.Errorf("%v: %s", err, out)
	}

	here.Publish(t, message{Topic: "up/a", Payload: "out", QoS: 1})
	expect(t, there, far+"/up/a out q1")
	there.Publish(t, message{Topic: far + "/down/a", Payload: "in", QoS: 1})
	expect(t, there, far+"/down/a in q1")
	expect(t, here, "down/a in q1")
	// Both ways: what came over the bridge must not go back.
	here.Publish(t, message{Topic: "both/a", Payload: "from here", QoS: 1})
	expect(t, here, "both/a from here q1")
	expect(t, there, far+"/both/a from here q1")
	there.Publish(t, message{Topic: far + "/both/a", Payload: "from there", QoS: 1})
	expect(t, there, far+"/both/a from there q1")
	expect(t, here, "both/a from there q1")
	settle(t, here, there, far)
	// The retain flag: new subscribers on both sides find it.
	there.Publish(t, message{Topic: far + "/down/kept", Payload: "retained in", QoS: 1, Retain: true})
	expect(t, here, "down/kept retained in q1")
	here.Publish(t, message{Topic: "up/kept", Payload: "retained out", QoS: 1, Retain: true})
	expect(t, there, far+"/down/kept retained in q1", far+"/up/kept retained out q1")
	late, err := paho5Over(t, from(t, "127.0.0.1", addr), &paho.Connect{ClientID: "late", CleanStart: true, KeepAlive: 60})
	if err != nil {
		t.Fatal(err)
	}
	late.Subscribe(t, 1, "down/kept")
	expect(t, late, "down/kept retained in q1 retained")
	later := paho5(t, connect{})
	later.Subscribe(t, 1, far+"/up/kept")
	expect(t, later, far+"/up/kept retained out q1 retained")
}

// settle waits for a message around the bridge in each direction: nothing else is under way on these topics.
func settle(t *testing.T, here, there *p5, far string) {
	t.Helper()
	mark := unique("mark")
	here.Publish(t, message{Topic: "up/mark", Payload: mark, QoS: 1})
	if m := next(t, there); m.Payload != mark {
		t.Fatalf("got %v at the suite", m)
	}
	there.Publish(t, message{Topic: far + "/down/mark", Payload: mark, QoS: 1})
	if m := next(t, there); m.Payload != mark {
		t.Fatalf("got %v at the suite", m)
	}
	for {
		switch m := next(t, here); {
		case m.Payload == mark:
			return
		case m.Topic != "down/ready":
			t.Fatalf("got %v at mosquitto", m)
		}
	}
}

// TestIPv6: clients of IPv6, directly and behind a proxy, are seen with their address.
func TestIPv6(t *testing.T) {
	t.Parallel()
	addrs := suite.More("six")
	if len(addrs) == 0 {
		t.Fatal("this machine has no IPv6 on its loopback interface: enable it (sysctl net.ipv6.conf.lo.disable_ipv6=0)")
	}
	for _, addr := range addrs {
		conn := from(t, "::1", addr)
		if got := roundTrip(t, conn, "given"); got.Peer != conn.LocalAddr().String() {
			t.Errorf("%+v, want %s", got, conn.LocalAddr())
		}
	}
	b := newBalancer(t)
	front := ports(t, "::1", 1)[0]
	config := "defaults\n    mode tcp\n    timeout connect 10s\n    timeout client 60s\n    timeout server 60s\nlisten six\n    bind " + front + "\n" +
		servers(suite.More("proxied"), "send-proxy-v2")
	b.run(t, config, front, func(file string) []string { return []string{"haproxy", "-db", "-f", file} })
	conn := from(t, "::1", front)
	if got := roundTrip(t, conn, ""); got.Peer != conn.LocalAddr().String() {
		t.Errorf("behind HAProxy: %+v, want %s", got, conn.LocalAddr())
	}
}

// TestListenerIsStopped: an operator stops one listener on all nodes and starts it again; the suite goes on serving, its other listeners too.
func TestListenerIsStopped(t *testing.T) {
	addrs := suite.More("forwarded")
	control := func(verb, want string) {
		t.Helper()
		out, err := suite.Ctl(t.Context(), "", "listeners", verb, "forwarded")
		if err != nil || !strings.Contains(out, want+" forwarded on ") {
			t.Fatalf("%v: %s", err, out)
		}
	}
	open := func() (n int) {
		for _, addr := range addrs {
			if c, err := net.Dial("tcp", addr); err == nil {
				n++
				_ = c.Close()
			}
		}
		return n
	}
	control("stop", "stopped")
	if n := open(); n != 0 {
		t.Errorf("%d of %d are open", n, len(addrs))
	}
	if out, err := suite.Ctl(t.Context(), "", "status"); err != nil { // exit code 0: it serves
		t.Errorf("%v: %s", err, out)
	}
	paho5(t, connect{})
	control("start", "started")
	control("restart", "restarted")
	if n := open(); n != len(addrs) {
		t.Errorf("%d of %d are open", n, len(addrs))
	}
	if out, err := suite.Ctl(t.Context(), "", "listeners", "reload"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
