package edge_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/edge"
	"github.com/pando-mq/pando/services/edge/edgetest"
	"github.com/pando-mq/pando/services/hook"
)

func TestConnectAccepted(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e := b.Edge(t, func(c *edge.Config, _ *edge.Deps) {
		c.Session.ExpiryInterval, c.MaxKeepAlive = time.Hour, time.Minute
	})
	b.Auth.Deny(broker.ActionPublish, "denied/will")
	will := func(r edge.ConnectRequest, topic string) edge.ConnectRequest {
		r.Will = &broker.Will{Msg: &broker.Message{Topic: topic}}
		return r
	}
	keep := func(r edge.ConnectRequest, d time.Duration) edge.ConnectRequest {
		r.KeepAlive = d
		return r
	}
	tests := []struct {
		name  string
		req   edge.ConnectRequest
		check func(edge.ConnectResult) bool
	}{
		{"clean", edgetest.Clean("a"), func(r edge.ConnectResult) bool {
			return r.Expiry == 0 && !r.SessionPresent && !r.Assigned && r.Identity.ClientID == "a"
		}},
		{"assigned id", edgetest.Clean(""), func(r edge.ConnectResult) bool { return r.Assigned && strings.HasPrefix(r.Identity.ClientID, "pando_") }},
		{"expiry is capped", edgetest.Persistent("b"), func(r edge.ConnectResult) bool { return r.Expiry == time.Hour }},
		{"keep-alive below the limit", keep(edgetest.Clean("c"), 30*time.Second), func(r edge.ConnectResult) bool { return r.KeepAlive == 30*time.Second }},
		{"keep-alive above the limit", keep(edgetest.Clean("d"), time.Hour), func(r edge.ConnectResult) bool { return r.KeepAlive == time.Minute }},
		{"no keep-alive", edgetest.Clean("e"), func(r edge.ConnectResult) bool { return r.KeepAlive == time.Minute }},
		{"will", will(edgetest.Clean("f"), "ok"), func(r edge.ConnectResult) bool { return !r.WillDenied }},
		{"denied will", will(edgetest.Clean("g"), "denied/will"), func(r edge.ConnectResult) bool { return r.WillDenied }},
	}
	for _, tt := range tests {
		d := edgetest.NewDevice()
		r := d.Connect(e, tt.req)
		if r.Err != nil || !tt.check(r) {
			t.Errorf("%s: %+v", tt.name, r)
		}
		d.Close()
	}
	for _, r := range b.Sessions.Requests(broker.OpAttach) {
		if id := r.Attach.Identity.ClientID; (r.Attach.Will != nil) != (id == "f") {
			t.Errorf("attach of %q: will %v", id, r.Attach.Will)
		}
	}
}

func TestConnectRefused(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	var kinds []broker.Kind
	chains := &hook.Chains{}
	err := chains.ClientConnected.Add(hook.Hook[hook.Connected, hook.None]{Name: "record", Refuse: true, Run: func(c hook.Connected, _ hook.None) (hook.None, hook.Verdict) {
		if c.Client.ClientID == "hook" {
			panic("as the test wants")
		}
		if c.Err != nil {
			kinds = append(kinds, broker.KindOf(c.Err))
		}
		return hook.None{}, hook.OK
	}})
	if err != nil {
		t.Fatal(err)
	}
	e := b.Edge(t, func(c *edge.Config, d *edge.Deps) {
		c.MaxClientIDLen, c.MaxConnections, d.Hooks = 20, 2, chains
	})
	b.Auth.Refuse("bad")
	mounted := func(id, user, mount string) edge.ConnectRequest {
		r := edgetest.Clean(id)
		r.Credentials.Username, r.Mountpoint = user, mount
		return r
	}
	will := func(topic string, qos broker.QoS) edge.ConnectRequest {
		r := edgetest.Clean("w")
		r.Will = &broker.Will{Msg: &broker.Message{Topic: topic, QoS: qos}}
		return r
	}
	tests := []struct {
		name string
		req  edge.ConnectRequest
		want broker.Kind
	}{
		{"credentials", edgetest.Clean("bad"), broker.KindUnauthenticated},
		{"long client id", edgetest.Clean(strings.Repeat("x", 21)), broker.KindInvalid},
		{"wildcard in mount point", mounted("+", "", "dev/%c/"), broker.KindDenied},
		{"slash in mount point", mounted("a/b", "", "dev/%c/"), broker.KindDenied},
		{"prefix in mount point", mounted("$share", "", "%c/"), broker.KindDenied},
		{"no user name for mount point", mounted("a", "", "%u/"), broker.KindDenied},
		{"placeholder in placeholder", mounted("%u", "u", "%c/"), broker.KindDenied},
		{"bad mount point", mounted("a", "", "x/#/"), broker.KindInvalid},
		{"will with wildcard", will("a/#", 0), broker.KindInvalid},
		{"will with QoS 3", will("a", 3), broker.KindInvalid},
		{"hook", edgetest.Clean("hook"), broker.KindUnavailable},
	}
	want := []broker.Kind{}
	for _, tt := range tests {
		d := edgetest.NewDevice()
		r := d.Connect(e, tt.req)
		if r.Err == nil || broker.KindOf(r.Err) != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, r.Err, tt.want)
		}
		d.Close()
		if tt.name != "hook" {
			want = append(want, tt.want)
		}
	}
	if fmt.Sprint(kinds) != fmt.Sprint(want) {
		t.Errorf("client.connected saw %v, want %v", kinds, want)
	}
	if b.Sessions.Attached("", "hook") {
		eventually(t, "detached", func() bool { return !b.Sessions.Attached("", "hook") })
	}
	b.Connect(t, e, edgetest.Clean("1"))
	b.Connect(t, e, edgetest.Clean("2"))
	third := edgetest.NewDevice()
	defer third.Close()
	if r := third.Connect(e, edgetest.Clean("3")); r.Err == nil || broker.KindOf(r.Err) != broker.KindQuota {
		t.Errorf("third connection: %v", r.Err)
	}
}

