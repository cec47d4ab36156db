package edge_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/edge"
	"github.com/pando-mq/pando/services/edge/edgetest"
	"github.com/pando-mq/pando/services/scram"
)

// prover is a device that authenticates by SCRAM.
type prover struct {
	*edgetest.Device
	client     *scram.Client
	challenges chan []byte
}

// begin starts to connect; a client that waits for the server to begin says nothing yet.
func begin(t *testing.T, e *edge.Edge, id, password string, silent bool) (*prover, <-chan edge.ConnectResult) {
	t.Helper()
	p := &prover{Device: edgetest.NewDevice(), client: scram.NewClient(scram.SHA256, "ann", password), challenges: make(chan []byte, 8)}
	t.Cleanup(p.Close)
	req := edgetest.Clean(id)
	req.AuthMethod, req.Challenge = scram.SHA256, func(b []byte) { p.challenges <- b }
	if !silent {
		req.AuthData = p.client.First()
	}
	return p, p.Start(e, req)
}

// answer gives the last message of the client to a challenge.
func (p *prover) answer(t *testing.T) {
	t.Helper()
	last, err := p.client.Last(receive(t, p.challenges))
	if err != nil {
		t.Fatal(err)
	}
	p.Do(func(c *edge.Conn) { c.AuthContinue(last) })
}

