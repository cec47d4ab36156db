package session_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"testing"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/session"
)

func fullMessage() *broker.Message {
	return &broker.Message{
		ID: broker.MessageID{1, 2, 15: 16}, Tenant: "t", Topic: "a/b", Payload: []byte("payload"), QoS: 2, Retain: true, From: "client", Username: "user", Node: "n@h",
		Published: t0, Expires: t0.Add(1e9),
		Props: &broker.Properties{
			PayloadUTF8: true, ContentType: "text/plain", ResponseTopic: "r", CorrelationData: []byte{0, 1},
			User: []broker.UserProperty{{Key: "k", Value: "v"}, {Key: "k", Value: ""}},
		},
	}
}

func messages() map[string]*broker.Message {
	return map[string]*broker.Message{
		"full":             fullMessage(),
		"small":            {Topic: "a", Published: t0},
		"no times":         {Topic: "a"},
		"empty properties": {Topic: "a", QoS: 1, Payload: []byte{0}, Props: &broker.Properties{}},
	}
}

func TestMessageRoundTrip(t *testing.T) {
	t.Parallel()
	for name, m := range messages() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := session.AppendMessage([]byte("before"), m)
			got, rest, err := session.DecodeMessage(append(b[len("before"):], "after"...))
			if err != nil || string(rest) != "after" {
				t.Fatalf("rest %q, error %v", rest, err)
			}
			if !got.Published.Equal(m.Published) || got.Published.IsZero() != m.Published.IsZero() || !got.Expires.Equal(m.Expires) || got.Expires.IsZero() != m.Expires.IsZero() {
				t.Fatalf("times %v, %v", got.Published, got.Expires)
			}
			got.Published, got.Expires = m.Published, m.Expires
			if !reflect.DeepEqual(got, m) {
				t.Fatalf("got %+v, want %+v", got, m)
			}
		})
	}
}

// TestMessageFormat pins version 1: logs of earlier releases must stay readable.
func TestMessageFormat(t *testing.T) {
	t.Parallel()
	const want = "013e" + "0102000000000000000000000000" + "0010" + // version, bits, id
		"80a0abfef962" + "d0afabfef962" + // published, expires
		"2b" + "0174" + "03612f62" + "06636c69656e74" + "0475736572" + "036e4068" + // texts
		"0a746578742f706c61696e" + "0172" + "02" + "016b0176" + "016b00" +
		"02" + "07" + "0001" + "7061796c6f6164"
	if got := hex.EncodeToString(session.AppendMessage(nil, fullMessage())); got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
}

func TestMessageDoesNotAlias(t *testing.T) {
	t.Parallel()
	b := session.AppendMessage(nil, fullMessage())
	m, _, err := session.DecodeMessage(b)
	if err != nil {
		t.Fatal(err)
	}
	clear(b)
	if m.Topic != "a/b" || string(m.Payload) != "payload" || m.Props.CorrelationData[1] != 1 {
		t.Fatalf("changed with its input: %+v", m)
	}
}

func TestMessageCorrupt(t *testing.T) {
	t.Parallel()
	good := session.AppendMessage(nil, fullMessage())
	for n := range good {
		if _, _, err := session.DecodeMessage(good[:n]); !errors.Is(err, session.ErrCorrupt) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
	for name, change := range map[string]func([]byte){
		"version": func(b []byte) { b[0] = 9 }, "QoS 3": func(b []byte) { b[1] |= 3 }, "unknown bit": func(b []byte) { b[1] |= 0x80 },
		"texts too long": func(b []byte) { b[30] = 0x7f }, "texts too short": func(b []byte) { b[30]-- }, "many properties": func(b []byte) { b[30+1+2+4+7+5+4+11+2] = 0x7f },
	} {
		b := bytes.Clone(good)
		change(b)
		if _, _, err := session.DecodeMessage(b); !errors.Is(err, session.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzDecodeMessage(f *testing.F) {
	for _, m := range messages() {
		f.Add(session.AppendMessage(nil, m))
	}
	f.Add([]byte{1, 0x10, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, rest, err := session.DecodeMessage(b)
		if err != nil {
			if m != nil || !errors.Is(err, session.ErrCorrupt) {
				t.Fatalf("message %v, error %v", m, err)
			}
			return
		}
		if len(rest) > len(b) || len(m.Topic)+len(m.Payload) > len(b) {
			t.Fatal("more came out than went in")
		}
		enc := session.AppendMessage(nil, m)
		again, rest, err := session.DecodeMessage(enc)
		if err != nil || len(rest) > 0 || !bytes.Equal(session.AppendMessage(nil, again), enc) {
			t.Fatalf("encoded again: %v", err)
		}
	})
}
