package gatewaymqtt_test

import (
	"strings"
	"testing"
	"time"

	gatewaymqtt "github.com/pando-mq/pando/gateway-mqtt"
	"github.com/pando-mq/pando/gateway-mqtt/packet"
	"github.com/pando-mq/pando/services/broker"
)

func clean(on bool) func(*packet.Connect) {
	return func(p *packet.Connect) { p.CleanStart = on }
}

func user(name, password string) func(*packet.Connect) {
	return func(p *packet.Connect) {
		p.Username, p.Password = packet.Some(name), packet.Some([]byte(password))
	}
}

func TestConnectAnswers(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.auth.refuse("mallory", broker.KindUnauthenticated)
	w.auth.refuse("eve", broker.KindDenied)
	w.auth.refuse("later", broker.KindUnavailable)
	long := strings.Repeat("x", 1025)
	for name, tt := range map[string]struct {
		v      packet.Version
		p      *packet.Connect
		reason packet.ReasonCode
	}{
		"3.1":                                {packet.V31, connectPacket(packet.V31, "a31"), packet.Success},
		"3.1.1":                              {packet.V311, connectPacket(packet.V311, "a311"), packet.Success},
		"5.0":                                {packet.V5, connectPacket(packet.V5, "a5"), packet.Success},
		"bridge of 3.1":                      {packet.V31, connectPacket(packet.V31, "b31", bridge), packet.Success},
		"bridge of 3.1.1":                    {packet.V311, connectPacket(packet.V311, "b311", bridge), packet.Success},
		"client id with blanks":              {packet.V311, connectPacket(packet.V311, " a b "), packet.Success},
		"3.1 without client id (§3.1)":       {packet.V31, connectPacket(packet.V31, ""), packet.ClientIDNotValid},
		"3.1.1 without client id (§3.1.3.1)": {packet.V311, connectPacket(packet.V311, ""), packet.Success},
		"3.1.1 without client id, not clean (3.1.3-8)": {packet.V311, connectPacket(packet.V311, "", clean(false)), packet.ClientIDNotValid},
		"client id too long, 3.1.1":                    {packet.V311, connectPacket(packet.V311, long), packet.ClientIDNotValid},
		"client id too long, 5.0":                      {packet.V5, connectPacket(packet.V5, long), packet.ClientIDNotValid},
		"wrong password, 3.1.1":                        {packet.V311, connectPacket(packet.V311, "u1", user("mallory", "x")), packet.BadUserNameOrPassword},
		"wrong password, 5.0":                          {packet.V5, connectPacket(packet.V5, "u2", user("mallory", "x")), packet.BadUserNameOrPassword},
		"not allowed in, 3.1.1":                        {packet.V311, connectPacket(packet.V311, "u3", user("eve", "x")), packet.NotAuthorized},
		"not allowed in, 5.0":                          {packet.V5, connectPacket(packet.V5, "u4", user("eve", "x")), packet.NotAuthorized},
		"nobody decides, 3.1.1":                        {packet.V311, connectPacket(packet.V311, "u5", user("later", "x")), packet.RefusedUnavailable.Reason()},
		"nobody decides, 5.0":                          {packet.V5, connectPacket(packet.V5, "u6", user("later", "x")), packet.ServerUnavailable},
		"unknown authentication method (§4.12)": {packet.V5, connectPacket(packet.V5, "e5", func(p *packet.Connect) {
			p.Properties.AuthMethod = packet.Some("GS2-KRB5")
		}), packet.BadAuthMethod},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := w.dial(t, "tcp", tt.v)
			c.send(tt.p)
			ack := expect[*packet.Connack](c)
			if ack.Reason != tt.reason {
				t.Fatalf("CONNACK %s, want %s", ack.Reason, tt.reason)
			}
			if tt.reason == packet.Success {
				c.quiet()
			} else {
				c.expectClosed() // MQTT-3.2.2-7
			}
		})
	}
}

func bridge(p *packet.Connect) { p.Bridge = true }

