package e2e

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/eclipse/paho.golang/paho"
)

// configure changes the configuration file, and changes it back when the test ends.
func configure(t *testing.T, old, replacement string) {
	t.Helper()
	was, err := os.ReadFile(suite.ConfigFile())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(was), old) != 1 {
		t.Fatalf("%q is not once in the configuration:\n%s", old, was)
	}
	if err := os.WriteFile(suite.ConfigFile(), []byte(strings.Replace(string(was), old, replacement, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(suite.ConfigFile(), was, 0o600); err != nil {
			t.Error(err)
		}
		if out, err := suite.Ctl(contextOf(t), "", "config", "reload"); err != nil {
			t.Errorf("the old configuration again: %v: %s", err, out)
		}
	})
}

// What pandoctl has read again is in force in every process: at each gateway, and at the session-stores, for clients that are there. What cannot change is named,
// and so is a file with an error, which changes nothing. Alone, since it is the configuration of all.
func TestConfigReload(t *testing.T) {
	var all []*p5
	for place := range suite.MQTT() {
		for _, keep := range []bool{false, true} {
			c := paho5(t, connect{ID: unique("reload"), Keep: keep, Place: place})
			c.Subscribe(t, 1, unique("e2e/reload"))
			all = append(all, c)
		}
	}
	t.Run("change", func(t *testing.T) {
		configure(t, "session:\n", "session:\n  max_subscriptions: 1\n")
		configure(t, "max_payload: 1MB", "max_payload: 1000KB")
		out, err := suite.Ctl(t.Context(), "", "config", "reload")
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{`session\.max_subscriptions +0 +1 +now\n`, `retained\.max_payload +1MB +1000KB +at the next start\n`} {
			if !regexp.MustCompile(want).MatchString(out) {
				t.Errorf("%q is not in\n%s", want, out)
			}
		}
		for i, c := range all {
			if code := trySubscribe(t, c, unique("e2e/reload")); code != 0x97 {
				t.Errorf("a second subscription of client %d: SUBACK %#x", i, code)
			}
		}
		if out, err := suite.Ctl(t.Context(), "", "config", "reload", "--node", nodes(t)[0]); err != nil || strings.Contains(out, "max_subscriptions") {
			t.Errorf("a second time: %v: %s", err, out)
		}
	})
	for _, c := range all {
		c.Subscribe(t, 1, unique("e2e/reload"))
	}
	t.Run("error", func(t *testing.T) {
		configure(t, "session:\n", "session:\n  max_subscriptions: -1\n")
		if out, err := suite.Ctl(t.Context(), "", "config", "reload"); err == nil || !strings.Contains(err.Error(), "max_subscriptions") || !strings.Contains(err.Error(), "old configuration stays") {
			t.Errorf("a bad file: %v: %s", err, out)
		}
		for _, c := range all {
			c.Subscribe(t, 1, unique("e2e/reload"))
		}
	})
	for _, c := range all {
		c.Leave(t)
	}
}

// trySubscribe subscribes and gives the code of SUBACK.
func trySubscribe(t *testing.T, c *p5, topic string) byte {
	t.Helper()
	ack, err := c.Client.Subscribe(contextOf(t), &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: topic, QoS: 1}}})
	if ack == nil || len(ack.Reasons) != 1 {
		t.Fatalf("SUBACK %v: %v", ack, err)
	}
	return ack.Reasons[0]
}
