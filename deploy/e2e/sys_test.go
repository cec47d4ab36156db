package e2e

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
)

// sysTopic is what a message under $SYS must look like.
type sysTopic struct{ topic, payload string }

// sysMessages takes messages of a client until every pattern was met by one of them.
func sysMessages(t *testing.T, c client, want ...sysTopic) []message {
	t.Helper()
	met := make([]message, len(want))
	missing := len(want)
	late := time.After(patience)
	for missing > 0 {
		select {
		case m := <-c.Messages():
			for i, w := range want {
				if met[i].Topic == "" && regexp.MustCompile("^(?:"+w.topic+")$").MatchString(m.Topic) && regexp.MustCompile("^(?:"+w.payload+")$").MatchString(m.Payload) {
					met[i] = m
					missing--
				}
			}
		case <-late:
			for i, w := range want {
				if met[i].Topic == "" {
					t.Errorf("no message on %s with %s", w.topic, w.payload)
				}
			}
			t.FailNow()
		}
	}
	return met
}

// nodePattern is the pattern of a node's name as one level.
const nodePattern = `[^/@]+@[^/]+`

// What every node tells about itself, to a client of another maker. (emq2.md §9)
func TestSys(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"mqttv311", "mqttv5"} {
		c := mosquitto(t, version, connect{})
		c.Subscribe(t, 0, "$SYS/#")
		base := `\$SYS/brokers/` + nodePattern + `/`
		met := sysMessages(t, c,
			sysTopic{`\$SYS/brokers`, nodePattern + strings.Repeat(`,`+nodePattern, len(suite.MQTT())-1)},
			sysTopic{base + `version`, `.+`}, sysTopic{base + `sysdescr`, `Pando`},
			sysTopic{base + `uptime`, `(\d+ (days|hours|minutes), )*\d+ seconds`}, sysTopic{base + `datetime`, `\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`},
			sysTopic{base + `stats/clients/count`, `[1-9]\d*`}, sysTopic{base + `stats/clients/max`, `[1-9]\d*`}, sysTopic{base + `stats/sessions/count`, `\d+`},
			sysTopic{base + `stats/topics/count`, `\d+`}, sysTopic{base + `stats/subscribers/max`, `\d+`}, sysTopic{base + `stats/subscriptions/count`, `\d+`},
			sysTopic{base + `stats/routes/count`, `\d+`}, sysTopic{base + `stats/retained/count`, `[1-9]\d*`},
			sysTopic{base + `metrics/bytes/received`, `[1-9]\d*`}, sysTopic{base + `metrics/packets/connect`, `[1-9]\d*`},
			sysTopic{base + `metrics/messages/qos2/dropped`, `\d+`}, sysTopic{base + `metrics/messages/retained`, `\d+`},
			sysTopic{base + `metrics/packets/pubcomp/missed`, `\d+`},
		)
		for i, m := range met {
			if m.QoS != 0 {
				t.Errorf("%v is not of QoS 0", m)
			}
			if i > 2 && m.Retain {
				t.Errorf("%v is retained", m)
			}
		}
		c.Leave(t)
	}
}

// The nodes, version and sysdescr are there at once for who comes later.
func TestSysIsRetained(t *testing.T) {
	t.Parallel()
	first := paho5(t, connect{})
	first.Subscribe(t, 0, "$SYS/#")
	sysMessages(t, first, sysTopic{`\$SYS/brokers/.+/uptime`, `.+`}) // something was published
	c := paho5(t, connect{Place: 1})
	c.Subscribe(t, 0, "$SYS/brokers", "$SYS/brokers/+/version", "$SYS/brokers/+/sysdescr")
	retained := map[string]bool{}
	for late := time.Now().Add(patience); len(retained) < 1+2*len(suite.MQTT()); {
		if time.Now().After(late) {
			t.Fatalf("only these are retained: %v", retained)
		}
		if m := next(t, c); m.Retain { // another node may tell the same at this moment
			retained[m.Topic] = true
		}
	}
}

// Clients that come and go are told by their node, with their id as one level. (§9.6)
func TestPresence(t *testing.T) {
	t.Parallel()
	watch := paho5(t, connect{})
	watch.Subscribe(t, 2, "$SYS/brokers/+/clients/#")
	type told struct {
		ClientID  string `json:"clientid"`
		Username  string `json:"username"`
		IPAddress string `json:"ipaddress"`
		CleanSess *bool  `json:"clean_sess"`
		Protocol  int    `json:"protocol"`
		Connack   int    `json:"connack"`
		TS        int64  `json:"ts"`
		Reason    string `json:"reason"`
	}
	hear := func(id, what string) (p told) {
		t.Helper()
		level := strings.NewReplacer("/", "%2F", "+", "%2B").Replace(id)
		m := sysMessages(t, watch, sysTopic{`\$SYS/brokers/` + nodePattern + `/clients/` + regexp.QuoteMeta(level+"/"+what), `\{.*\}`})[0]
		if err := json.Unmarshal([]byte(m.Payload), &p); err != nil || p.ClientID != id || m.QoS != 1 || m.Retain {
			t.Errorf("%v: %+v, %v", m, p, err)
		}
		if age := time.Now().Unix() - p.TS; age < -1 || age > 60 {
			t.Errorf("%v is %d s old", m, age)
		}
		return p
	}
	id := unique("here/+")
	c := paho3(t, 4, connect{ID: id, Place: 1, User: "somebody"})
	if p := hear(id, "connected"); p.Username != "somebody" || p.IPAddress != "127.0.0.1" || p.CleanSess == nil || !*p.CleanSess || p.Protocol != 4 || p.Connack != 0 {
		t.Errorf("connected: %+v", p)
	}
	c.Leave(t)
	if p := hear(id, "disconnected"); p.Reason != "normal" {
		t.Errorf("disconnected: %+v", p)
	}
	twice := unique("twice")
	paho5(t, connect{ID: twice})
	hear(twice, "connected")
	second := paho5(t, connect{ID: twice})
	base := `\$SYS/brokers/` + nodePattern + `/clients/` + twice
	sysMessages(t, watch, sysTopic{base + `/disconnected`, `.*"reason":"conflict".*`}, sysTopic{base + `/connected`, `\{.*\}`}) // two topics: in any order
	second.Leave(t)
	hear(twice, "disconnected")
}

// Nobody is told in the name of the suite: publishing into $SYS needs a rule that names it.
func TestClientsMayNotPublishIntoSys(t *testing.T) {
	t.Parallel()
	topic := "$SYS/brokers/" + unique("fake")
	watch, c := paho5(t, connect{}), paho5(t, connect{Place: 1})
	watch.Subscribe(t, 1, topic, "e2e/fence/"+topic[5:])
	if code := c.publish(t, &paho.Publish{Topic: topic, QoS: 1, Payload: []byte("forged")}); code != 0x87 {
		t.Errorf("PUBACK %#x", code)
	}
	fence(t, watch, c, "e2e/fence/"+topic[5:])
}