// TestBrokenConnect: what cannot be read as a CONNECT gets an answer only if the peer began like an MQTT client (§4.8, §4.13).
func TestBrokenConnect(t *testing.T) {
	t.Parallel()
	w := start(t)
	for name, tt := range map[string]struct {
		bytes  string
		v      packet.Version
		reason packet.ReasonCode // Success: no answer
	}{
		"level 6":                      {"\x10\x0d\x00\x04MQTT\x06\x02\x00\x00\x00\x00\x00", packet.V5, packet.UnsupportedVersion},
		"level 2":                      {"\x10\x0c\x00\x04MQTT\x02\x02\x00\x00\x00\x00", packet.V311, packet.UnsupportedVersion},
		"MQIsdp with level 4":          {"\x10\x0e\x00\x06MQIsdp\x04\x02\x00\x00\x00\x00", packet.V31, packet.UnsupportedVersion},
		"another protocol":             {"\x10\x0c\x00\x04AMQP\x04\x02\x00\x00\x00\x00", packet.V311, packet.Success},
		"reserved flag, 5.0":           {"\x10\x0d\x00\x04MQTT\x05\x03\x00\x00\x00\x00\x00", packet.V5, packet.MalformedPacket},
		"reserved flag, 3.1.1":         {"\x10\x0c\x00\x04MQTT\x04\x03\x00\x00\x00\x00", packet.V311, packet.Success},
		"will QoS 3, 5.0":              {"\x10\x0d\x00\x04MQTT\x05\x1e\x00\x00\x00\x00\x00", packet.V5, packet.MalformedPacket},
		"session expiry twice, 5.0":    {"\x10\x17\x00\x04MQTT\x05\x02\x00\x00\x0a\x11\x00\x00\x00\x01\x11\x00\x00\x00\x01\x00\x00", packet.V5, packet.ProtocolError},
		"too large, 5.0":               {"\x10\x80\x80\x04\x00\x04MQTT\x05\x02\x00\x00", packet.V5, packet.PacketTooLarge},
		"too large, 3.1.1":             {"\x10\x80\x80\x04\x00\x04MQTT\x04\x02\x00\x00", packet.V311, packet.Success},
		"PUBLISH first (3.1.0-1)":      {"\x30\x03\x00\x01a", packet.V311, packet.Success},
		"PINGREQ first":                {"\xc0\x00", packet.V311, packet.Success},
		"HTTP":                         {"GET / HTTP/1.1\r\n\r\n", packet.V311, packet.Success},
		"type 0":                       {"\x00\x00", packet.V311, packet.Success},
		"length of five bytes (2.1.4)": {"\x10\xff\xff\xff\xff\x01", packet.V311, packet.Success},
		"huge PUBLISH first":           {"\x30\xff\xff\xff\x7f", packet.V311, packet.Success},
	} {
		for how, write := range map[string]func(c *client, b []byte){"": (*client).raw, ", byte by byte": (*client).drip} {
			t.Run(name+how, func(t *testing.T) {
				t.Parallel()
				c := w.dial(t, "tcp", tt.v)
				write(c, []byte(tt.bytes))
				if tt.reason != packet.Success {
					if ack := expect[*packet.Connack](c); ack.Reason != tt.reason {
						t.Errorf("CONNACK %s, want %s", ack.Reason, tt.reason)
					}
				}
				c.expectClosed()
			})
		}
	}
}

func TestCapabilities(t *testing.T) {
	t.Parallel()
	w := start(t, func(s *setup) {
		s.cfg.MaxPacketSize, s.cfg.ReceiveMaximum, s.cfg.TopicAliasMaximum = 5000, 7, 3
		s.cfg.MaxKeepAlive = time.Minute
		s.session.ExpiryInterval = time.Hour
	})
	c := w.dial(t, "tcp", packet.V5)
	c.send(connectPacket(packet.V5, "", func(p *packet.Connect) {
		p.KeepAlive = 600
		p.Properties.SessionExpiry = packet.Some[uint32](7200)
	}))
	p := expect[*packet.Connack](c).Properties
	if p.MaximumPacketSize.Value != 5000 || p.ReceiveMaximum.Value != 7 || p.TopicAliasMaximum.Value != 3 {
		t.Errorf("limits %+v", p)
	}
	if p.ServerKeepAlive.Value != 60 || p.SessionExpiry.Value != 3600 {
		t.Errorf("keep-alive %v, session expiry %v", p.ServerKeepAlive, p.SessionExpiry)
	}
	if !strings.HasPrefix(p.AssignedClientID.Value, "pando_") {
		t.Errorf("assigned client id %q", p.AssignedClientID.Value)
	}
	c = w.dial(t, "tcp", packet.V5)
	c.send(connectPacket(packet.V5, "known", func(p *packet.Connect) { p.KeepAlive = 60 }))
	p = expect[*packet.Connack](c).Properties
	if p.AssignedClientID.Present || p.ServerKeepAlive.Present || p.SessionExpiry.Present {
		t.Errorf("the answer repeats what the client asked for: %+v", p)
	}
}

func TestSecondConnect(t *testing.T) {
	t.Parallel()
	w := start(t)
	versions(t, func(t *testing.T, v packet.Version) {
		c := w.connect(t, v, "twice"+v.String())
		c.send(connectPacket(v, "twice"+v.String()))
		c.expectEnd(packet.ProtocolError)
	})
}

