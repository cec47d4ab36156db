package store_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pando-mq/pando/authsvc/acl"
	"github.com/pando-mq/pando/authsvc/hash"
	"github.com/pando-mq/pando/authsvc/store"
)

// What stands in the journal for years: one line for each type.
func TestEventEncoding(t *testing.T) {
	t.Parallel()
	rule := &store.Rule{ID: "r1", Row: acl.Row{Allow: true, IPAddr: "10.0.0.0/8", Username: "$all", ClientID: "c", Access: acl.Publish, Topic: "eq a/b"}}
	tests := []struct {
		event store.Event
		want  string
	}{
		{store.Event{Type: store.UserPut, Tenant: "acme", User: &store.User{Name: "bob", Password: password, Superuser: true, Created: created}},
			`{"v":1,"seq":7,"type":"user_put","tenant":"acme","user":{"name":"bob","password":{"scheme":"salt,md5","hash":"c91e85973ceee05f005996584f067a72","salt":"c2FsdA=="},"superuser":true,"created":"2026-01-02T03:04:05.678Z"}}`},
		{store.Event{Type: store.UserDel, Key: "bob"}, `{"v":1,"seq":7,"type":"user_del","key":"bob"}`},
		{clientPut("", "c"), `{"v":1,"seq":7,"type":"client_put","client":{"id":"c","password":{"scheme":"argon2id","hash":"` + argon.Hash + `"},"created":"2026-01-02T03:04:05.678Z"}}`},
		{store.Event{Type: store.ClientDel, Key: "c"}, `{"v":1,"seq":7,"type":"client_del","key":"c"}`},
		{store.Event{Type: store.ACLPut, Rule: rule},
			`{"v":1,"seq":7,"type":"acl_put","rule":{"id":"r1","allow":true,"ipaddr":"10.0.0.0/8","username":"$all","clientid":"c","access":2,"topic":"eq a/b"}}`},
		{store.Event{Type: store.ACLDel, Key: "r1"}, `{"v":1,"seq":7,"type":"acl_del","key":"r1"}`},
		{store.Event{Type: store.ACLOrder, Order: []string{"r2", "r1"}}, `{"v":1,"seq":7,"type":"acl_order","order":["r2","r1"]}`},
		{reload("d1"), `{"v":1,"seq":7,"type":"acl_reload","key":"d1"}`},
	}
	for _, tt := range tests {
		t.Run(string(tt.event.Type), func(t *testing.T) {
			t.Parallel()
			event := numbered(7, tt.event)[0]
			b, err := event.Encode()
			if err != nil || string(b) != tt.want {
				t.Fatalf("got  %s, %v\nwant %s", b, err, tt.want)
			}
			back, err := store.DecodeEvent(b)
			if diff := cmp.Diff(event, back); err != nil || diff != "" {
				t.Errorf("%v %s", err, diff)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, src string
		want      error
	}{
		{"empty", "", store.ErrInvalid},
		{"no object", "[]", store.ErrInvalid},
		{"truncated", `{"v":1,"seq":1,"type":"user_del","key":"b`, store.ErrInvalid},
		{"trailing", `{"v":1,"seq":1,"type":"user_del","key":"b"} {}`, store.ErrInvalid},
		{"unknown field", `{"v":1,"seq":1,"type":"user_del","key":"b","ttl":5}`, store.ErrInvalid},
		{"newer version with unknown fields", `{"v":2,"what":"ever"}`, store.ErrVersion},
		{"version 0", `{"v":0,"seq":1,"type":"user_del","key":"b"}`, store.ErrVersion},
		{"unknown type", `{"v":1,"seq":1,"type":"user_ban","key":"b"}`, store.ErrInvalid},
		{"unknown scheme", `{"v":1,"seq":1,"type":"user_put","user":{"name":"b","password":{"scheme":"rot13","hash":"x"},"created":"2026-01-01T00:00:00Z"}}`, store.ErrInvalid},
		{"argon2 bomb", `{"v":1,"seq":1,"type":"user_put","user":{"name":"b","password":{"scheme":"argon2id","hash":"$argon2id$v=19$m=4194304,t=9,p=1$c29tZXNhbHQ$OcOAkK8ur6wLi9aio+rmZn3umNfT1uvIOjYDtQgLxI0"},"created":"2026-01-01T00:00:00Z"}}`, store.ErrInvalid},
		{"too large", `{"v":1,"seq":1,"type":"user_del","key":"` + strings.Repeat("b", 17<<20) + `"}`, store.ErrInvalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := store.DecodeEvent([]byte(tt.src)); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestEventValidate(t *testing.T) {
	t.Parallel()
	rule := func(id string, row acl.Row) store.Event {
		return store.Event{Type: store.ACLPut, Rule: &store.Rule{ID: id, Row: row}}
	}
	ok := acl.Row{Access: acl.PubSub, Topic: "a"}
	bad := map[string]store.Event{
		"no type":           {Key: "x"},
		"no body":           {Type: store.UserPut},
		"no key":            {Type: store.ACLDel},
		"two bodies":        {Type: store.UserDel, Key: "x", User: &store.User{Name: "x"}},
		"another body":      {Type: store.UserPut, Client: &store.Client{}},
		"no name":           userPut("", "", argon),
		"NUL in a name":     userPut("", "a\x00", argon),
		"name no UTF-8":     userPut("", "\xff", argon),
		"name too long":     clientPut("", strings.Repeat("x", 65536)),
		"tenant too long":   userPut(strings.Repeat("x", 256), "a", argon),
		"tenant no UTF-8":   userPut("\xff", "a", argon),
		"no password":       userPut("", "a", hash.Stored{}),
		"no creation time":  {Type: store.UserPut, User: &store.User{Name: "a", Password: argon}},
		"year 10000":        {Type: store.UserPut, User: &store.User{Name: "a", Password: argon, Created: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}},
		"rule without id":   rule("", ok),
		"rule id too long":  rule(strings.Repeat("x", 256), ok),
		"rule of no access": rule("r", acl.Row{Topic: "a"}),
		"rule of no topic":  rule("r", acl.Row{Access: acl.PubSub, Topic: "a/#/b"}),
		"empty order":       {Type: store.ACLOrder, Order: []string{}},
		"order twice":       {Type: store.ACLOrder, Order: []string{"a", "a"}},
		"order of nothing":  {Type: store.ACLOrder, Order: []string{""}},
		"order too long":    {Type: store.ACLOrder, Order: make([]string, 100_001)},
	}
	for name, event := range bad {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			event := numbered(1, event)[0]
			if err := event.Validate(); !errors.Is(err, store.ErrInvalid) {
				t.Errorf("Validate: %v, want ErrInvalid", err)
			}
			if b, err := event.Encode(); err == nil || b != nil {
				t.Errorf("encoded to %s", b)
			}
		})
	}
	for _, seq := range []uint64{0, math.MaxInt64 + 1} {
		if err := numbered(seq, userPut("", "a", argon))[0].Validate(); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("sequence %d: %v", seq, err)
		}
	}
	if err := numbered(1, userPut("", "#+/%u\r\n", argon))[0].Validate(); err != nil {
		t.Errorf("an odd but legal name: %v", err)
	}
}

// FuzzDecodeEvent: what is decoded is encoded to what is decoded again.
func FuzzDecodeEvent(f *testing.F) {
	for _, e := range numbered(1, userPut("t", "bob", password), clientPut("", "c"), rulePut("r", "a/%u/#"),
		store.Event{Type: store.ACLOrder, Order: []string{"b", "a"}}, store.Event{Type: store.UserDel, Key: "x"}) {
		b, err := e.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"v":1,"seq":1,"type":"scram_seed","key":"` + strings.Repeat("0a", 32) + `"}`))
	f.Add([]byte(`{"v":1,"seq":1,"type":"user_put","user":{"name":"a","password":{"scheme":"plain","hash":"x"},"scram":[{"method":"SCRAM-SHA-256","iterations":4096,` +
		`"salt":"AAAA","stored_key":"` + strings.Repeat("A", 43) + `=","server_key":"` + strings.Repeat("A", 43) + `="}],"created":"2026-01-01T00:00:00Z"}}`))
	f.Add([]byte(`{"v":2}`))
	f.Add([]byte(`{"v":1,"seq":1,"type":"user_del","key":"b"} x`))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := store.DecodeEvent(b)
		if err != nil {
			return
		}
		out, err := e.Encode()
		if err != nil {
			t.Fatalf("decoded but not encoded: %v", err)
		}
		again, err := store.DecodeEvent(out)
		if diff := cmp.Diff(e, again); err != nil || diff != "" {
			t.Fatalf("%v %s", err, diff)
		}
	})
}
