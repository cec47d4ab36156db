package acl

import "strings"

// Bounds on what a rule file may be, so that no file exhausts a stack or memory.
const (
	maxDepth = 16       // nested 'and' and 'or'
	maxRules = 1 << 20  // rules in a file
	maxFile  = 64 << 20 // bytes of a file
)

// Parse compiles the text of a rule file; name stands in its errors, which are
// of type [*SyntaxError]. A file without a single rule is an error.
func Parse(name string, src []byte) (*Rules, error) {
	p := &parser{scanner: scanner{file: name, src: string(src)}}
	if len(src) > maxFile {
		return nil, p.errorAt(0, "more than %d bytes", maxFile)
	}
	for _, mark := range []string{"\xef\xbb\xbf", "\xff\xfe", "\xfe\xff"} {
		if strings.HasPrefix(p.src, mark) {
			return nil, p.errorAt(0, "starts with a byte order mark: save it as UTF-8 without one")
		}
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	if p.tok.kind == tokenEnd {
		return nil, p.errorAt(p.tok.pos, "no rule in the file")
	}
	var list []rule
	for p.tok.kind != tokenEnd {
		r, err := p.rule()
		if err != nil {
			return nil, err
		}
		if list = append(list, r); len(list) > maxRules {
			return nil, p.errorAt(p.tok.pos, "more than %d rules", maxRules)
		}
	}
	return newRules(list), nil
}

// parser is a recursive descent over one token of look-ahead.
type parser struct {
	scanner
	tok token
}

func (p *parser) advance() (err error) {
	p.tok, err = p.next()
	return err
}

// unexpected is the error for the current token.
func (p *parser) unexpected(want string) error {
	return p.errorAt(p.tok.pos, "expected %s, found %s", want, p.tok)
}

// punct takes the punctuation c.
func (p *parser) punct(c string) error {
	if p.tok.kind != tokenPunct || p.tok.text != c {
		return p.unexpected("'" + c + "'")
	}
	return p.advance()
}

// word takes an atom and returns it.
func (p *parser) word(want string) (string, error) {
	if p.tok.kind != tokenAtom {
		return "", p.unexpected(want)
	}
	w := p.tok.text
	return w, p.advance()
}

// is reports whether the current token is the punctuation c.
func (p *parser) is(c string) bool { return p.tok.kind == tokenPunct && p.tok.text == c }

// rule reads one rule with its full stop.
func (p *parser) rule() (rule, error) {
	r := rule{access: PubSub, line: strings.Count(p.src[:p.tok.pos], "\n") + 1}
	if err := p.punct("{"); err != nil {
		return r, err
	}
	if err := p.effect(&r); err != nil {
		return r, err
	}
	if err := p.punct(","); err != nil {
		return r, err
	}
	var err error
	if r.who, err = p.who(0); err != nil {
		return r, err
	}
	if r.who.kind != whoAll || !p.is("}") {
		if err := p.accessAndTopics(&r); err != nil {
			return r, err
		}
	}
	if err := p.punct("}"); err != nil {
		return r, err
	}
	if p.tok.kind != tokenDot {
		return r, p.unexpected("'.'")
	}
	return r, p.advance()
}

func (p *parser) effect(r *rule) error {
	switch {
	case p.tok.kind == tokenAtom && p.tok.text == "allow":
		r.effect = Allow
	case p.tok.kind == tokenAtom && p.tok.text == "deny":
		r.effect = Deny
	default:
		return p.unexpected("allow or deny")
	}
	return p.advance()
}

// accessAndTopics reads ", access, [topics]".
func (p *parser) accessAndTopics(r *rule) error {
	if err := p.punct(","); err != nil {
		return err
	}
	pos := p.tok.pos
	word, err := p.word("subscribe, publish or pubsub")
	if err != nil {
		return err
	}
	switch word {
	case "subscribe":
		r.access = Subscribe
	case "publish":
		r.access = Publish
	case "pubsub":
		r.access = PubSub
	default:
		return p.errorAt(pos, "expected subscribe, publish or pubsub, found '%s'", word)
	}
	if err := p.punct(","); err != nil {
		return err
	}
	return p.list("topic", func() error {
		f, err := p.topic()
		r.topics = append(r.topics, f)
		return err
	})
}

// list reads "[item, item...]"; an empty one is an error, because it is a rule
// or a condition that says the opposite of what it looks like.
func (p *parser) list(of string, item func() error) error {
	if err := p.punct("["); err != nil {
		return err
	}
	if p.is("]") {
		return p.errorAt(p.tok.pos, "the list needs at least one %s", of)
	}
	for {
		if err := item(); err != nil {
			return err
		}
		if !p.is(",") {
			return p.punct("]")
		}
		if err := p.advance(); err != nil {
			return err
		}
	}
}

// text takes a string or a binary.
func (p *parser) text(want string) (string, error) {
	if p.tok.kind != tokenText && p.tok.kind != tokenBinary {
		return "", p.unexpected(want)
	}
	t := p.tok.text
	return t, p.advance()
}

func (p *parser) topic() (filter, error) {
	pos, compile := p.tok.pos, newFilter
	tagged := p.is("{")
	if tagged {
		if err := p.tag("eq"); err != nil {
			return filter{}, err
		}
		pos, compile = p.tok.pos, newEqual
	}
	t, err := p.text("a topic in double quotes")
	if err != nil {
		return filter{}, err
	}
	f, err := compile(t)
	if err != nil {
		return filter{}, p.errorAt(pos, "%s", err)
	}
	if tagged {
		err = p.punct("}")
	}
	return f, err
}

// tag takes "{ name ,".
func (p *parser) tag(name string) error {
	if err := p.punct("{"); err != nil {
		return err
	}
	if p.tok.kind != tokenAtom || p.tok.text != name {
		return p.unexpected("'" + name + "'")
	}
	if err := p.advance(); err != nil {
		return err
	}
	return p.punct(",")
}

const wantWho = "all or a condition such as {user, \"name\"}"

// who reads a condition that stands depth levels deep.
func (p *parser) who(depth int) (who, error) {
	switch {
	case p.tok.kind == tokenAtom && p.tok.text == "all":
		return who{kind: whoAll}, p.advance()
	case p.tok.kind == tokenBinary:
		return p.name(whoUser, whoUserAll)
	case !p.is("{"):
		return who{}, p.unexpected(wantWho)
	}
	if err := p.advance(); err != nil {
		return who{}, err
	}
	pos := p.tok.pos
	tag, err := p.word("user, client, ipaddr, 'and' or 'or'")
	if err != nil {
		return who{}, err
	}
	if err := p.punct(","); err != nil {
		return who{}, err
	}
	w, err := p.condition(tag, pos, depth)
	if err != nil {
		return who{}, err
	}
	return w, p.punct("}")
}

// condition reads what follows "{tag,"; pos is where the tag stands.
func (p *parser) condition(tag string, pos, depth int) (who, error) {
	switch tag {
	case "user":
		return p.name(whoUser, whoUserAll)
	case "client":
		return p.name(whoClient, whoClientAll)
	case "ipaddr":
		return p.address()
	case "and":
		return p.conditions(whoAnd, depth+1)
	case "or":
		return p.conditions(whoOr, depth+1)
	}
	return who{}, p.errorAt(pos, "expected user, client, ipaddr, 'and' or 'or', found '%s'", tag)
}

func (p *parser) name(one, all whoKind) (who, error) {
	if p.tok.kind == tokenAtom && p.tok.text == "all" {
		return who{kind: all}, p.advance()
	}
	pos := p.tok.pos
	n, err := p.text("a name in double quotes or all")
	if err == nil && n == "" {
		err = p.errorAt(pos, "the name is empty; all stands for everybody")
	}
	return who{kind: one, name: n}, err
}

func (p *parser) address() (who, error) {
	pos := p.tok.pos
	t, err := p.text("an address or CIDR block in double quotes")
	if err != nil {
		return who{}, err
	}
	prefix, ok := parsePrefix(t)
	if !ok {
		return who{}, p.errorAt(pos, "neither an address nor a CIDR block: %q", t)
	}
	return who{kind: whoAddr, prefix: prefix}, nil
}

func (p *parser) conditions(kind whoKind, depth int) (who, error) {
	w := who{kind: kind}
	if depth > maxDepth {
		return w, p.errorAt(p.tok.pos, "conditions are nested more than %d deep", maxDepth)
	}
	err := p.list("condition", func() error {
		c, err := p.who(depth)
		w.list = append(w.list, c)
		return err
	})
	return w, err
}
