package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
)

func authorities(t *testing.T) *x509.CertPool {
	t.Helper()
	text, err := os.ReadFile(suite.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		t.Fatal("no certificate in " + suite.CAFile())
	}
	return pool
}

// TLS listeners prove who they are with the generated authority: to mosquitto and to Go, by the names and addresses of this machine. A client that does not
// know the authority does not connect.
func TestTLS(t *testing.T) {
	t.Parallel()
	topic := unique("e2e/tls")
	sub := paho3(t, 4, connect{})
	sub.Subscribe(t, 1, topic)
	for place := range suite.TLS() {
		addr := at(suite.TLS(), place)
		_, port, _ := net.SplitHostPort(addr)
		for _, host := range []string{"localhost", "127.0.0.1"} {
			out, err := exec.CommandContext(t.Context(), "mosquitto_pub", "-h", host, "-p", port, "--cafile", suite.CAFile(), "-q", "1", "-t", topic, "-m", host).CombinedOutput()
			if err != nil {
				t.Fatalf("%s: %v %s", host, err, out)
			}
			expect(t, sub, topic+" "+host+" q1")
		}
		if out, err := exec.CommandContext(t.Context(), "mosquitto_pub", "-h", "localhost", "-p", port, "--tls-use-os-certs", "-t", topic, "-m", "x").CombinedOutput(); err == nil {
			t.Errorf("connected without the authority: %s", out)
		}
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: authorities(t), ServerName: "localhost", MinVersion: version, MaxVersion: version})
			if err != nil {
				t.Fatal(err)
			}
			c := paho.NewClient(paho.ClientConfig{Conn: packets.NewThreadSafeConn(conn), PacketTimeout: patience})
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			if _, err := c.Connect(ctx, &paho.Connect{ClientID: unique("tls"), CleanStart: true, KeepAlive: 60}); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Publish(ctx, &paho.Publish{Topic: topic, QoS: 1, Payload: []byte("go")}); err != nil {
				t.Fatal(err)
			}
			cancel()
			expect(t, sub, topic+" go q1")
			_ = c.Disconnect(&paho.Disconnect{})
		}
		if conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: authorities(t), ServerName: "localhost", MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}); err == nil {
			_ = conn.Close()
			t.Error("TLS 1.1 is taken")
		}
	}
}

// MQTT.js connects by WebSocket with and without TLS, and does not without the authority.
func TestWebSocket(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"ws", "wss"} {
		for place := range suite.WS() {
			for _, version := range []int{3, 4, 5} {
				topic := unique("e2e/ws")
				c := mqttjs(t, version, scheme, connect{Place: place})
				c.Subscribe(t, 2, topic)
				for qos := range byte(3) {
					m := message{Topic: topic, Payload: "hällo " + scheme, QoS: qos}
					c.Publish(t, m)
					expect(t, c, m.String())
				}
				c.Leave(t)
			}
		}
	}
	if _, err := tryMQTTjs(t, 5, "wss", "/dev/null", connect{}); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("without the authority: %v", err)
	}
}

// Load balancers ask each gateway's WebSocket listeners, and the REST port, without a password.
func TestStatus(t *testing.T) {
	t.Parallel()
	rest, _, _ := suite.REST()
	urls := []string{rest + "/status"}
	for _, addr := range suite.WS() {
		urls = append(urls, "http://"+addr+"/status", "http://"+addr+"/mqtt/status")
	}
	for _, addr := range suite.WSS() {
		urls = append(urls, "https://"+addr+"/status")
	}
	h := http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: authorities(t)}}}
	defer h.CloseIdleConnections()
	for _, url := range urls {
		res, err := h.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK || !strings.HasPrefix(string(body), "Node ") || !strings.HasSuffix(string(body), "@127.0.0.1 is started\nemqttd is running") {
			t.Errorf("%s: %d %q %v", url, res.StatusCode, body, err)
		}
	}
}
