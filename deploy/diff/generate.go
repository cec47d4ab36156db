package diff

import (
	"fmt"
	"math/rand/v2"
)

// generator makes one sequence.
type generator struct {
	*rand.Rand
	prefix  string // of all topics and client ids
	steps   []step
	clients [slots]client
	message int
	over    bool
}

// client is what the generator believes about a slot.
type client struct {
	open    bool
	version byte
	id      string
	held    bool
	bridge  bool
	nextID  uint16
	kept    []uint16 // QoS 2 packet ids that wait for PUBREL
	last    []byte   // the last PUBLISH of such an id
	aliased bool     // alias 1 was defined
	expires bool     // has a session expiry interval
}

// generate makes a sequence of a seed: the same one each time.
func generate(seed, number uint64) *sequence {
	return generateAs(seed, number, fmt.Sprintf("d%d-%d", seed, number))
}

// generateAs makes it with another prefix.
func generateAs(seed, number uint64, prefix string) *sequence {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, number)), prefix: prefix}
	g.observe()
	if g.systematic(number) {
		return &sequence{seed: seed, number: number, steps: g.steps}
	}
	for n := 6 + g.IntN(12); n > 0 && !g.over; n-- {
		g.act()
	}
	return &sequence{seed: seed, number: number, steps: g.steps}
}

func (g *generator) add(slot int, what action, name string, bytes []byte) {
	g.steps = append(g.steps, step{slot: slot, what: what, name: name, version: g.clients[slot].version, bytes: bytes})
}

// observe connects the observer.
func (g *generator) observe() {
	c := connect{version: v5, id: g.prefix + "-o", clean: true, keep: 600}
	g.clients[observer] = client{open: true, version: v5}
	g.add(observer, open, "observer", c.bytes())
	g.add(observer, send, "observe", subscribe(v5, 1, nil, filter{g.prefix + "/#", 1 | 0x08}))
}

// weighted is an action that comes about weight times as often as one of weight 1.
type weighted struct {
	weight int
	act    func(g *generator, slot int)
}

// acts is what an open connection may do.
var acts = []weighted{
	{22, (*generator).publish},
	{16, (*generator).subscribe},
	{5, (*generator).unsubscribe},
	{8, (*generator).pubrel},
	{4, (*generator).keep},
	{4, (*generator).repeat},
	{4, (*generator).strayAck},
	{4, (*generator).toggleHold},
	{6, (*generator).leave},
	{5, (*generator).cut},
	{6, (*generator).harm},
}

func (g *generator) act() {
	slot := 1 + g.IntN(slots-1)
	if !g.clients[slot].open {
		g.connect(slot)
		return
	}
	total := 0
	for _, w := range acts {
		total += w.weight
	}
	n := g.IntN(total)
	for _, w := range acts {
		if n -= w.weight; n < 0 {
			w.act(g, slot)
			return
		}
	}
}

// systematic makes the first sequences of each seed: every vector alone, in every version that it is for.
func (g *generator) systematic(number uint64) bool {
	n := int(number)
	if n < len(vectorsOfConnect) {
		v := &vectorsOfConnect[n]
		g.clients[1].version = v.version
		g.add(1, open, v.name, v.bytes(g.prefix))
		g.add(1, drop, "cut", nil)
		return true
	}
	n -= len(vectorsOfConnect)
	for i := range vectors {
		for _, version := range []byte{v31, v311, v5} {
			if !vectors[i].fits(version) {
				continue
			}
			if n--; n < 0 {
				g.alone(&vectors[i], version)
				return true
			}
		}
	}
	return false
}

// alone plays a vector in a connection of its own.
func (g *generator) alone(v *vector, version byte) {
	g.clients[1].version = version
	c := connect{version: version, id: g.prefix + "-1", clean: true, keep: 60}
	g.add(1, open, "CONNECT", c.bytes())
	g.add(1, send, v.name, v.bytes(g.prefix))
	g.add(1, drop, "cut", nil)
}

// one in n is true.
func (g *generator) one(n int) bool { return g.IntN(n) == 0 }

// pick chooses.
func pick[T any](g *generator, from ...T) T { return from[g.IntN(len(from))] }

func (g *generator) topic() string {
	return g.prefix + pick(g, "/a", "/a", "/a", "/b", "/a/b", "/a/b/c", "", "/", "//b", "/$x", "/\u00e9", "/\ufeffa", "/ a")
}

func (g *generator) filter() string {
	return g.prefix + pick(g, "/a", "/a", "/b", "/#", "/+", "/a/#", "/+/b", "/a/+", "/+/+/c", "", "/", "//b", "/+/#", "/\u00e9")
}

func (g *generator) payload() string {
	g.message++
	return fmt.Sprintf("m%d", g.message)
}

// packetID is one that the client does not use.
func (c *client) packetID() uint16 {
	c.nextID++
	return c.nextID
}

