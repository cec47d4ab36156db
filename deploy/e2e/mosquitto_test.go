package e2e

import (
	"bufio"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// mosq is mosquitto_sub and mosquitto_pub. It connects with its first subscription; each message is published by a process of its own.
type mosq struct {
	version string
	tls     bool
	o       connect
	args    []string // more for mosquitto_sub
	sub     *exec.Cmd
	done    chan struct{} // closed when all output was read
	ready   chan struct{} // closed at SUBACK
	got     chan message
}

func mosquitto(t *testing.T, version string, o connect) *mosq {
	t.Helper()
	o.ID = o.id()
	return &mosq{version: version, o: o, got: make(chan message, inbox)}
}

// mosquittoTLS is the same over TLS.
func mosquittoTLS(t *testing.T, version string, o connect) *mosq {
	t.Helper()
	c := mosquitto(t, version, o)
	c.tls = true
	return c
}

// common are the arguments that both programs take.
func (c *mosq) common(id string) []string {
	list := suite.MQTT()
	if c.tls {
		list = suite.TLS()
	}
	host, port, _ := net.SplitHostPort(at(list, c.o.Place))
	args := []string{"-h", host, "-p", port, "-V", c.version, "-i", id}
	if c.tls {
		args = append(args, "--cafile", suite.CAFile())
	}
	if c.o.User != "" {
		args = append(args, "-u", c.o.User, "-P", c.o.Password)
	}
	return args
}

func (c *mosq) Messages() <-chan message { return c.got }

func (c *mosq) Subscribe(t *testing.T, qos byte, filters ...string) {
	t.Helper()
	args := append(c.common(c.o.ID), "-d", "-F", "%j", "-q", strconv.Itoa(int(qos)))
	args = append(args, c.args...)
	if c.o.Keep {
		args = append(args, "-c")
	}
	if w := c.o.Will; w != nil {
		args = append(args, "--will-topic", w.Topic, "--will-payload", w.Payload, "--will-qos", strconv.Itoa(int(w.QoS)))
	}
	for _, f := range filters {
		args = append(args, "-t", f)
	}
	c.start(t, args)
}

// start runs mosquitto_sub, by lines.
func (c *mosq) start(t *testing.T, args []string) {
	t.Helper()
	c.sub = exec.Command("stdbuf", append([]string{"-oL", "mosquitto_sub"}, args...)...)
	out, err := c.sub.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.sub.Start(); err != nil {
		t.Fatal(err)
	}
	c.done, c.ready = make(chan struct{}), make(chan struct{})
	go c.read(bufio.NewScanner(out))
	t.Cleanup(func() { _ = c.sub.Process.Kill(); <-c.done; _ = c.sub.Wait() })
	select {
	case <-c.ready:
	case <-c.done:
		t.Fatalf("mosquitto_sub %s ended", strings.Join(args, " "))
	case <-time.After(patience):
		t.Fatal("mosquitto_sub did not subscribe")
	}
}

func (c *mosq) read(lines *bufio.Scanner) {
	defer close(c.done)
	var once sync.Once
	lines.Buffer(nil, 8<<20)
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "Subscribed "):
			once.Do(func() { close(c.ready) }) // it connects again by itself
		case strings.HasPrefix(line, "{"):
			var m struct {
				Topic, Payload string
				QoS            byte
				Retain         int
			}
			if json.Unmarshal([]byte(line), &m) == nil {
				c.got <- message{Topic: m.Topic, Payload: m.Payload, QoS: m.QoS, Retain: m.Retain == 1}
			}
		}
	}
}

func (c *mosq) Publish(t *testing.T, m message) {
	t.Helper()
	// An id of its own: a take-over may close the connection before it with a QoS 0 message unread.
	args := append(c.common(unique("pub")), "-q", strconv.Itoa(int(m.QoS)), "-t", m.Topic, "-s")
	if m.Retain {
		args = append(args, "-r")
	}
	cmd := exec.CommandContext(t.Context(), "mosquitto_pub", args...)
	cmd.Stdin = strings.NewReader(m.Payload)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("mosquitto_pub %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// Leave ends mosquitto_sub as Ctrl-C does, with DISCONNECT.
func (c *mosq) Leave(t *testing.T) {
	t.Helper()
	if err := c.sub.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	select {
	case <-c.done:
	case <-time.After(patience):
		t.Fatal("mosquitto_sub does not end")
	}
}
