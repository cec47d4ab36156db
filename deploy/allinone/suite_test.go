package allinone_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"go.uber.org/goleak"

	"github.com/pando-mq/pando/deploy/allinone"
	"github.com/pando-mq/pando/deploy/cluster"
	"github.com/pando-mq/pando/services/boot"
	"github.com/pando-mq/pando/services/run"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lines is a log that a failed test shows.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// suite runs the whole thing in dir until stop is called.
func suite(t *testing.T, dir string, o boot.Options) (info allinone.Info, stop func()) {
	t.Helper()
	o.DataDir, o.Environ = dir, append(o.Environ, "HOME=/nowhere")
	o.Set = append(o.Set, "ops.listen=127.0.0.1:0", "mgmt.listen=")
	c := allinone.Default()
	if _, err := boot.Load(c, o); err != nil {
		t.Fatal(err)
	}
	for name, l := range c.MQTT.Listeners {
		l.Bind = "127.0.0.1:0"
		c.MQTT.Listeners[name] = l
	}
	if err := c.Settle(); err != nil {
		t.Fatal(err)
	}
	log := &lines{}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(log)
		}
	})
	p, err := boot.OpenProcess("", &c.Common, log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan allinone.Info, 1), make(chan error, 1)
	go func() {
		done <- errors.Join(allinone.Run(ctx, c, p, allinone.Options{From: o, Ready: func(i allinone.Info) { ready <- i }}), p.Close())
	}()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("the end: %v", err)
			}
		})
	}
	t.Cleanup(stop)
	select {
	case info = <-ready:
		return info, stop
	case err := <-done:
		done <- nil
		t.Fatalf("it ended: %v", err)
	case <-time.After(30 * time.Second):
		t.Fatal("not ready after 30 s")
	}
	return info, stop
}

// addr is the address of a listener of a kind.
func addr(t *testing.T, i allinone.Info, kind string) string {
	t.Helper()
	for _, l := range i.Listeners {
		if l.Kind == kind {
			return l.Addr
		}
	}
	t.Fatalf("there is no listener of kind %s: %+v", kind, i.Listeners)
	return ""
}

// client is a connected client whose messages come on a channel as "topic payload".
func client(t *testing.T, url, id string, clean bool) (mqtt.Client, <-chan string) {
	t.Helper()
	got := make(chan string, 100)
	c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(url).SetClientID(id).SetCleanSession(clean).SetAutoReconnect(false).
		SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { got <- m.Topic() + " " + string(m.Payload()) }))
	await(t, c.Connect())
	t.Cleanup(func() { c.Disconnect(0) })
	return c, got
}

func await(t *testing.T, token mqtt.Token) {
	t.Helper()
	if !token.WaitTimeout(10*time.Second) || token.Error() != nil {
		t.Fatalf("no answer: %v", token.Error())
	}
}

func expect(t *testing.T, got <-chan string, want string) {
	t.Helper()
	select {
	case s := <-got:
		if s != want {
			t.Fatalf("got %q, want %q", s, want)
		}
	case <-time.After(10 * time.Second):
		t.Fatalf("%q did not come", want)
	}
}

// A device connects, publishes, subscribes, goes away, comes back after the whole suite was stopped and started, and finds everything as promised.
func TestRoundTripAndRestart(t *testing.T) {
	dir := t.TempDir()
	info, stop := suite(t, dir, boot.Options{})
	url := "tcp://" + addr(t, info, "tcp")
	sub, got := client(t, url, "sub", false)
	await(t, sub.Subscribe("a/#", 2, nil))
	pub, _ := client(t, url, "pub", true)
	for qos, topic := range []string{"a/0", "a/1", "a/2"} {
		await(t, pub.Publish(topic, byte(qos), false, "hello"))
		expect(t, got, topic+" hello")
	}
	sub.Disconnect(100)
	await(t, pub.Publish("a/offline", 1, false, "kept"))
	await(t, pub.Publish("r/1", 1, true, "retained"))
	pub.Disconnect(100)
	stop()

	info, _ = suite(t, dir, boot.Options{})
	url = "tcp://" + addr(t, info, "tcp")
	_, got = client(t, url, "sub", false)
	expect(t, got, "a/offline kept")
	late, retained := client(t, url, "late", true)
	await(t, late.Subscribe("r/+", 1, nil))
	expect(t, retained, "r/1 retained")
	if err := cluster.Ready(t.Context(), info.Ops); err != nil {
		t.Error(err)
	}
}