func TestIdleTimeout(t *testing.T) {
	t.Parallel()
	w := start(t, func(s *setup) { s.cfg.IdleTimeout = 50 * time.Millisecond })
	silent := w.dial(t, "tcp", packet.V5)
	slow := w.dial(t, "tcp", packet.V5)
	slow.raw([]byte("\x10\x0d\x00\x04MQ"))
	silent.expectClosed()
	slow.expectClosed()
	w.eventually(t, "counted", func() bool { return w.shutdowns("deadline") == 2 })
	connected := w.connect(t, packet.V5, "quick")
	w.eventually(t, "the timeout passed", func() bool { return time.Since(w.began) > 200*time.Millisecond })
	connected.quiet()
}

// TestPipelined: what follows CONNECT at once is handled after the CONNACK, in order (§3.1.4).
func TestPipelined(t *testing.T) {
	t.Parallel()
	w := start(t)
	versions(t, func(t *testing.T, v packet.Version) {
		topic := "pipelined/" + v.String()
		for name, write := range map[string]func(c *client, b []byte){
			"in one piece": (*client).raw,
			"byte by byte": (*client).drip,
		} {
			t.Run(name, func(t *testing.T) {
				c := w.dial(t, "tcp", v)
				write(c, c.encode(connectPacket(v, topic+name),
					&packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: topic, QoS: 1}}},
					message(0, 0, topic, "0"), message(1, 2, topic, "1"), &packet.Pingreq{}))
				expect[*packet.Connack](c)
				for answers := map[packet.Type]uint16{}; len(answers) < 3; {
					switch p := c.read().(type) {
					case *packet.Suback:
						answers[packet.TypeSuback] = p.ID
					case *packet.Ack:
						answers[p.Type] = p.ID
					case *packet.Pingresp:
						answers[packet.TypePingresp] = 0
					case *packet.Publish: // depends on when the subscription was in force
					default:
						t.Fatalf("%+v after %v", p, answers)
					}
				}
			})
		}
	})
}

func TestTakeOver(t *testing.T) {
	t.Parallel()
	w := start(t)
	versions(t, func(t *testing.T, v packet.Version) {
		first := w.connect(t, v, "same"+v.String())
		second := w.connect(t, v, "same"+v.String())
		first.expectEnd(packet.SessionTakenOver)
		second.quiet()
	})
}

func TestKickedByManagement(t *testing.T) {
	t.Parallel()
	w := start(t)
	versions(t, func(t *testing.T, v packet.Version) {
		c := w.connect(t, v, "kicked"+v.String())
		if err := w.edge.Kick(t.Context(), broker.DefaultTenant, "kicked"+v.String(), ""); err != nil {
			t.Fatal(err)
		}
		c.expectEnd(packet.AdministrativeAction)
	})
}

func TestKeepAlive(t *testing.T) {
	t.Parallel()
	w := start(t, func(s *setup) { s.cfg.KeepaliveBackoff = 0.1 })
	versions(t, func(t *testing.T, v packet.Version) {
		c := w.connect(t, v, "alive"+v.String(), func(p *packet.Connect) { p.KeepAlive = 1 })
		c.expectEnd(packet.KeepAliveTimeout)
	})
}

func TestShutdown(t *testing.T) {
	t.Parallel()
	w := start(t)
	var cs []*client
	for _, v := range []packet.Version{packet.V31, packet.V311, packet.V5} {
		cs = append(cs, w.connect(t, v, "open"+v.String()))
	}
	silent := w.dial(t, "tcp", packet.V5)
	if err := w.gw.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, c := range cs {
		c.expectEnd(packet.ServerShuttingDown)
	}
	silent.expectClosed()
	if w.gw.Serving() {
		t.Error("still serving")
	}
}

func TestDisconnect(t *testing.T) {
	t.Parallel()
	w := start(t)
	watcher := w.connect(t, packet.V5, "watcher")
	watcher.subscribe(1, "will/#")
	will := func(p *packet.Connect) {
		p.Will = &packet.Will{Topic: "will/" + p.ClientID, Payload: []byte("gone"), QoS: 1}
	}
	versions := []packet.Version{packet.V31, packet.V311, packet.V5}
	for _, v := range versions {
		c := w.connect(t, v, "polite"+v.String(), will)
		c.send(&packet.Disconnect{})
		c.expectClosed()
	}
	watcher.quiet() // MQTT-3.14.4-3: no will after a normal DISCONNECT
	for _, v := range versions {
		c := w.connect(t, v, "lost"+v.String(), will)
		_ = c.nc.Close()
		watcher.expectMessage("will/lost"+v.String(), "gone")
	}
	c := w.connect(t, packet.V5, "asks", will)
	c.send(&packet.Disconnect{Reason: packet.DisconnectWithWill})
	watcher.expectMessage("will/asks", "gone")
	c.expectClosed()
}

