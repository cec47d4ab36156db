package bus_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pando-mq/pando/services/bus"
	"github.com/pando-mq/pando/services/bus/bustest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemory(t *testing.T) {
	t.Parallel()
	bustest.Run(t, func(t *testing.T, o bus.Options) (bus.Bus, bus.Bus) {
		b := bus.NewMemory(o)
		t.Cleanup(func() {
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		})
		return b, b
	})
}

func TestMatch(t *testing.T) {
	t.Parallel()
	tests := []struct {
		pattern string
		subject bus.Subject
		want    bool
	}{
		{"a.b", "a.b", true},
		{"a.b", "a", false},
		{"a", "a.b", false},
		{"a.b", "a.c", false},
		{"*", "a", true},
		{"*", "a.b", false},
		{"a.*", "a.b", true},
		{"*.b", "a.b", true},
		{"a.*", "a", false},
		{">", "a", true},
		{">", "a.b.c", true},
		{"a.>", "a.b.c", true},
		{"a.>", "b.c", false},
		{"*.>", "a", false},
	}
	for _, tc := range tests {
		t.Run(tc.pattern+" "+string(tc.subject), func(t *testing.T) {
			t.Parallel()
			if got := bus.Match(tc.pattern, tc.subject); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func TestSubjectsAreValidAndDistinct(t *testing.T) {
	t.Parallel()
	seen := map[bus.Subject]bool{}
	for _, s := range append(bus.Subjects(), bus.Trace("a-1")) {
		if err := s.Validate(); err != nil || seen[s] {
			t.Errorf("%s: %v, seen before: %v", s, err, seen[s])
		}
		seen[s] = true
	}
	if err := bus.Trace("a b").Validate(); err == nil {
		t.Error("a trace name with a blank was taken")
	}
}

func TestNewNATSRefusesClusterNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "a.b", "a*", ">", "a b", strings.Repeat("a", 300)} {
		if _, err := bus.NewNATS(nil, name, bus.Options{}); err == nil {
			t.Errorf("cluster name %.20q was taken", name)
		}
	}
}

func TestEncoding(t *testing.T) {
	t.Parallel()
	e := bus.Event{Subject: bus.ClientConnected, Time: time.Date(2025, 1, 2, 3, 4, 5, 6000, time.UTC), Node: "pando@a", ClientID: "c1", Data: json.RawMessage(`{"code":0}`)}
	const want = `{"subject":"client.connected","time":"2025-01-02T03:04:05.000006Z","node":"pando@a","clientid":"c1","data":{"code":0}}`
	b, err := bus.Encode(e)
	if err != nil || string(b) != want {
		t.Errorf("encoded %s (%v), want %s", b, err, want)
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, in string }{
		{"empty", ""},
		{"no object", `"x"`},
		{"no subject", `{}`},
		{"bad subject", `{"subject":"a..b"}`},
		{"cut", `{"subject":"node.up"`},
		{"two values", `{"subject":"node.up"}{}`},
		{"bad time", `{"subject":"node.up","time":"noon"}`},
		{"too large", `{"subject":"node.up","data":"` + strings.Repeat("x", bus.MaxEvent) + `"}`},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if e, err := bus.Decode([]byte(tc.in)); err == nil {
				t.Errorf("decoded %+v", e)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"subject":"client.connected","time":"2025-01-02T03:04:05.000006Z","node":"pando@a","clientid":"c1","data":{"code":0}}`,
		`{"subject":"node.up","data":null,"later":[1]}`, `{"subject":"node.up","data": {"a" : "<&>\u2028" } }`, `{`, `null`, `[]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		e, err := bus.Decode(in)
		if err != nil {
			return
		}
		b, err := bus.Encode(e)
		if err != nil {
			// Escaping can make the text longer, and a year of five digits can be read from no text.
			if len(in) < bus.MaxEvent/8 {
				t.Fatalf("%s was decoded but not encoded: %v", in, err)
			}
			return
		}
		again, err := bus.Decode(b)
		if err != nil {
			t.Fatalf("%s was encoded but not decoded: %v", b, err)
		}
		if b2, err := bus.Encode(again); err != nil || !bytes.Equal(b, b2) {
			t.Fatalf("%s became %s (%v)", b, b2, err)
		}
	})
}
