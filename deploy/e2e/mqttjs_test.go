package e2e

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// node is the process that all clients of MQTT.js live in.
var node driver

// driver talks to node/driver.mjs.
type driver struct {
	once sync.Once
	err  error
	cmd  *exec.Cmd
	in   io.WriteCloser
	done chan struct{} // closed when its output has ended

	mu      sync.Mutex // guards what follows, and the writes
	id      int
	answers map[int]chan answer
	clients map[string]*js
}

type answer struct {
	ID     int
	Error  string
	Result struct {
		Present bool
		Granted []byte
	}
}

// event is a line of the driver that nobody asked for.
type event struct {
	Client, Event  string
	Topic, Payload string
	QoS            byte
	Retain, Dup    bool
	User           map[string]any
}

// start installs MQTT.js as package-lock.json says, once, and starts the driver.
func (d *driver) start() error {
	d.once.Do(func() { d.err = d.run() })
	return d.err
}

func (d *driver) run() error {
	if err := install("node"); err != nil {
		return err
	}
	d.cmd = exec.Command("node", "driver.mjs")
	d.cmd.Dir, d.cmd.Stderr = "node", os.Stderr
	in, err := d.cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	d.in, d.done, d.answers, d.clients = in, make(chan struct{}), map[int]chan answer{}, map[string]*js{}
	if err := d.cmd.Start(); err != nil {
		return err
	}
	ready := make(chan struct{})
	go d.read(out, ready)
	select {
	case <-ready:
		return nil
	case <-d.done:
		return errors.New("the driver of MQTT.js ended at once")
	case <-time.After(2 * time.Minute): // a busy machine may need long to load it
		return errors.New("the driver of MQTT.js does not start")
	}
}

// install runs npm when what it made is older than the lock file.
func install(dir string) error {
	lock, err := os.Stat(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		return err
	}
	made, err := os.Stat(filepath.Join(dir, "node_modules", ".package-lock.json"))
	if err == nil && !made.ModTime().Before(lock.ModTime()) {
		return nil
	}
	cmd := exec.Command("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci: %w: %s", err, out)
	}
	now := time.Now()
	return os.Chtimes(filepath.Join(dir, "node_modules", ".package-lock.json"), now, now)
}

// read closes ready at the first line.
func (d *driver) read(out io.Reader, ready chan<- struct{}) {
	defer close(d.done)
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 8<<20)
	if !lines.Scan() {
		return
	}
	close(ready)
	for lines.Scan() {
		var a answer
		var e event
		if json.Unmarshal(lines.Bytes(), &a) == nil && a.ID > 0 {
			d.mu.Lock()
			d.answers[a.ID] <- a
			delete(d.answers, a.ID)
			d.mu.Unlock()
		} else if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			panic(err) // the driver and this reader do not agree
		} else {
			d.mu.Lock()
			c := d.clients[e.Client]
			d.mu.Unlock()
			c.take(e)
		}
	}
}

// ask sends a command and waits for its answer.
func (d *driver) ask(command map[string]any) (answer, error) {
	if err := d.start(); err != nil {
		return answer{}, err
	}
	reply := make(chan answer, 1)
	d.mu.Lock()
	d.id++
	command["id"] = d.id
	d.answers[d.id] = reply
	text, err := json.Marshal(command)
	if err == nil {
		_, err = d.in.Write(append(text, '\n'))
	}
	d.mu.Unlock()
	if err != nil {
		return answer{}, err
	}
	select {
	case a := <-reply:
		if a.Error != "" {
			return a, errors.New(a.Error)
		}
		return a, nil
	case <-d.done:
		return answer{}, errors.New("the driver of MQTT.js ended")
	case <-time.After(patience):
		return answer{}, errors.New("the driver of MQTT.js does not answer")
	}
}

func (d *driver) stop() error {
	if d.cmd == nil || d.cmd.Process == nil {
		return nil
	}
	if err := d.in.Close(); err != nil {
		return err
	}
	<-d.done
	return d.cmd.Wait()
}