func TestDisconnectMayNotRaiseExpiryFromZero(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect(t, packet.V5, "zero")
	c.send(&packet.Disconnect{Properties: packet.Properties{SessionExpiry: packet.Some[uint32](10)}})
	c.expectEnd(packet.ProtocolError) // MQTT-3.14.2-2
}

// TestWillProperties: what a will says travels like the properties of a PUBLISH (§3.1.3.2).
func TestWillProperties(t *testing.T) {
	t.Parallel()
	w := start(t)
	watcher := w.connect(t, packet.V5, "watcher")
	watcher.subscribe(1, "will")
	c := w.connect(t, packet.V5, "dies", func(p *packet.Connect) {
		p.Will = &packet.Will{Topic: "will", Payload: []byte("x"), QoS: 1, Properties: packet.Properties{
			ContentType: packet.Some("text/plain"), User: []packet.UserProperty{{Name: "k", Value: "v"}},
		}}
	})
	c.send(message(0, 0, "noise", strings.Repeat("z", 500))) // into the buffer where the will was
	c.quiet()
	_ = c.nc.Close()
	p := watcher.expectMessage("will", "x").Properties
	if p.ContentType.Value != "text/plain" || len(p.User) != 1 || p.User[0] != (packet.UserProperty{Name: "k", Value: "v"}) {
		t.Errorf("%+v", p)
	}
}

// TestEndBeforeConnack: a CONNECT that nobody answers is refused in time, or when the process stops; what follows it is not read meanwhile.
func TestEndBeforeConnack(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		patience time.Duration
		stop     bool
	}{
		"nobody answers": {100 * time.Millisecond, false},
		"shutdown":       {time.Minute, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, func(s *setup) { s.cfg.IdleTimeout = tt.patience })
			release := w.backend.Auth.Stall()
			defer release()
			c := w.dial(t, "tcp", packet.V5)
			c.send(connectPacket(packet.V5, "waits", func(p *packet.Connect) {
				p.Will = &packet.Will{Topic: "will", Payload: []byte("x")} // needs a decision
			}), &packet.Pingreq{})
			if tt.stop {
				w.eventually(t, "asked", func() bool { return len(w.backend.Auth.Questions()) == 1 })
				if err := w.gw.Stop(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if ack := expect[*packet.Connack](c); ack.Reason != packet.ServerUnavailable {
				t.Errorf("CONNACK %s", ack.Reason)
			}
			c.expectClosed()
		})
	}
}

// TestFence: a gateway that lost its lease ends its connections; the clients may come back at once.
func TestFence(t *testing.T) {
	t.Parallel()
	w := start(t)
	c, old := w.connect(t, packet.V5, "new"), w.connect(t, packet.V311, "old")
	w.edge.Fence()
	c.expectEnd(packet.ServerBusy)
	old.expectClosed()
}

func TestSessionPresent(t *testing.T) {
	t.Parallel()
	w := start(t)
	keep := func(p *packet.Connect) {
		p.CleanStart = false
		if p.Version == packet.V5 {
			p.Properties.SessionExpiry = packet.Some[uint32](100)
		}
	}
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			id := "back" + v.String()
			for i, want := range []bool{false, true} {
				c := w.dial(t, "tcp", v)
				c.send(connectPacket(v, id, keep))
				if ack := expect[*packet.Connack](c); ack.SessionPresent != want {
					t.Errorf("connection %d: session present %v", i, ack.SessionPresent)
				}
				c.send(&packet.Disconnect{})
				c.expectClosed()
			}
		})
	}
}

func TestAuthPacket(t *testing.T) {
	t.Parallel()
	c := start(t).connect(t, packet.V5, "auth")
	c.send(&packet.Auth{Reason: packet.ReAuthenticate, Properties: packet.Properties{AuthMethod: packet.Some("X")}})
	c.expectEnd(packet.ProtocolError)
}

func TestMaxClientsIsTheListeners(t *testing.T) {
	t.Parallel()
	w := start(t, func(s *setup) { s.listener("tcp", func(l *gatewaymqtt.ListenerConfig) { l.MaxClients = 1 }) })
	c := w.connect(t, packet.V311, "only")
	w.dial(t, "tcp", packet.V311).expectClosed() // it says nothing
	c.quiet()
	if n := w.shutdowns("max_clients"); n != 1 {
		t.Errorf("%d counted", n)
	}
}