func TestConnectWhenAuthFails(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e := b.Edge(t, nil)
	b.Auth.Fail(fmt.Errorf("connection reset"))
	d := edgetest.NewDevice()
	defer d.Close()
	if r := d.Connect(e, edgetest.Clean("c")); r.Err == nil || broker.KindOf(r.Err) != broker.KindUnavailable {
		t.Fatalf("%v", r.Err)
	}
}

func TestConnectAbandoned(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e := b.Edge(t, nil)
	b.Sessions.Mute(broker.OpAttach, true)
	d := edgetest.NewDevice()
	req := edgetest.Clean("c")
	req.Will = &broker.Will{Msg: &broker.Message{Topic: "will"}}
	result := d.Start(e, req)
	eventually(t, "attach", func() bool { return len(b.Sessions.Requests(broker.OpAttach)) == 1 })
	d.Close()
	b.Sessions.Mute(broker.OpAttach, false)
	b.Sessions.Break() // the answer that was lost is asked for again
	eventually(t, "detach", func() bool { return len(b.Sessions.Requests(broker.OpDetach)) > 0 })
	if r := b.Sessions.Requests(broker.OpDetach)[0]; !r.Detach.DropWill {
		t.Errorf("will of a connection without CONNACK is kept: %+v", r.Detach)
	}
	pending(t, result)
	if len(b.Router.Seen()) != 0 {
		t.Error("the will was published")
	}
}

func TestConnectDelay(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e := b.Edge(t, nil)
	b.Sessions.DelayAttach(50 * time.Millisecond)
	start := time.Now()
	b.Connect(t, e, edgetest.Clean("c"))
	if took := time.Since(start); took < 50*time.Millisecond {
		t.Fatalf("connected after %v", took)
	}
}

func TestWill(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		end  func(*edgetest.Device)
		deny bool // the rules change while the client is connected
		want bool
	}{
		{"network broken", (*edgetest.Device).Close, false, true},
		{"disconnect", func(d *edgetest.Device) { d.Disconnect(edge.Disconnect{DropWill: true}) }, false, false},
		{"disconnect with will", func(d *edgetest.Device) { d.Disconnect(edge.Disconnect{}) }, false, true},
		{"denied meanwhile", (*edgetest.Device).Close, true, false},
	}
	for _, req := range []edge.ConnectRequest{edgetest.Clean("c"), edgetest.Persistent("c")} {
		for _, tt := range tests {
			t.Run(fmt.Sprintf("%s %v", tt.name, req.CleanStart), func(t *testing.T) {
				t.Parallel()
				b := edgetest.New(t)
				e := b.Edge(t, nil)
				req := req
				req.Mountpoint = "m/"
				req.Will = &broker.Will{Msg: &broker.Message{Topic: "will", Payload: []byte("gone"), QoS: 1}}
				watcher := b.Connect(t, e, edgetest.Clean("watcher"))
				granted(t, watcher.Subscribe(1, "#"))
				d := b.Connect(t, e, req)
				if tt.deny {
					asked := len(b.Auth.Questions())
					b.Auth.Deny(broker.ActionPublish, "will")
					eventually(t, "decided again", func() bool { return len(b.Auth.Questions()) >= asked+2 })
					d.Do(func(*edge.Conn) {})
				}
				tt.end(d)
				eventually(t, "detach", func() bool { return len(b.Sessions.Requests(broker.OpDetach)) == 1 })
				other := b.Connect(t, e, edgetest.Clean("other"))
				receive(t, other.Publish("end", "", 1, 1))
				if tt.want {
					got := watcher.WaitGot(2)
					if len(got) != 2 || texts(got)[0] != "m/will=gone" && texts(got)[1] != "m/will=gone" {
						t.Fatalf("got %v", texts(got))
					}
					return
				}
				wantGot(t, watcher, "end=")
			})
		}
	}
}

func TestConnectWithoutASessionPartition(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := edgetest.New(t)
		e := b.Edge(t, nil)
		b.Sessions.Mute(broker.OpAttach, true)
		d := edgetest.NewDevice()
		start := time.Now()
		if r := d.Connect(e, edgetest.Clean("c")); kindOf(t, r.Err) != broker.KindUnavailable || time.Since(start) > 30*time.Second {
			t.Fatalf("%v after %v", r.Err, time.Since(start))
		}
		d.Close()
		b.Sessions.Mute(broker.OpAttach, false)
		b.Sessions.Break() // now the answer comes
		time.Sleep(time.Second)
		synctest.Wait()
		if b.Sessions.Attached("", "c") {
			t.Fatal("still attached")
		}
		if err := e.Kick(t.Context(), "", "c", ""); kindOf(t, err) != broker.KindNotFound {
			t.Fatal("still listed")
		}
	})
}

func TestStopWhileConnecting(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e := b.Edge(t, nil)
	b.Sessions.DelayAttach(5 * time.Second)
	d := edgetest.NewDevice()
	defer d.Close()
	result := d.Start(e, edgetest.Clean("c"))
	eventually(t, "attached", func() bool { return b.Sessions.Attached("", "c") })
	stopped := make(chan error, 1)
	go func() { stopped <- e.Stop(t.Context()) }()
	if r := receive(t, result); kindOf(t, r.Err) != broker.KindUnavailable {
		t.Fatal(r.Err)
	}
	d.Close()
	if err := receive(t, stopped); err != nil {
		t.Fatal(err)
	}
	if b.Sessions.Attached("", "c") {
		t.Fatal("still attached")
	}
}