func (g *generator) connect(slot int) {
	c := client{open: true, version: pick[byte](g, v31, v311, v311, v5, v5, v5)}
	p := connect{version: c.version, id: g.prefix + "-" + pick(g, "a", "b", fmt.Sprint(slot)), clean: g.one(2), keep: pick[uint16](g, 0, 60, 600)}
	name := "CONNECT"
	if g.one(12) {
		p.id, name = "", "CONNECT without id"
	}
	if !p.clean {
		name += ", session"
	}
	c.id = p.id
	if g.one(3) {
		p.will = g.will(c.version)
		name += ", will"
	}
	if c.version == v5 {
		p.props = g.connectProps(&c)
	} else if g.one(20) {
		p.version, c.bridge = p.version|0x80, true
		name += ", bridge"
	}
	for i := range g.clients {
		if i != slot && c.id != "" && g.clients[i].id == c.id {
			g.clients[i] = client{version: g.clients[i].version}
		}
	}
	g.clients[slot] = c
	g.add(slot, open, name, p.bytes())
}

func (g *generator) will(version byte) *will {
	w := &will{topic: g.topic(), payload: "will of " + g.payload(), qos: byte(g.IntN(3)), retain: g.one(4)}
	if version == v5 {
		w.props = some(g, prop(0x18, u32(0)), prop(0x02, u32(1000)), prop(0x03, text("kind")), prop(0x26, text("k"), text("w")))
	}
	return w
}

// some takes each property with a chance of one in four.
func some(g *generator, props ...[]byte) [][]byte {
	var out [][]byte
	for _, p := range props {
		if g.one(4) {
			out = append(out, p)
		}
	}
	return out
}

func (g *generator) connectProps(c *client) [][]byte {
	out := some(g, prop(0x21, u16(pick[uint16](g, 1, 2, 10))), prop(0x22, u16(pick[uint16](g, 0, 3))), prop(0x27, u32(pick[uint32](g, 70, 1000))),
		prop(0x19, []byte{0}), prop(0x17, []byte{pick[byte](g, 0, 1)}), prop(0x26, text("k"), text("c")))
	if g.one(2) {
		c.expires = true
		out = append(out, prop(0x11, u32(pick[uint32](g, 1000, 1000, 100000))))
	}
	return out
}

func (g *generator) publish(slot int) {
	c := &g.clients[slot]
	p := publish{topic: g.topic(), payload: g.payload(), qos: byte(g.IntN(3)), retain: g.one(4)}
	if p.retain && p.qos == 0 {
		p.qos = 1 // QoS 0 is not acknowledged, so nobody knows when it is retained
	}
	name := fmt.Sprintf("PUBLISH QoS %d", p.qos)
	if p.retain {
		name += ", retain"
		if g.one(4) {
			p.payload, name = "", name+", empty"
		}
	}
	if p.qos > 0 {
		p.id = c.packetID()
	}
	if c.version == v5 {
		p.props = some(g, prop(0x01, []byte{1}), prop(0x02, u32(1000)), prop(0x03, text("type")), prop(0x08, text(g.prefix+"/reply")),
			prop(0x09, text("data")), join(prop(0x26, text("k"), text("v")), prop(0x26, text("k"), text(""))))
		name = g.alias(c, &p, name)
	}
	b := p.bytes(c.version)
	if p.qos == 2 && g.one(6) {
		p.dup, name = true, name+", twice"
		b = append(b, p.bytes(c.version)...)
	}
	g.add(slot, send, name, b)
}

// keep sends a PUBLISH of QoS 2 that is not released by itself. Nobody subscribes to its topic: servers may route it at PUBLISH or at PUBREL (MQTT 5.0
// §4.3.3), so that what else happens in between would differ.
func (g *generator) keep(slot int) {
	c := &g.clients[slot]
	p := publish{topic: "x/" + g.prefix, payload: g.payload(), qos: 2}
	p.id = manual + uint16(g.message) // a session may still know those of earlier connections
	g.add(slot, send, "PUBLISH QoS 2, kept", p.bytes(c.version))
	p.dup = true
	c.last = p.bytes(c.version)
	c.kept = append(c.kept, p.id)
}

// alias may use topic alias 1.
func (g *generator) alias(c *client, p *publish, name string) string {
	if !g.one(5) {
		return name
	}
	if c.aliased && g.one(2) {
		p.topic, name = "", name+", by alias"
	} else {
		c.aliased, name = true, name+", sets alias"
	}
	p.props = append(p.props, prop(0x23, u16(1)))
	return name
}

func (g *generator) pubrel(slot int) {
	c := &g.clients[slot]
	if len(c.kept) == 0 {
		return
	}
	i := g.IntN(len(c.kept))
	g.add(slot, send, "PUBREL", ack(firstPubrel, c.kept[i]))
	c.kept = append(c.kept[:i], c.kept[i+1:]...)
	c.last = nil
}

