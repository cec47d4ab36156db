package acl

import (
	"net/netip"
	"strings"
)

// Effect is what a decision says. Its zero value is [Deny].
type Effect uint8

// The three answers of an access control source (§6.1).
const (
	Deny   Effect = iota // refuse
	Allow                // grant
	Ignore               // no rule matched: ask the next source
)

// String returns the word used in rule files and by the command line.
func (e Effect) String() string {
	switch e {
	case Allow:
		return "allow"
	case Ignore:
		return "ignore"
	default:
		return "deny"
	}
}

// Action is what a client wants to do, as a bit mask with the values that the
// access column of the seed's tables has (§6.8).
type Action uint8

// The actions; a rule for [PubSub] covers both, a request names one.
const (
	Subscribe Action = 1
	Publish   Action = 2
	PubSub    Action = 3
)

// String returns the word used in rule files.
func (a Action) String() string {
	switch a {
	case Subscribe:
		return "subscribe"
	case Publish:
		return "publish"
	case PubSub:
		return "pubsub"
	default:
		return "none"
	}
}

// whoKind tells the conditions on a client apart.
type whoKind uint8

const (
	whoAll whoKind = iota
	whoUserAll
	whoClientAll
	whoUser
	whoClient
	whoAddr
	whoAnd
	whoOr
)

// who is one condition on a client; and/or hold further ones, at most maxDepth deep.
type who struct {
	kind   whoKind
	name   string       // whoUser, whoClient
	prefix netip.Prefix // whoAddr, masked
	list   []who        // whoAnd, whoOr, never empty
}

// rule is one compiled line.
type rule struct {
	effect Effect
	access Action
	who    who
	topics []filter // nil: every topic, the form {allow, all}
	line   int      // line in the file, 1-based; for rows the row's number, 1-based
	text   string   // canonical source, one line
}

// parsePrefix reads an address or a CIDR block. Host bits are masked away as
// the seed does; a block of IPv4-mapped IPv6 addresses becomes its IPv4 block,
// because addresses of clients are compared unmapped.
func parsePrefix(s string) (netip.Prefix, bool) {
	var p netip.Prefix
	if strings.Contains(s, "/") {
		var err error
		if p, err = netip.ParsePrefix(s); err != nil {
			return netip.Prefix{}, false
		}
	} else {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, false
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return netip.Prefix{}, false
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), true
}

// matches reports whether the condition holds for the client of r, whose
// address is already unmapped and without a zone.
func (w *who) matches(r *Request) bool {
	switch w.kind {
	case whoAll, whoUserAll, whoClientAll:
		return true
	case whoUser:
		return r.Username == w.name
	case whoClient:
		return r.ClientID == w.name
	case whoAddr:
		return w.prefix.Contains(r.IP)
	case whoAnd:
		for i := range w.list {
			if !w.list[i].matches(r) {
				return false
			}
		}
		return true
	case whoOr:
		for i := range w.list {
			if w.list[i].matches(r) {
				return true
			}
		}
	}
	return false
}

// render writes the rule as one line of the grammar; parsing it again gives an
// equal rule.
func (r *rule) render() string {
	var b strings.Builder
	b.WriteString("{" + r.effect.String() + ", ")
	r.who.render(&b)
	if r.topics != nil {
		b.WriteString(", " + r.access.String() + ", [")
		for i := range r.topics {
			if i > 0 {
				b.WriteString(", ")
			}
			r.topics[i].render(&b)
		}
		b.WriteString("]")
	}
	b.WriteString("}.")
	return b.String()
}

func (w *who) render(b *strings.Builder) {
	switch w.kind {
	case whoAll:
		b.WriteString("all")
	case whoUserAll:
		b.WriteString("{user, all}")
	case whoClientAll:
		b.WriteString("{client, all}")
	case whoUser:
		renderPair(b, "user", w.name)
	case whoClient:
		renderPair(b, "client", w.name)
	case whoAddr:
		if w.prefix.IsSingleIP() {
			renderPair(b, "ipaddr", w.prefix.Addr().String())
		} else {
			renderPair(b, "ipaddr", w.prefix.String())
		}
	case whoAnd:
		renderList(b, "'and'", w.list)
	case whoOr:
		renderList(b, "'or'", w.list)
	}
}

func renderList(b *strings.Builder, op string, list []who) {
	b.WriteString("{" + op + ", [")
	for i := range list {
		if i > 0 {
			b.WriteString(", ")
		}
		list[i].render(b)
	}
	b.WriteString("]}")
}

func renderPair(b *strings.Builder, tag, value string) {
	b.WriteString("{" + tag + ", ")
	renderText(b, value)
	b.WriteString("}")
}

// renderText quotes s; the scanner admits no control characters into a text,
// so only the quote and the backslash need an escape.
func renderText(b *strings.Builder, s string) {
	b.WriteByte('"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	b.WriteByte('"')
}
