package clustertest

import (
	"github.com/pando-mq/pando/services/cluster"
)

func leaseTests() []test {
	return []test{
		{"Valid turns false before the lease ends, and true again when etcd answers in time", testValid},
		{"Valid is false before Lost closes and the key goes", testLostOrder},
		{"after Lost Valid is false for ever and calls return ErrLost", testAfterLost},
		{"a lost member comes back with a new incarnation", testComeBack},
		{"keep-alives hold the membership beyond the lease's time to live", testKeepAlive},
	}
}

func testValid(e *env) {
	c := e.process(func(o *cluster.Options) { o.TTL, o.Margin = 3*ttl/2, ttl })
	m := e.register(c, cluster.Router, "r1")
	Pause(e, m)
	e.eventually("Valid turns false", func() bool { return !m.Valid() })
	e.open("Lost while the lease lives", m.Lost())
	if _, ok := e.sync(c, 0).ByIncarnation(m.Node().Incarnation); !ok {
		e.Error("the key went no later than Valid")
	}
	Resume(e, m)
	e.eventually("Valid turns true again", m.Valid)
	e.open("Lost", m.Lost())
}

func testLostOrder(e *env) {
	a, b := e.process(), e.process()
	m := e.register(a, cluster.Gateway, "g1")
	e.sync(b, m.Node().Incarnation)
	Pause(e, m)
	e.eventually("the key goes", func() bool {
		_, ok := b.View().ByIncarnation(m.Node().Incarnation)
		return !ok
	})
	if m.Valid() {
		e.Error("valid after the key went")
	}
	e.closed("Lost", m.Lost())
}

func testAfterLost(e *env) {
	m := e.register(e.process(), cluster.Router, "r1")
	Expire(e, m)
	e.closed("Lost", m.Lost())
	Resume(e, m)
	if m.Valid() {
		e.Error("valid after Lost")
	}
	if err := m.SetState(e.context(), "x"); !isLost(err) {
		e.Errorf("set state: %v", err)
	}
	if err := m.Host(e.context(), cluster.TopicSpace, NewLedger(e).Host("r1", cluster.TopicSpace)); !isLost(err) {
		e.Errorf("host: %v", err)
	}
	if err := m.Leave(e.context()); err != nil {
		e.Errorf("leave: %v", err)
	}
}

func testComeBack(e *env) {
	c := e.process()
	old := e.register(c, cluster.Gateway, "g1")
	Expire(e, old)
	m := e.register(c, cluster.Gateway, "g1")
	if m.Node().Incarnation <= old.Node().Incarnation {
		e.Errorf("incarnation %d after %d", m.Node().Incarnation, old.Node().Incarnation)
	}
	if !m.Valid() || old.Valid() {
		e.Errorf("new valid %v, old valid %v", m.Valid(), old.Valid())
	}
}

func testKeepAlive(e *env) {
	a, b := e.process(), e.process()
	m := e.register(a, cluster.Gateway, "g1")
	paused := e.register(b, cluster.Gateway, "g2")
	Pause(e, paused)
	e.closed("Lost of the paused one", paused.Lost())
	if !m.Valid() {
		e.Error("not valid after a lease's time to live")
	}
	e.open("Lost", m.Lost())
}