// Load balancers ask WebSocket listeners without a password, in the seed's words.
func TestStatusOnWebSocketListeners(t *testing.T) {
	info, _ := suite(t, t.TempDir(), boot.Options{Set: []string{"node.name=emq@127.0.0.1"}})
	for _, path := range []string{"/status", "/mqtt/status"} {
		res, err := http.Get("http://" + addr(t, info, "ws") + path)
		if err != nil {
			t.Fatal(err)
		}
		var body bytes.Buffer
		_, err = body.ReadFrom(res.Body)
		_ = res.Body.Close()
		if want := "Node emq@127.0.0.1 is started\nemqttd is running"; err != nil || res.StatusCode != http.StatusOK || body.String() != want {
			t.Errorf("%s: %d %q %v, want %q", path, res.StatusCode, body.String(), err, want)
		}
	}
}

// One process uses a data directory at a time, and the refusal says which one does.
func TestDataDirectoryIsLocked(t *testing.T) {
	dir := t.TempDir()
	suite(t, dir, boot.Options{})
	c := allinone.Default()
	if _, err := boot.Load(c, boot.Options{DataDir: dir, Environ: []string{}}); err != nil {
		t.Fatal(err)
	}
	_, err := boot.OpenProcess("", &c.Common, &bytes.Buffer{})
	if run.Code(err) != run.CodeRunning || !strings.Contains(err.Error(), filepath.Join(dir, boot.PidFile)) || !strings.Contains(err.Error(), "choose another data directory") {
		t.Errorf("got %v", err)
	}
}

// refused starts the suite and expects it to end with an error.
func refused(t *testing.T, set ...string) error {
	t.Helper()
	c := allinone.Default()
	if _, err := boot.Load(c, boot.Options{DataDir: t.TempDir(), Environ: []string{}, Set: append(set, "ops.listen=127.0.0.1:0", "mgmt.listen=")}); err != nil {
		t.Fatal(err)
	}
	p, err := boot.OpenProcess("", &c.Common, &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	return errors.Join(allinone.Run(ctx, c, p, allinone.Options{Ready: func(allinone.Info) { cancel() }}), p.Close())
}

// With no authentication configured, listeners elsewhere than on loopback are refused with an explanation, unless everybody shall get in.
func TestOpenListenersNeedAuthentication(t *testing.T) {
	only := []string{
		"mqtt.listeners.ssl.disabled=true", "mqtt.listeners.ws.disabled=true", "mqtt.listeners.wss.disabled=true", "mqtt.listeners.tcp.bind=0.0.0.0:0",
	}
	for name, c := range map[string]struct {
		set  []string
		want string
	}{
		"nobody known":      {nil, "allow_anonymous"},
		"nobody gets in":    {[]string{"auth.allow_anonymous=false"}, "allow_anonymous"},
		"everybody may":     {[]string{"auth.allow_anonymous=true"}, ""},
		"somebody is known": {[]string{`auth.users=[{"username": "bob", "password": "secret"}]`}, ""},
	} {
		err := refused(t, append(only[:len(only):len(only)], c.set...)...)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: got %v, want an explanation that names %s", name, err, c.want)
		}
	}
}

// All-in-one brings its own servers; others are for separate processes.
func TestOtherServersAreForSeparateProcesses(t *testing.T) {
	t.Parallel()
	c := allinone.Default()
	c.Cluster.Etcd.Endpoints = []string{"http://127.0.0.1:2379"}
	if err := c.Settle(); err == nil || !strings.Contains(err.Error(), "gateway-mqtt") {
		t.Errorf("got %v", err)
	}
}

// The example files of the seed's chapters 5 and 12, copied as they are, start the suite, and clients come in by its listeners.
func TestSeedsExampleStartsTheSuite(t *testing.T) {
	info, _ := suite(t, t.TempDir(), boot.Options{EMQ: "../../services/config/emq/testdata/seed"})
	if info.Node != "emqttd@127.0.0.1" {
		t.Errorf("node.name is %s", info.Node)
	}
	sub, got := client(t, "tcp://"+addr(t, info, "tcp"), "sub", true)
	await(t, sub.Subscribe("seed/#", 1, nil))
	await(t, sub.Publish("seed/1", 1, false, "hello"))
	expect(t, got, "seed/1 hello")
}
