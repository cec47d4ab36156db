package config

import (
	"errors"
	"fmt"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of a file, and of what its aliases may expand to.
const (
	maxYAML     = 1 << 20 // bytes
	maxNodes    = 100_000
	maxDepth    = 64
	maxBrackets = 1000 // open at once, comments and texts included
)

// yamlReader turns a YAML syntax tree into nodes, collecting what it refuses.
type yamlReader struct {
	name     string
	fixed    *Origin // replaces every position, for flow style in a variable
	anchors  map[string]ast.Node
	left     int // nodes that may still be made
	problems Problems
}

// parseYAML reads a file's text; a nil node is an empty file.
func parseYAML(name string, text []byte) (*node, Problems) {
	r := &yamlReader{name: name, anchors: make(map[string]ast.Node), left: maxNodes}
	return r.read(text), r.problems
}

// parseFlow reads YAML flow style out of a variable or an override.
func parseFlow(text string, origin Origin) (*node, error) {
	r := &yamlReader{fixed: &origin, anchors: make(map[string]ast.Node), left: maxNodes}
	n := r.read([]byte(text))
	if len(r.problems) > 0 {
		return nil, errors.New(r.problems[0].Text)
	}
	if n == nil {
		return &node{kind: nullNode, origin: origin}, nil
	}
	return n, nil
}

func (r *yamlReader) read(text []byte) *node {
	if len(text) > maxYAML {
		r.refuse(nil, "", fmt.Sprintf("larger than %s", Size(maxYAML)))
		return nil
	}
	if deep(text) {
		r.refuse(nil, "", "nested too deeply")
		return nil
	}
	file, err := parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		r.syntax(err)
		return nil
	}
	var body ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if body != nil {
			r.refuse(doc.Body, "", "a second YAML document; one file is one document")
			return nil
		}
		body = doc.Body
	}
	if body == nil {
		return nil
	}
	return r.convert(body, 0)
}

// deep reports more open brackets than any configuration has: the parser's
// time grows with the square of their depth.
func deep(text []byte) bool {
	open := 0
	for _, c := range text {
		switch c {
		case '[', '{':
			open++
		case ']', '}':
			open = max(0, open-1)
		}
		if open > maxBrackets {
			return true
		}
	}
	return false
}

// syntax reports what the parser refused.
func (r *yamlReader) syntax(err error) {
	var at yaml.Error
	if errors.As(err, &at) && at.GetToken() != nil {
		r.problems = append(r.problems, Problem{Origin: r.at(at.GetToken()), Text: "no valid YAML: " + at.GetMessage()})
		return
	}
	r.refuse(nil, "", "no valid YAML: "+err.Error())
}

func (r *yamlReader) refuse(n ast.Node, key, text string) {
	origin := Origin{Kind: File, Name: r.name}
	if n != nil {
		origin = r.at(n.GetToken())
	} else if r.fixed != nil {
		origin = *r.fixed
	}
	r.problems = append(r.problems, Problem{Origin: origin, Key: key, Text: text})
}

// at gives the place of a token.
func (r *yamlReader) at(t *token.Token) Origin {
	if r.fixed != nil {
		return *r.fixed
	}
	if t == nil || t.Position == nil {
		return Origin{Kind: File, Name: r.name}
	}
	return Origin{Kind: File, Name: r.name, Line: t.Position.Line, Col: t.Position.Column}
}

// convert makes a node of a syntax tree; refused parts become nil.
func (r *yamlReader) convert(n ast.Node, depth int) *node {
	if r.left--; r.left < 0 || depth > maxDepth {
		if r.left >= -1 {
			r.refuse(n, "", "too many values or nested too deeply")
		}
		r.left = min(r.left, -1)
		return nil
	}
	out := &node{origin: r.at(n.GetToken())}
	switch v := n.(type) {
	case *ast.NullNode:
		out.kind = nullNode
	case *ast.StringNode:
		out.kind, out.text = textNode, v.Value
	case *ast.LiteralNode:
		out.kind, out.text = textNode, v.Value.Value
	case *ast.IntegerNode:
		out.kind, out.text = integerNode, v.GetToken().Value
	case *ast.FloatNode:
		out.kind, out.text = floatNode, v.GetToken().Value
	case *ast.InfinityNode, *ast.NanNode:
		out.kind, out.text = floatNode, v.GetToken().Value
	case *ast.BoolNode:
		out.kind, out.text = boolNode, v.GetToken().Value
	case *ast.SequenceNode:
		out.kind = listNode
		for _, item := range v.Values {
			if child := r.convert(item, depth+1); child != nil {
				out.items = append(out.items, child)
			}
		}
	case *ast.MappingNode:
		out.kind = tableNode
		for _, pair := range v.Values {
			r.pair(out, pair, depth)
		}
	case *ast.MappingValueNode:
		out.kind = tableNode
		r.pair(out, v, depth)
	case *ast.AnchorNode:
		if v.Name != nil {
			r.anchors[v.Name.GetToken().Value] = v.Value
		}
		if v.Value == nil {
			return out
		}
		return r.convert(v.Value, depth+1)
	case *ast.AliasNode:
		return r.alias(v, depth)
	default:
		r.refuse(n, "", "this part of YAML is not read here ("+n.Type().YAMLName()+")")
		return nil
	}
	return out
}

// alias reads the value an anchor named before it.
func (r *yamlReader) alias(v *ast.AliasNode, depth int) *node {
	name := ""
	if v.Value != nil {
		name = v.Value.GetToken().Value
	}
	target, ok := r.anchors[name]
	if !ok || target == nil {
		r.refuse(v, "", fmt.Sprintf("no value is marked &%s before this", name))
		return nil
	}
	return r.convert(target, depth+1)
}

// pair adds one key and its value to a table.
func (r *yamlReader) pair(to *node, pair *ast.MappingValueNode, depth int) {
	if pair.Key.IsMergeKey() {
		r.refuse(pair.Key, "", "merge keys (<<) are not read; write the keys out")
		return
	}
	key, ok := keyText(pair.Key)
	if !ok {
		r.refuse(pair.Key, "", "this is no name of a key")
		return
	}
	f := field{name: key, origin: r.at(pair.Key.GetToken())}
	if pair.Value == nil {
		f.value = &node{kind: nullNode, origin: f.origin}
	} else if f.value = r.convert(pair.Value, depth+1); f.value == nil {
		return
	}
	if f.value.kind == tableNode || f.value.kind == nullNode {
		f.value.origin = f.origin
	}
	to.fields = append(to.fields, f)
}

// keyText gives the name a key is written with.
func keyText(n ast.MapKeyNode) (string, bool) {
	switch k := n.(type) {
	case *ast.StringNode:
		return k.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode:
		return k.GetToken().Value, true
	}
	return "", false
}
