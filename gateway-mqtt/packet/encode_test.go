package packet_test

import (
	"strings"
	"testing"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
)

// TestEncodeRefuses covers what encoders check; the slice must come back as it
// was.
func TestEncodeRefuses(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 65536)
	alias := packet.Properties{TopicAlias: packet.Some(uint16(1))}
	for _, c := range []struct {
		name     string
		versions []packet.Version
		packet   packet.Packet
	}{
		{"CONNECT without version", first, &packet.Connect{}},
		{"CONNECT bridge in 5.0", only5, &packet.Connect{Version: v5, Bridge: true}},
		{"CONNECT long client id", all, &packet.Connect{ClientID: long}},
		{"CONNECT long password", only5, &packet.Connect{Password: packet.Some([]byte(long))}},
		{"CONNECT password alone", below5, &packet.Connect{Password: packet.Some([]byte("p"))}},
		{"CONNECT property of PUBLISH", only5, &packet.Connect{Properties: alias}},
		{"will QoS 3", all, &packet.Connect{Will: &packet.Will{Topic: "w", QoS: 3}}},
		{"will without topic", all, &packet.Connect{Will: &packet.Will{}}},
		{"will wildcard", all, &packet.Connect{Will: &packet.Will{Topic: "#"}}},
		{"will long payload", all, &packet.Connect{Will: &packet.Will{Topic: "w", Payload: []byte(long)}}},
		{"will property of PUBLISH", only5, &packet.Connect{Will: &packet.Will{Topic: "w", Properties: alias}}},
		{"CONNACK session in refusal", all, &packet.Connack{SessionPresent: true, Reason: packet.Banned}},
		{"CONNACK reason of SUBACK", only5, &packet.Connack{Reason: packet.GrantedQoS1}},
		{"CONNACK property", only5, &packet.Connack{Properties: alias}},
		{"PUBLISH QoS 3", all, &packet.Publish{QoS: 3, ID: 1, Topic: []byte("t")}},
		{"PUBLISH id 0", all, &packet.Publish{QoS: 1, Topic: []byte("t")}},
		{"PUBLISH DUP QoS 0", all, &packet.Publish{Dup: true, Topic: []byte("t")}},
		{"PUBLISH no topic", all, &packet.Publish{}},
		{"PUBLISH wildcard", all, &packet.Publish{Topic: []byte("a/+")}},
		{"PUBLISH long topic", all, &packet.Publish{Topic: []byte(long)}},
		{"PUBLISH alias 0", only5, &packet.Publish{Properties: packet.Properties{TopicAlias: packet.Some(uint16(0))}}},
		{"PUBLISH subscription id 0", only5, &packet.Publish{Topic: []byte("t"), Properties: packet.Properties{SubscriptionIDs: []uint32{0}}}},
		{"PUBLISH subscription id too large", only5, &packet.Publish{Topic: []byte("t"), Properties: packet.Properties{SubscriptionIDs: []uint32{1 << 28}}}},
		{"PUBLISH long content type", only5, &packet.Publish{Topic: []byte("t"), Properties: packet.Properties{ContentType: packet.Some(long)}}},
		{"PUBLISH long correlation data", only5, &packet.Publish{Topic: []byte("t"), Properties: packet.Properties{CorrelationData: packet.Some([]byte(long))}}},
		{"PUBLISH too large", all, &packet.Publish{Topic: []byte("t"), Payload: make([]byte, packet.MaxRemaining)}},
		{"ack of no type", all, &packet.Ack{ID: 1}},
		{"PUBACK id 0", all, &packet.Ack{Type: packet.TypePuback}},
		{"PUBACK reason", only5, &packet.Ack{Type: packet.TypePuback, ID: 1, Reason: packet.PacketIDNotFound}},
		{"PUBACK long user property", only5, &packet.Ack{Type: packet.TypePuback, ID: 1, Properties: packet.Properties{User: []packet.UserProperty{{"k", long}}}}},
		{"SUBSCRIBE id 0", all, &packet.Subscribe{Subscriptions: []packet.Subscription{{Filter: "a"}}}},
		{"SUBSCRIBE empty", all, &packet.Subscribe{ID: 1}},
		{"SUBSCRIBE empty filter", all, &packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{}}}},
		{"SUBSCRIBE long filter", all, &packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: long}}}},
		{"SUBSCRIBE QoS 3", all, &packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: "a", QoS: 3}}}},
		{"SUBSCRIBE retain handling 3", only5, &packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: "a", RetainHandling: 3}}}},
		{"SUBSCRIBE two identifiers", only5, &packet.Subscribe{ID: 1, Properties: packet.Properties{SubscriptionIDs: []uint32{1, 2}}, Subscriptions: []packet.Subscription{{Filter: "a"}}}},
		{"SUBACK empty", all, &packet.Suback{ID: 1}},
		{"SUBACK reason", all, &packet.Suback{ID: 1, Reasons: []packet.ReasonCode{3}}},
		{"UNSUBSCRIBE empty", all, &packet.Unsubscribe{ID: 1}},
		{"UNSUBSCRIBE empty filter", all, &packet.Unsubscribe{ID: 1, Filters: []string{""}}},
		{"UNSUBACK empty", only5, &packet.Unsuback{ID: 1}},
		{"UNSUBACK id 0", all, &packet.Unsuback{}},
		{"DISCONNECT reason", only5, &packet.Disconnect{Reason: packet.Banned}},
		{"AUTH below 5.0", below5, &packet.Auth{}},
		{"AUTH without method", only5, &packet.Auth{Reason: packet.ContinueAuth}},
		{"AUTH data alone", only5, &packet.Auth{Properties: packet.Properties{AuthData: packet.Some([]byte("d"))}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, v := range c.versions {
				got, err := c.packet.AppendTo([]byte("before"), v)
				if !packet.ReasonOf(err).Failed() || packet.ReasonOf(err) == packet.UnspecifiedError {
					t.Errorf("%v: encoded, %v", v, err)
				}
				if string(got) != "before" {
					t.Errorf("%v: slice changed to %d bytes", v, len(got))
				}
			}
		})
	}
}

