package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// nodeKind is the kind of a parsed value before its type is known.
type nodeKind uint8

const (
	nullNode nodeKind = iota
	textNode
	integerNode
	floatNode
	boolNode
	looseNode // text without quotes or type: environment, overrides, layers
	listNode
	tableNode
	clearNode // empties the key
)

// node is one value of a source, before it meets the schema.
type node struct {
	kind   nodeKind
	text   string
	items  []*node
	fields []field
	origin Origin
}

// field is one key of a tableNode; a key may occur twice.
type field struct {
	name   string
	origin Origin
	value  *node
}

// found words what stands there, without the text if it is a secret.
func (n *node) found(secret bool) string {
	word := map[nodeKind]string{
		nullNode: "nothing", textNode: "the text", integerNode: "the number", floatNode: "the number",
		boolNode: "", looseNode: "", listNode: "a list", tableNode: "a mapping of keys", clearNode: "nothing",
	}[n.kind]
	switch n.kind {
	case textNode, looseNode, integerNode, floatNode, boolNode:
		if secret {
			return "a value that is not shown"
		}
		text := n.text
		if n.kind == textNode || n.kind == looseNode {
			text = strconv.Quote(clip(text))
		}
		return strings.TrimSpace(word + " " + text)
	}
	return word
}

// clip shortens a text for a message.
func clip(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "..."
	}
	return s
}

// nest wraps a value into tables along a path.
func nest(path []string, value *node) *node {
	for _, name := range slices.Backward(path) {
		value = &node{kind: tableNode, origin: value.origin, fields: []field{{name, value.origin, value}}}
	}
	return value
}

// loose makes a node of a text whose type the schema decides.
func loose(text string, origin Origin) *node {
	return &node{kind: looseNode, text: text, origin: origin}
}

// fromAny turns a layer's value into a node.
func fromAny(value any, origin Origin) (*node, error) {
	switch v := value.(type) {
	case nil:
		return &node{kind: nullNode, origin: origin}, nil
	case string:
		return &node{kind: looseNode, text: v, origin: origin}, nil
	case bool:
		return &node{kind: boolNode, text: strconv.FormatBool(v), origin: origin}, nil
	case int:
		return &node{kind: integerNode, text: strconv.Itoa(v), origin: origin}, nil
	case []string:
		n := &node{kind: listNode, origin: origin}
		for _, item := range v {
			n.items = append(n.items, loose(item, origin))
		}
		return n, nil
	case []any:
		n := &node{kind: listNode, origin: origin}
		for _, item := range v {
			child, err := fromAny(item, origin)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, child)
		}
		return n, nil
	case map[string]any:
		n := &node{kind: tableNode, origin: origin}
		for name, item := range v {
			child, err := fromAny(item, origin)
			if err != nil {
				return nil, err
			}
			n.fields = append(n.fields, field{name, origin, child})
		}
		slices.SortFunc(n.fields, func(a, b field) int { return strings.Compare(a.name, b.name) })
		return n, nil
	}
	return nil, fmt.Errorf("a layer holds a %T", value)
}

// expand turns a loose text into what a list, table or section needs: YAML
// flow style if it starts with a bracket, for lists also commas.
func (n *node) expand(s shape) (*node, error) {
	if n.kind != looseNode || s == leaf {
		return n, nil
	}
	text := strings.TrimSpace(n.text)
	if strings.HasPrefix(text, "[") || strings.HasPrefix(text, "{") {
		out, err := parseFlow(text, n.origin)
		if err != nil {
			return nil, err
		}
		return out, nil
	}
	if s != list {
		return n, nil
	}
	out := &node{kind: listNode, origin: n.origin}
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			out.items = append(out.items, loose(item, n.origin))
		}
	}
	return out, nil
}
