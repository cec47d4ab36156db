package e2e

import (
	"fmt"
	"testing"
)

// Wildcards match as MQTT 3.1.1 §4.7 says, topics that begin with $ only where the filter begins so.
func TestFilters(t *testing.T) {
	t.Parallel()
	base := unique("e2e/filter")
	for _, c := range []struct {
		filter  string
		topics  []string // that match
		nothing []string // that do not
	}{
		{base + "/a/+", []string{base + "/a/b", base + "/a/"}, []string{base + "/a", base + "/a/b/c"}},
		{base + "/b/#", []string{base + "/b", base + "/b/", base + "/b/c/d"}, []string{base + "/bb", base}},
		{base + "/c/+/x/#", []string{base + "/c//x", base + "/c/y/x/z"}, []string{base + "/c/x", base + "/c/y/z/x"}},
		{base + "/d/+/+", []string{base + "/d//", base + "/d/e/f"}, []string{base + "/d/e"}},
		{base + "/D", []string{base + "/D"}, []string{base + "/d", base + "/D/"}},
		{"$e2e/" + base + "/#", []string{"$e2e/" + base + "/x"}, []string{base + "/x"}},
		{"+/" + base + "/#", []string{"e2e/" + base + "/x"}, []string{"$e2e/" + base + "/x"}},
	} {
		sub, pub := paho3(t, 4, connect{Place: 1}), paho3(t, 4, connect{})
		sub.Subscribe(t, 1, c.filter)
		for _, topic := range c.nothing {
			pub.Publish(t, message{Topic: topic, Payload: "wrong", QoS: 1})
		}
		var want []string
		for i, topic := range c.topics {
			pub.Publish(t, message{Topic: topic, Payload: fmt.Sprint(i), QoS: 1})
			want = append(want, fmt.Sprintf("%s %d q1", topic, i))
		}
		expectAll(t, sub, want...)
		fence(t, sub, pub, c.topics[0])
	}
	all, pub := paho3(t, 4, connect{}), paho3(t, 4, connect{Place: 1})
	all.Subscribe(t, 1, "#")
	pub.Publish(t, message{Topic: "$e2e/" + base, Payload: "hidden", QoS: 1})
	mark := unique("mark")
	pub.Publish(t, message{Topic: base, Payload: mark, QoS: 1})
	for m := next(t, all); m.Payload != mark; m = next(t, all) {
		if m.Topic[0] == '$' {
			t.Errorf("# brought %v", m)
		}
	}
}

// Filters and topics that nobody may use are refused.
func TestWrongFilters(t *testing.T) {
	t.Parallel()
	for _, filter := range []string{"a/#/b", "a+", "#/a", "$share/g", "$share//a", "$share/g+/a"} {
		r := rawConnect(t, 1, rawOptions())
		r.send(t, subscribePacket(filter))
		if code := r.refusal(t); code != 0x8f && code != 0x81 && code != 0x82 {
			t.Errorf("%s is answered with %#x", filter, code)
		}
	}
}
