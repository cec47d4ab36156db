package arch

import (
	"go/ast"
	"strings"
)

const commented = "every exported name has a comment"

// comments finds exported names without one: functions, methods of exported
// types, types, constants and variables. The fields of a struct and the methods
// of an interface may be explained by the comment of their type; whether they
// are is left to the reviewer. Methods whose name and shape are a contract of
// the standard library need none.
func (c *checker) comments(f *ast.File) {
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			c.function(d)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				c.spec(d, spec)
			}
		}
	}
}

func (c *checker) function(d *ast.FuncDecl) {
	if !d.Name.IsExported() || spoken(d.Doc) {
		return
	}
	if d.Recv == nil {
		c.add(d, commented, "function %s has none", d.Name.Name)
		return
	}
	if of := receiver(d.Recv.List[0].Type); ast.IsExported(of) && !wellKnown()[d.Name.Name] {
		c.add(d, commented, "method %s.%s has none", of, d.Name.Name)
	}
}

func (c *checker) spec(d *ast.GenDecl, spec ast.Spec) {
	switch s := spec.(type) {
	case *ast.TypeSpec:
		if !s.Name.IsExported() {
			return
		}
		if !spoken(s.Doc, s.Comment) && !(spoken(d.Doc) && len(d.Specs) == 1) {
			c.add(s, commented, "type %s has none", s.Name.Name)
		}
	case *ast.ValueSpec:
		for _, name := range s.Names {
			// A group may be explained once, above it.
			if name.IsExported() && !spoken(s.Doc, s.Comment, d.Doc) {
				c.add(name, commented, "%s %s has none", d.Tok, name.Name)
			}
		}
	}
}

// spoken is true if one of the comments says something.
func spoken(groups ...*ast.CommentGroup) bool {
	for _, g := range groups {
		if strings.TrimSpace(g.Text()) != "" {
			return true
		}
	}
	return false
}

// receiver is the name of a method's type.
func receiver(e ast.Expr) string {
	for {
		switch t := e.(type) {
		case *ast.StarExpr:
			e = t.X
		case *ast.IndexExpr:
			e = t.X
		case *ast.IndexListExpr:
			e = t.X
		case *ast.ParenExpr:
			e = t.X
		case *ast.Ident:
			return t.Name
		default:
			return ""
		}
	}
}

func wellKnown() map[string]bool {
	known := map[string]bool{}
	for _, n := range []string{
		"Error", "Unwrap", "Is", "As", "String", "GoString", "Format", "Len", "Less", "Swap",
		"Read", "Write", "Close", "ServeHTTP", "MarshalText", "UnmarshalText", "MarshalJSON", "UnmarshalJSON",
		"MarshalYAML", "UnmarshalYAML", "Network", "LocalAddr", "RemoteAddr", "SetDeadline", "SetReadDeadline", "SetWriteDeadline",
		"Timeout", "Temporary", "LogValue",
	} {
		known[n] = true
	}
	return known
}
