package e2e

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
)

var errStillThere = errors.New("it is still there")

// soon is how long a change of users and rules may take to hold on every gateway.
const soon = time.Second

// ctlOK runs pandoctl, which must succeed.
func ctlOK(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	out, err := suite.Ctl(t.Context(), stdin, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// login connects with a name and a password and gives the reason code of CONNACK.
func login(t *testing.T, place int, user, secret string) byte {
	t.Helper()
	c, err := tryPaho5(t, place, &paho.Connect{
		ClientID: unique("login"), CleanStart: true, KeepAlive: 60, Username: user, UsernameFlag: true, Password: []byte(secret), PasswordFlag: true,
	})
	if c == nil || c.connack == nil {
		t.Fatal(err)
	}
	return c.connack.ReasonCode
}

// logsIn wants an answer at every gateway, soon.
func logsIn(t *testing.T, user, secret string, want byte) {
	t.Helper()
	late := time.Now().Add(soon)
	for place := range suite.MQTT() {
		eventually(t, time.Until(late)+soon/2, func() error {
			if code := login(t, place, user, secret); code != want {
				return fmt.Errorf("gateway %d answers %s with %#x, want %#x", place, user, code, want)
			}
			return nil
		})
	}
}

// A user that was added gets in at every gateway within a second, with the right password only; a changed password holds as soon.
func TestUsers(t *testing.T) {
	t.Parallel()
	user := unique("user")
	ctlOK(t, "first\n", "users", "add", user, "--password-stdin")
	logsIn(t, user, "first", 0)
	logsIn(t, user, "wrong", 0x86)
	logsIn(t, user, "", 0x86)
	ctlOK(t, "second\n", "users", "passwd", user, "--password-stdin")
	logsIn(t, user, "second", 0)
	logsIn(t, user, "first", 0x86)
	for _, k := range kinds()[2:] {
		topic := unique("e2e/user")
		c := k.connect(t, connect{User: user, Password: "second", Place: 1})
		c.Subscribe(t, 1, topic)
		c.Publish(t, message{Topic: topic, Payload: k.name, QoS: 1})
		expect(t, c, topic+" "+k.name+" q1")
	}
	old := newPaho3(4, connect{User: user, Password: "wrong"})
	token := old.Connect()
	if !token.WaitTimeout(patience) || token.Error() == nil {
		t.Error("MQTT 3.1.1 with a wrong password is admitted")
	}
	if _, err := suite.Ctl(t.Context(), "x\n", "users", "add", user, "--password-stdin"); err == nil {
		t.Error("added twice")
	}
	ctlOK(t, "", "users", "del", user)
	if _, err := suite.Ctl(t.Context(), "", "users", "del", user); err == nil {
		t.Error("deleted twice")
	}
}

// Rules of the file refuse what they say, for clients that are connected too, from the reload on; a broken file changes nothing.
func TestACLFile(t *testing.T) {
	t.Parallel()
	base := unique("e2e/acl")
	c := paho5(t, connect{Place: 1})
	if _, err := c.Client.Subscribe(t.Context(), &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: "denied/by/file", QoS: 1}}}); err == nil {
		t.Error("the rule of the file does not hold")
	}
	c.Subscribe(t, 1, base+"/read", base+"/open")
	pubs := []*p5{paho5(t, connect{}), paho5(t, connect{Place: 1})}
	for _, p := range pubs {
		p.Publish(t, message{Topic: base + "/read", Payload: "before", QoS: 1})
		expect(t, c, base+"/read before q1")
	}
	reload(t, fmt.Sprintf("{deny, all, publish, [%q]}.\n{deny, all, subscribe, [%q]}.\n", base+"/write/#", base+"/read")+rules)
	t.Cleanup(func() { reload(t, rules) })
	for i, p := range pubs {
		eventually(t, soon, func() error {
			if code := p.publish(t, &paho.Publish{Topic: base + "/write/x", QoS: 1}); code != 0x87 {
				return fmt.Errorf("gateway %d answers with %#x, want not authorized", i, code)
			}
			return nil
		})
	}
	for _, p := range pubs {
		p.Publish(t, message{Topic: base + "/read", Payload: "after", QoS: 1})
		p.Publish(t, message{Topic: base + "/open", Payload: "open", QoS: 1})
		expect(t, c, base+"/open open q1")
	}
	if err := os.WriteFile(suite.ACLFile(), []byte("{deny, all"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := suite.Ctl(t.Context(), "", "acl", "reload"); err == nil {
		t.Errorf("a broken file is taken: %s", out)
	}
	if code := pubs[0].publish(t, &paho.Publish{Topic: base + "/write/x", QoS: 1}); code != 0x87 {
		t.Errorf("after a broken file: answered with %#x", code)
	}
	reload(t, rules)
	eventually(t, soon, func() error {
		if code := pubs[1].publish(t, &paho.Publish{Topic: base + "/write/x", QoS: 1}); code >= 0x80 {
			return fmt.Errorf("still answered with %#x", code)
		}
		return nil
	})
}

func reload(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(suite.ACLFile(), []byte(text), 0o600); err != nil {
		t.Error(err)
	}
	if out, err := suite.Ctl(contextOf(t), "", "acl", "reload"); err != nil {
		t.Errorf("%v %s", err, out)
	}
}

// Built-in rules are for a user, a client id or everybody; superusers are above them.
func TestBuiltInRules(t *testing.T) {
	t.Parallel()
	base, id, user := unique("e2e/rules"), unique("denied"), unique("user")
	ctlOK(t, "x\n", "users", "add", user, "--password-stdin", "--superuser")
	ctlOK(t, "", "acl", "add", "deny", "--client", id, "--topic", base+"/#")
	ctlOK(t, "", "acl", "add", "deny", "--user", user, "--publish", base+"/#")
	denied, other := paho5(t, connect{ID: id, Place: 1}), paho5(t, connect{})
	eventually(t, soon, func() error {
		if code := denied.publish(t, &paho.Publish{Topic: base + "/x", QoS: 1}); code != 0x87 {
			return fmt.Errorf("answered with %#x, want not authorized", code)
		}
		return nil
	})
	answer, err := denied.Client.Subscribe(t.Context(), &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: base + "/x"}, {Topic: base + "-other/x"}}})
	if answer == nil || len(answer.Reasons) != 2 || answer.Reasons[0] != 0x87 || answer.Reasons[1] != 0 {
		t.Errorf("subscribe is answered with %+v %v", answer, err)
	}
	if code := other.publish(t, &paho.Publish{Topic: base + "/x", QoS: 1}); code >= 0x80 {
		t.Errorf("others are refused: %#x", code)
	}
	logsIn(t, user, "x", 0)
	super := paho5(t, connect{User: user, Password: "x"})
	if code := super.publish(t, &paho.Publish{Topic: base + "/x", QoS: 1}); code >= 0x80 {
		t.Errorf("a superuser is refused: %#x", code)
	}
}
