package allinone_test

import (
	"io"
	"net"
	"net/http"
	neturl "net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/pando-mq/pando/deploy/allinone"
	"github.com/pando-mq/pando/services/boot"
)

// reload asks a process to read its configuration again.
func reload(t *testing.T, i allinone.Info) (status int, answer string) {
	t.Helper()
	r, err := http.Post("http://"+i.Ops+"/reload", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r.Body)
	_ = r.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(text)
}

// Keys that are hot change in the queues of sessions that are there, those of the gateway and those of the session-store; the others are named; a bad file
// changes nothing.
func TestReload(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pando.yaml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("session: {max_subscriptions: 5}\n")
	info, _ := suite(t, t.TempDir(), boot.Options{File: file})
	url := "tcp://" + addr(t, info, "tcp")
	var line net.Conn
	away := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(url).SetClientID("away").SetCleanSession(false).SetAutoReconnect(false).SetWill("b/1", "gone", 1, false).
		SetCustomOpenConnectionFn(func(*neturl.URL, mqtt.ClientOptions) (c net.Conn, err error) {
			line, err = net.Dial("tcp", addr(t, info, "tcp"))
			return line, err
		}))
	await(t, away.Connect())
	t.Cleanup(func() { away.Disconnect(0) })
	await(t, away.Subscribe("a/#", 1, nil))
	here, heard := client(t, url, "here", true)
	await(t, here.Subscribe("b/1", 1, nil))

	write("session: {max_subscriptions: 1, queue: {max_length: 2}}\nmqtt: {max_packet_size: 1KB}\nlog: {level: warn}\n")
	status, answer := reload(t, info)
	for _, want := range []string{
		"log.level: info becomes warn\n", "session.max_subscriptions: 5 becomes 1\n", "session.queue.max_length: 1000 becomes 2\n",
		"mqtt.max_packet_size: 64KB becomes 1KB at the next start, not now\n",
	} {
		if !strings.Contains(answer, want) {
			t.Errorf("%d %q does not say %q", status, answer, want)
		}
	}
	for _, c := range []mqtt.Client{away, here} {
		if token := c.Subscribe("c/1", 1, nil); !token.WaitTimeout(10*time.Second) || token.(*mqtt.SubscribeToken).Result()["c/1"] != 0x80 {
			t.Errorf("a second subscription: %v", token.(*mqtt.SubscribeToken).Result())
		}
	}
	_ = line.Close()
	expect(t, heard, "b/1 gone") // its session knows that it is away
	for _, text := range []string{"1", "2", "3", "4"} {
		await(t, here.Publish("a/x", 1, false, text+strings.Repeat(" ", 2000))) // the old size is in force
	}

	write("session: {queue: {max_length: -1}}\n")
	if status, answer := reload(t, info); status != http.StatusUnprocessableEntity || !strings.Contains(answer, "the old configuration stays") || !strings.Contains(answer, "max_length") {
		t.Errorf("a bad file: %d %q", status, answer)
	}
	_, got := client(t, url, "away", false)
	expect(t, got, "a/x 3"+strings.Repeat(" ", 2000))
	expect(t, got, "a/x 4"+strings.Repeat(" ", 2000))
}