// js is a client of MQTT.js.
type js struct {
	name    string
	present bool
	got     chan message
	closed  chan struct{}
	once    sync.Once
}

func mqttjs(t *testing.T, version int, scheme string, o connect) *js {
	t.Helper()
	c, err := tryMQTTjs(t, version, scheme, "", o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// tryMQTTjs connects; ca is what it trusts on wss, "": what the suite made.
func tryMQTTjs(t *testing.T, version int, scheme, ca string, o connect) (*js, error) {
	t.Helper()
	if err := node.start(); err != nil {
		return nil, err
	}
	c := &js{name: unique("js"), got: make(chan message, inbox), closed: make(chan struct{})}
	node.mu.Lock()
	node.clients[c.name] = c
	node.mu.Unlock()
	a, err := node.ask(map[string]any{"op": "connect", "client": c.name, "url": c.url(scheme, o.Place), "ca": c.ca(scheme, ca), "options": c.options(version, o)})
	if err != nil {
		return nil, err
	}
	c.present = a.Result.Present
	t.Cleanup(func() { _, _ = node.ask(map[string]any{"op": "end", "client": c.name, "force": true}) })
	return c, nil
}

func (c *js) url(scheme string, place int) string {
	addr := at(suite.WS(), place)
	if scheme == "wss" {
		addr = at(suite.WSS(), place)
	}
	return scheme + "://" + addr + "/mqtt"
}

func (c *js) ca(scheme, ca string) string {
	if scheme == "wss" && ca == "" {
		return suite.CAFile()
	}
	return ca
}

func (c *js) options(version int, o connect) map[string]any {
	options := map[string]any{"protocolVersion": version, "clientId": o.id(), "clean": !o.Keep}
	if version == 3 {
		options["protocolId"] = "MQIsdp"
	}
	if o.Keep && version == 5 {
		options["properties"] = map[string]any{"sessionExpiryInterval": forever}
	}
	if o.User != "" {
		options["username"], options["password"] = o.User, o.Password
	}
	if o.KeepAlive > 0 {
		options["keepalive"] = o.KeepAlive
	}
	if w := o.Will; w != nil {
		options["will"] = map[string]any{"topic": w.Topic, "payload": w.Payload, "qos": w.QoS, "retain": w.Retain}
	}
	return options
}

// take is called by the driver's reader.
func (c *js) take(e event) {
	switch e.Event {
	case "close":
		c.once.Do(func() { close(c.closed) })
	case "message":
		payload, err := base64.StdEncoding.DecodeString(e.Payload)
		if err != nil {
			panic(err) // the driver made it
		}
		c.got <- message{Topic: e.Topic, Payload: string(payload), QoS: e.QoS, Retain: e.Retain, Dup: e.Dup, User: e.User}
	}
}

func (c *js) Present() bool            { return c.present }
func (c *js) Messages() <-chan message { return c.got }

func (c *js) ask(t *testing.T, command map[string]any) answer {
	t.Helper()
	command["client"] = c.name
	a, err := node.ask(command)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (c *js) Subscribe(t *testing.T, qos byte, filters ...string) {
	t.Helper()
	for _, granted := range c.ask(t, map[string]any{"op": "subscribe", "filters": filters, "qos": qos}).Result.Granted {
		if granted != qos {
			t.Fatalf("granted %#x, want %d", granted, qos)
		}
	}
}

func (c *js) Publish(t *testing.T, m message) {
	t.Helper()
	c.ask(t, map[string]any{"op": "publish", "topic": m.Topic, "payload": base64.StdEncoding.EncodeToString([]byte(m.Payload)), "qos": m.QoS, "retain": m.Retain})
}

func (c *js) Leave(t *testing.T) {
	t.Helper()
	c.ask(t, map[string]any{"op": "end", "force": false})
}
