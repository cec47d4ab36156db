package packet_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
)

// TestReasonTable counts the rows of MQTT 5.0 tables 3-1, 3-4 to 3-9, 3-10 and
// 3-11 per packet, against a slip in the shared table.
func TestReasonTable(t *testing.T) {
	t.Parallel()
	for typ, want := range map[packet.Type]int{
		packet.TypeConnack: 22, packet.TypePuback: 9, packet.TypePubrec: 9,
		packet.TypePubrel: 2, packet.TypePubcomp: 2, packet.TypeSuback: 12,
		packet.TypeUnsuback: 7, packet.TypeAuth: 3,
		packet.TypeDisconnect: 30, // 29 rows, and 0x8c as table 2-6 has it
		packet.TypePublish:    0, packet.TypeConnect: 0,
	} {
		n := 0
		for code := range 256 {
			if packet.ReasonCode(code).AllowedIn(typ) {
				n++
			}
		}
		if n != want {
			t.Errorf("%v: %d reason codes, want %d", typ, n, want)
		}
	}
}

func TestReasonStrings(t *testing.T) {
	t.Parallel()
	seen := map[string]packet.ReasonCode{}
	named := 0
	for code := range 256 {
		r := packet.ReasonCode(code)
		s := r.String()
		if other, ok := seen[s]; ok {
			t.Errorf("%#x and %#x are both %q", code, other, s)
		}
		seen[s] = r
		if !strings.HasPrefix(s, "reason ") {
			named++
		}
		if r.Failed() != (code >= 0x80) {
			t.Errorf("%#x: Failed = %t", code, r.Failed())
		}
	}
	if named != 43 {
		t.Errorf("%d codes have a name, table 2-6 has 43", named)
	}
}

// TestReturnCodes is MQTT 3.1.1 table 3.1 and what maps to it.
func TestReturnCodes(t *testing.T) {
	t.Parallel()
	for code := packet.Accepted; code <= packet.RefusedAuthority; code++ {
		if got := code.Reason().ReturnCode(); got != code {
			t.Errorf("%v becomes %v", code, got)
		}
	}
	if packet.ReturnCode(6).Reason() != packet.UnspecifiedError {
		t.Error("reserved return code has a meaning")
	}
	for reason, want := range map[packet.ReasonCode]packet.ReturnCode{
		packet.Success:               packet.Accepted,
		packet.UnsupportedVersion:    packet.RefusedVersion,
		packet.ClientIDNotValid:      packet.RefusedClientID,
		packet.BadUserNameOrPassword: packet.RefusedCredentials,
		packet.BadAuthMethod:         packet.RefusedCredentials,
		packet.NotAuthorized:         packet.RefusedAuthority,
		packet.Banned:                packet.RefusedAuthority,
		packet.ServerUnavailable:     packet.RefusedUnavailable,
		packet.ServerBusy:            packet.RefusedUnavailable,
		packet.QuotaExceeded:         packet.RefusedUnavailable,
		packet.UseAnotherServer:      packet.RefusedUnavailable,
		packet.UnspecifiedError:      packet.RefusedUnavailable,
	} {
		if got := reason.ReturnCode(); got != want {
			t.Errorf("%v: %v, want %v", reason, got, want)
		}
	}
	for code := range 256 {
		if r := packet.ReasonCode(code); r.Failed() == (r.ReturnCode() == packet.Accepted) {
			t.Errorf("%v: %v", r, r.ReturnCode())
		}
	}
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	_, _, err := packet.ReadHeader([]byte{0x36})
	if want := "malformed packet (0x81): QoS 3"; err == nil || err.Error() != want {
		t.Errorf("%v, want %q", err, want)
	}
	wrapped := fmt.Errorf("read: %w", err)
	if packet.ReasonOf(wrapped) != packet.MalformedPacket || packet.ReasonOf(nil) != packet.Success ||
		packet.ReasonOf(errors.New("other")) != packet.UnspecifiedError {
		t.Error("ReasonOf")
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		v31.String(): "3.1", v311.String(): "3.1.1", v5.String(): "5.0", packet.Version(9).String(): "level 9",
		packet.TypePublish.String(): "PUBLISH", packet.TypeAuth.String(): "AUTH", packet.Type(0).String(): "RESERVED",
		packet.Type(16).String(): "RESERVED", packet.RefusedCredentials.String(): "bad user name or password",
		packet.ReturnCode(9).String(): "return code 9", packet.ReasonCode(7).String(): "reason 7",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestPayloadValid(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		format  packet.Opt[byte]
		payload string
		want    bool
	}{
		{"no indicator", packet.Opt[byte]{}, "\xff", true},
		{"bytes", packet.Some(byte(0)), "\xff", true},
		{"text", packet.Some(byte(1)), "tëxt\x00", true},
		{"not text", packet.Some(byte(1)), "\xff", false},
	} {
		props := packet.Properties{PayloadFormat: c.format}
		p := packet.Publish{Properties: props, Payload: []byte(c.payload)}
		w := packet.Will{Properties: props, Payload: []byte(c.payload)}
		if p.PayloadValid() != c.want || w.PayloadValid() != c.want {
			t.Errorf("%s: PUBLISH %t, will %t", c.name, p.PayloadValid(), w.PayloadValid())
		}
	}
	if packet.Some(3).Or(4) != 3 || (packet.Opt[int]{}).Or(4) != 4 {
		t.Error("Opt.Or")
	}
}