// repeat sends a PUBLISH of QoS 2 again that is not released, once: mosquitto ends a connection that does so more often (MQTT-4.4.0-1).
func (g *generator) repeat(slot int) {
	c := &g.clients[slot]
	if c.last != nil {
		g.add(slot, send, "PUBLISH QoS 2 again", c.last)
		c.last = nil
	}
}

// strayAck acknowledges what nobody sent.
func (g *generator) strayAck(slot int) {
	first := pick[byte](g, firstPuback, firstPubrec, firstPubrel, firstPubcomp)
	name := map[byte]string{firstPuback: "PUBACK", firstPubrec: "PUBREC", firstPubrel: "PUBREL", firstPubcomp: "PUBCOMP"}[first]
	g.add(slot, send, "stray "+name, ack(first, 999))
}

func (g *generator) subscribe(slot int) {
	c := &g.clients[slot]
	if g.one(6) {
		g.share(slot)
		return
	}
	var props [][]byte
	if c.version == v5 {
		props = some(g, join([]byte{0x0b}, []byte{byte(1 + g.IntN(100))}), prop(0x26, text("k"), text("s")))
	}
	name := "SUBSCRIBE"
	var filters []filter
	for range 1 + g.IntN(3)/2 {
		f := filter{g.filter(), byte(g.IntN(3))}
		if c.version == v5 {
			f.options |= pick[byte](g, 0, 0, 0x08) | pick[byte](g, 0, 0, 0x10, 0x20)
			if len(f.text)%3 == 0 { // always for the same filters: mosquitto does not take it back when a subscription is made again
				f.options |= 0x04
			}
		}
		if f.options&0x04 != 0 || c.bridge {
			name = "SUBSCRIBE, no local"
		}
		if len(filters) == 0 || filters[0].text != f.text { // for a filter given twice servers may send retained messages once or twice
			filters = append(filters, f)
		}
	}
	g.add(slot, send, name, subscribe(c.version, c.packetID(), props, filters...))
}

// share makes a shared subscription. Only one client of a sequence does, and by one filter: who else would get a message is the server's choice.
func (g *generator) share(slot int) {
	c := &g.clients[slot]
	if slot != 1 {
		return
	}
	g.add(slot, send, "SUBSCRIBE, shared", subscribe(c.version, c.packetID(), nil, filter{"$share/g/" + g.prefix + "/a", byte(g.IntN(3))}))
}

func (g *generator) unsubscribe(slot int) {
	c := &g.clients[slot]
	g.add(slot, send, "UNSUBSCRIBE", unsubscribe(c.version, c.packetID(), g.filter()))
}

func (g *generator) toggleHold(slot int) {
	c := &g.clients[slot]
	if c.held = !c.held; c.held {
		g.add(slot, hold, "hold", nil)
	} else {
		g.add(slot, letGo, "let go", nil)
	}
}

// leave sends DISCONNECT.
func (g *generator) leave(slot int) {
	c := &g.clients[slot]
	name, b := "DISCONNECT", frame(firstDisconnect)
	if c.version == v5 {
		switch g.IntN(4) {
		case 0:
			name, b = "DISCONNECT with will", frame(firstDisconnect, []byte{0x04}, block(v5))
		case 1:
			name, b = "DISCONNECT, expiry 0", frame(firstDisconnect, []byte{0}, block(v5, prop(0x11, u32(0))))
		case 2:
			name, b = "DISCONNECT, expiry 1000", frame(firstDisconnect, []byte{0}, block(v5, prop(0x11, u32(1000))))
			if !c.expires {
				name += " after none"
			}
		}
	}
	g.add(slot, send, name, b)
	g.gone(slot)
}

// cut closes the socket, in the middle of a packet sometimes.
func (g *generator) cut(slot int) {
	c := &g.clients[slot]
	if !g.one(3) {
		g.add(slot, drop, "cut", nil)
	} else {
		b := (&publish{topic: g.topic(), payload: g.payload(), qos: byte(g.IntN(3)), id: 77}).bytes(c.version)
		g.add(slot, drop, "cut within PUBLISH", b[:1+g.IntN(len(b)-1)])
	}
	g.gone(slot)
}

// gone forgets a connection.
func (g *generator) gone(slot int) { g.clients[slot] = client{version: g.clients[slot].version} }

// harm sends what breaks the protocol, within a connection or instead of one, and what is left of the connection is cut.
func (g *generator) harm(slot int) {
	c := &g.clients[slot]
	if g.one(3) {
		g.add(slot, drop, "cut", nil)
		v := pick(g, vectorsOfConnect...)
		c.version = v.version
		g.add(slot, open, v.name, v.bytes(g.prefix))
	} else {
		v := pick(g, vectors...)
		for !v.fits(c.version) {
			v = pick(g, vectors...)
		}
		g.add(slot, send, v.name, v.bytes(g.prefix))
		g.over = v.name == second // mosquitto forgets the session for that
	}
	g.add(slot, drop, "cut", nil)
	g.gone(slot)
}
