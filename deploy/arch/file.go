package arch

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// maxLines of a file that people write.
const maxLines = 600

// The words are put together here so that this file does not hold them.
var (
	unfinished = regexp.MustCompile(`\b(` + "TO" + "DO|FIX" + "ME|XX" + `X)\b`)
	generated  = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)
)

// sources are the hosts that packages come from. They change from site to site
// and belong into the user's own configuration.
func sources() []string {
	hosts := []string{"proxy.golang", "sum.golang", "registry.npmjs", "deb.debian", "registry.yarnpkg", "files.pythonhosted"}
	for i, tld := range []string{"org", "org", "org", "org", "com", "org"} {
		hosts[i] += "." + tld
	}
	return hosts
}

// CheckText applies the rules that hold for every text file. The name is
// relative to the top, with slashes.
func CheckText(name string, text []byte) []Violation {
	var found []Violation
	for _, host := range sources() {
		if i := bytes.Index(text, []byte(host)); i >= 0 {
			found = append(found, Violation{place(name, text, i), "no package-source host in any file", "names " + host})
		}
	}
	if slices.Contains(strings.Split(name, "/"), "testdata") {
		return found
	}
	for _, at := range unfinished.FindAllIndex(text, -1) {
		found = append(found, Violation{place(name, text, at[0]), "nothing is left unfinished", "says " + string(text[at[0]:at[1]])})
	}
	return found
}

func place(name string, text []byte, offset int) string {
	return fmt.Sprintf("%s:%d", name, 1+bytes.Count(text[:offset], []byte("\n")))
}

// CheckGo applies the rules for one Go file: imports, size, exits, comments. It
// also says whether the file has the comment of its package.
func CheckGo(name string, text []byte) (found []Violation, explains bool, err error) {
	if generated.Match(text) {
		found, err = checkImports(name, text, nil)
		return found, true, err
	}
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, false, err
	}
	found, err = checkImports(name, text, f)
	if n := bytes.Count(text, []byte("\n")); n > maxLines {
		found = append(found, Violation{name, "files are short", fmt.Sprintf("has %d lines, at most %d: is there a second idea inside?", n, maxLines)})
	}
	c := checker{name: name, set: set}
	c.exits(f)
	if !strings.HasSuffix(name, "_test.go") {
		c.comments(f)
	}
	return append(found, c.found...), f.Doc != nil, err
}

func checkImports(name string, text []byte, f *ast.File) ([]Violation, error) {
	if f == nil {
		var err error
		if f, err = parser.ParseFile(token.NewFileSet(), name, text, parser.ImportsOnly); err != nil {
			return nil, err
		}
	}
	var found []Violation
	for _, spec := range f.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		found = append(found, CheckImport(Import{
			Where: name, Importer: path.Dir(name), Path: p, Test: strings.HasSuffix(name, "_test.go"),
		})...)
	}
	return found, nil
}

// checker collects the violations of one file.
type checker struct {
	name  string
	set   *token.FileSet
	found []Violation
}

func (c *checker) add(n ast.Node, rule, format string, args ...any) {
	where := fmt.Sprintf("%s:%d", c.name, c.set.Position(n.Pos()).Line)
	c.found = append(c.found, Violation{where, rule, fmt.Sprintf(format, args...)})
}

// exits finds what ends the process behind the back of services/run.
func (c *checker) exits(f *ast.File) {
	if match("services/run/...", path.Dir(c.name)) {
		return
	}
	enders := map[string][]string{"os": {"Exit"}, "log": {"Fatal", "Fatalf", "Fatalln", "Panic", "Panicf", "Panicln"}}
	names := map[string]string{} // local name -> import path
	for _, spec := range f.Imports {
		p, _ := strconv.Unquote(spec.Path.Value)
		local := path.Base(p)
		if spec.Name != nil {
			local = spec.Name.Name
		}
		names[local] = p
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if fn, ok := n.(*ast.FuncDecl); ok && fn.Name.Name == "TestMain" && fn.Recv == nil && strings.HasSuffix(c.name, "_test.go") {
			return false // it is the main function of a test program
		}
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := sel.X.(*ast.Ident); ok && slices.Contains(enders[names[x.Name]], sel.Sel.Name) {
			c.add(n, "os.Exit only in services/run", "calls %s.%s: return an error to run.Main", x.Name, sel.Sel.Name)
		}
		return true
	})
}