// TestBelow5DropsWhatIsNew shows what versions without properties leave out.
func TestBelow5DropsWhatIsNew(t *testing.T) {
	t.Parallel()
	props := packet.Properties{ReasonString: packet.Some("r"), User: []packet.UserProperty{{"k", "v"}}}
	for _, c := range []struct {
		name   string
		packet packet.Packet
		hex    string
	}{
		{"PUBLISH", &packet.Publish{Topic: []byte("t"), Properties: packet.Properties{ContentType: packet.Some("x")}}, "30 03 0001't'"},
		{"PUBACK", &packet.Ack{Type: packet.TypePuback, ID: 1, Reason: packet.QuotaExceeded, Properties: props}, "40 02 0001"},
		{"CONNACK", &packet.Connack{Reason: packet.ServerBusy, Properties: props}, "20 02 0003"},
		{"SUBSCRIBE", &packet.Subscribe{ID: 1, Properties: props, Subscriptions: []packet.Subscription{{Filter: "a", QoS: 1, NoLocal: true, RetainHandling: 2}}}, "82 06 0001 0001'a' 01"},
		{"SUBACK", &packet.Suback{ID: 1, Properties: props, Reasons: []packet.ReasonCode{packet.NotAuthorized, packet.GrantedQoS1}}, "90 04 0001 80 01"},
		{"UNSUBACK", &packet.Unsuback{ID: 1, Properties: props, Reasons: []packet.ReasonCode{packet.NoSubscription}}, "b0 02 0001"},
		{"DISCONNECT", &packet.Disconnect{Reason: packet.ServerMoved, Properties: props}, "e0 00"},
	} {
		for _, v := range below5 {
			got, err := c.packet.AppendTo(nil, v)
			if want := unhex(t, c.hex); err != nil || string(got) != string(want) || c.packet.Size(v) != len(want) {
				t.Errorf("%s in %v: %x, size %d, %v; want %x", c.name, v, got, c.packet.Size(v), err, want)
			}
		}
	}
}

func TestTrimTo(t *testing.T) {
	t.Parallel()
	props := func() packet.Properties {
		return packet.Properties{ReasonString: packet.Some("because"), User: []packet.UserProperty{{"key", "value"}}}
	}
	ack := func() *packet.Ack {
		return &packet.Ack{Type: packet.TypePuback, ID: 1, Reason: packet.QuotaExceeded, Properties: props()}
	}
	full := uint32(ack().Size(v5))
	for _, c := range []struct {
		name         string
		packet       packet.Packet
		limit        uint32
		fits         bool
		user, reason bool // what is left
	}{
		{"no limit", ack(), 0, true, true, true},
		{"fits", ack(), full, true, true, true},
		{"user properties go first", ack(), full - 1, true, false, true},
		{"then the reason string", ack(), 5, true, false, false},
		{"too small", ack(), 4, false, false, false},
		{"CONNACK", &packet.Connack{Properties: props()}, 5, true, false, false},
		{"SUBACK", &packet.Suback{ID: 1, Reasons: []packet.ReasonCode{0}, Properties: props()}, 6, true, false, false},
		{"UNSUBACK", &packet.Unsuback{ID: 1, Reasons: []packet.ReasonCode{0}, Properties: props()}, 6, true, false, false},
		{"DISCONNECT", &packet.Disconnect{Reason: packet.ServerBusy, Properties: props()}, 3, true, false, false},
		{"AUTH", &packet.Auth{Properties: packet.Properties{
			AuthMethod: packet.Some("m"), User: []packet.UserProperty{{"k", "v"}},
		}}, 8, true, false, false},
		{"PUBLISH keeps its user properties", &packet.Publish{Topic: []byte("t"), Properties: packet.Properties{
			User: []packet.UserProperty{{"k", "v"}},
		}}, 8, false, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := packet.TrimTo(c.packet, v5, c.limit); got != c.fits {
				t.Fatalf("TrimTo = %t", got)
			}
			b, err := c.packet.AppendTo(nil, v5)
			if err != nil {
				t.Fatal(err)
			}
			if c.fits && c.limit > 0 && len(b) > int(c.limit) {
				t.Fatalf("%d bytes, limit %d", len(b), c.limit)
			}
			if strings.Contains(string(b), "v") != c.user || strings.Contains(string(b), "because") != c.reason {
				t.Fatalf("left: %q", b)
			}
		})
	}
}