func TestExchange(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e := b.Edge(t, nil)
	b.Auth.PutSCRAM("ann", "pencil")
	for name, silent := range map[string]bool{"client first": false, "server first": true} {
		t.Run(name, func(t *testing.T) {
			p, result := begin(t, e, name, "pencil", silent)
			if silent {
				if got := receive(t, p.challenges); len(got) != 0 {
					t.Fatalf("the server begins with %q", got)
				}
				p.Do(func(c *edge.Conn) { c.AuthContinue(p.client.First()) })
			}
			p.answer(t)
			r := receive(t, result)
			if r.Err != nil || r.Identity.Username != "ann" {
				t.Fatalf("result %+v", r)
			}
			if err := p.client.Verify(r.AuthData); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestExchangeRefuses(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e := b.Edge(t, nil)
	b.Auth.PutSCRAM("ann", "pencil")
	p, result := begin(t, e, "wrong", "pen", false)
	p.answer(t)
	if r := receive(t, result); r.Err == nil || broker.KindOf(r.Err) != broker.KindUnauthenticated {
		t.Errorf("a wrong proof is %v", r.Err)
	}
	unknown := edgetest.Clean("unknown")
	unknown.AuthMethod, unknown.Challenge = "GS2-KRB5", func([]byte) {}
	d := edgetest.NewDevice()
	t.Cleanup(d.Close)
	if r := d.Connect(e, unknown); r.Err == nil || broker.KindOf(r.Err) != broker.KindNotFound {
		t.Errorf("an unknown method is %v", r.Err)
	}
	endless, result := begin(t, e, "endless", "pencil", true)
	for range 3 {
		receive(t, endless.challenges)
		endless.Do(func(c *edge.Conn) { c.AuthContinue(nil) })
	}
	receive(t, endless.challenges)
	endless.Do(func(c *edge.Conn) { c.AuthContinue(nil) })
	if r := receive(t, result); r.Err == nil || broker.KindOf(r.Err) != broker.KindUnauthenticated {
		t.Errorf("five steps are %v", r.Err)
	}
}

// TestExchangeAbandoned ends connections at every point of an exchange: nothing of them stays, or the edge would not stop.
func TestExchangeAbandoned(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e := b.Edge(t, nil)
	b.Auth.PutSCRAM("ann", "pencil")
	p, _ := begin(t, e, "while the device is asked", "pencil", false)
	receive(t, p.challenges)
	p.Close()
	p, _ = begin(t, e, "said goodbye while it was asked", "pencil", false)
	receive(t, p.challenges)
	p.Disconnect(edge.Disconnect{})
	release := b.Auth.StallExchange()
	p, _ = begin(t, e, "while authsvc is asked", "pencil", false)
	eventually(t, "authsvc is asked", func() bool { return b.Auth.Asked() == 3 })
	p.Close()
	other, _ := begin(t, e, "said goodbye while authsvc was asked", "pencil", false)
	eventually(t, "authsvc is asked", func() bool { return b.Auth.Asked() == 4 })
	other.Do(func(c *edge.Conn) { c.Disconnect(edge.Disconnect{}) })
	release()
	eventually(t, "the last step is taken", func() bool { return b.Auth.Exchanged() == 4 })
	other.Close()
	if err := e.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

// heldAuth is an authsvc that answers when the gate opens, and no earlier.
type heldAuth struct {
	*edgetest.Auth
	gate chan struct{}
}

// Exchange implements broker.Auth.
func (h heldAuth) Exchange(_ context.Context, s *broker.AuthStep) (*broker.AuthAnswer, error) {
	<-h.gate
	return h.Auth.Exchange(context.Background(), s)
}

// TestConnectsThatWaitTooLong: a CONNECT that finds no worker within auth.timeout is refused as busy without being asked for, and so is one whose device is
// gone: what a flood leaves behind costs nothing.
func TestConnectsThatWaitTooLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := edgetest.New(t)
		h := heldAuth{b.Auth, make(chan struct{})}
		e := b.Edge(t, func(c *edge.Config, d *edge.Deps) {
			c.Auth.Workers, c.Auth.Timeout = 1, time.Second
			d.Auth = h
		})
		b.Auth.PutSCRAM("ann", "pencil")
		first, _ := begin(t, e, "has the worker", "pencil", false)
		synctest.Wait()
		_, late := begin(t, e, "waits", "pencil", false)
		time.Sleep(1500 * time.Millisecond)
		gone, _ := begin(t, e, "leaves", "pencil", false)
		gone.Close()
		synctest.Wait()
		close(h.gate)
		if r := receive(t, late); broker.KindOf(r.Err) != broker.KindBusy {
			t.Errorf("%v, want busy", r.Err)
		}
		receive(t, first.challenges)
		synctest.Wait()
		if n := b.Auth.Asked(); n != 1 {
			t.Errorf("authsvc was asked %d times", n)
		}
		first.Close()
	})
}

func TestReauthenticate(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e := b.Edge(t, nil)
	b.Auth.PutSCRAM("ann", "pencil")
	b.Auth.PutSCRAM("bob", "pencil")
	p, result := begin(t, e, "again", "pencil", false)
	p.answer(t)
	if r := receive(t, result); r.Err != nil {
		t.Fatal(r.Err)
	}
	type outcome struct {
		data []byte
		err  error
	}
	again := func(client *scram.Client) outcome {
		p.client = client
		done := make(chan outcome, 1)
		p.Do(func(c *edge.Conn) {
			c.Reauthenticate(client.First(), func(b []byte, err error) { done <- outcome{b, err} })
		})
		p.answer(t)
		return receive(t, done)
	}
	for range 2 {
		client := scram.NewClient(scram.SHA256, "ann", "pencil")
		if o := again(client); o.err != nil || client.Verify(o.data) != nil {
			t.Errorf("%q, %v", o.data, o.err)
		}
	}
	if o := again(scram.NewClient(scram.SHA256, "bob", "pencil")); o.err == nil || broker.KindOf(o.err) != broker.KindDenied {
		t.Errorf("somebody else is %v", o.err)
	}
	if o := again(scram.NewClient(scram.SHA256, "ann", "pen")); o.err == nil || broker.KindOf(o.err) != broker.KindUnauthenticated {
		t.Errorf("a wrong proof is %v", o.err)
	}
	var twice, plain error
	done := make(chan outcome, 1)
	p.Do(func(c *edge.Conn) {
		c.Reauthenticate(p.client.First(), func(b []byte, err error) { done <- outcome{b, err} })
		c.Reauthenticate(nil, func(_ []byte, err error) { twice = err })
	})
	d := b.Connect(t, e, edgetest.Clean("plain"))
	d.Do(func(c *edge.Conn) { c.Reauthenticate(nil, func(_ []byte, err error) { plain = err }) })
	if kindOf(t, twice) != broker.KindInvalid || kindOf(t, plain) != broker.KindInvalid {
		t.Errorf("twice at once is %v, without a method %v", twice, plain)
	}
	receive(t, p.challenges)
}
