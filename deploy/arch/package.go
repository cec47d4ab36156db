package arch

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Violation of a rule.
type Violation struct {
	Where string // Where it is: a file relative to the top, or a package.
	Rule  string // Rule that is broken.
	What  string // What is wrong there.
}

// String is the line that the test prints.
func (v Violation) String() string { return fmt.Sprintf("%s: %s [%s]", v.Where, v.What, v.Rule) }

// Import is one import declaration.
type Import struct {
	Where    string // Where: the file, relative to the top.
	Importer string // Importer: the package's path below Prefix.
	Path     string // Path that is imported.
	Test     bool   // Test: the file is a test.
}

// CheckImport applies the tables to one import.
func CheckImport(i Import) []Violation {
	var found []Violation
	report := func(rule, format string, args ...any) {
		found = append(found, Violation{i.Where, rule, i.Importer + " " + fmt.Sprintf(format, args...)})
	}
	if inner, ok := strings.CutPrefix(i.Path, Prefix); ok {
		if why := i.refused(inner); why != "" {
			report("who may import whom", "imports %s, %s", inner, why)
		}
		return found
	}
	for _, h := range Homes() {
		if matchAny(h.What, i.Path) && !h.admits(i) {
			report(h.Rule, "imports %s", i.Path)
		}
	}
	if r, ok := lookup(StandardOnly(), i.Importer); ok && !standard(i.Path) && !i.testing() && !matchAny(r.May, i.Path) {
		report("who may import whom", "imports %s, but may import only the standard library%s", i.Path, list(" and ", r.May))
	}
	return found
}

// refused says why an import inside the tree is not permitted, or nothing.
func (i Import) refused(inner string) string {
	r, ok := lookup(Imports(), i.Importer)
	if !ok {
		return "but " + i.Importer + " is in no row of the table"
	}
	below := strings.HasPrefix(inner, i.Importer+"/") || (i.Test && inner == i.Importer)
	if below && (!r.Closed || i.Test) || matchAny(r.May, inner) {
		return ""
	}
	root, _, _ := strings.Cut(r.Who, "/...")
	if root != r.Who && match(r.Who, inner) && !r.Closed {
		return "" // parts of one library know each other
	}
	if i.testing() && strings.HasPrefix(inner, "services/") && testPackage(inner) {
		return "" // suites and fakes serve everybody's tests
	}
	return "but may import only " + strings.TrimSpace(list("", append([]string{"its own parts"}, r.May...)))
}

func (h Home) admits(i Import) bool {
	return matchAny(h.In, i.Importer) || slices.Contains(h.Files, path.Base(i.Where)) || (h.Tests && i.testing())
}

func (i Import) testing() bool { return i.Test || testPackage(i.Importer) }

// testPackage is true for packages that hold suites and fakes, such as
// brokertest.
func testPackage(p string) bool { return strings.HasSuffix(p, "test") }

// Package is what go list says of one package.
type Package struct {
	Path string   // Path below Prefix.
	Name string   // Name in its package clause.
	Deps []string // Deps are all import paths that are linked with it.
}

// CheckPackage applies the rules that are about a whole package.
func CheckPackage(p Package) []Violation {
	var found []Violation
	for _, name := range []string{path.Base(p.Path), p.Name} {
		if badNames()[name] {
			found = append(found, Violation{p.Path, "packages are named after their idea", fmt.Sprintf("package is called %s", name)})
			break
		}
	}
	if match("deploy/...", p.Path) {
		return found
	}
	for _, d := range p.Deps {
		if matchAny(EmbeddedServers(), d) {
			found = append(found, Violation{p.Path, "embedded servers only in deploy", "links " + d + " (go list -deps shows the way)"})
			break
		}
	}
	for _, d := range p.Deps {
		if inner, ok := strings.CutPrefix(d, Prefix); ok && match("deploy/...", inner) {
			found = append(found, Violation{p.Path, "nobody imports deploy", "depends on " + inner})
		}
	}
	return found
}

func badNames() map[string]bool {
	bad := map[string]bool{}
	for _, n := range []string{"util", "utils", "common", "helper", "helpers", "pkg", "types"} {
		bad[n] = true
	}
	return bad
}

func lookup(table []Row, p string) (Row, bool) {
	for _, r := range table {
		if match(r.Who, p) {
			return r, true
		}
	}
	return Row{}, false
}

func matchAny(patterns []string, p string) bool {
	return slices.ContainsFunc(patterns, func(q string) bool { return match(q, p) })
}

// match knows "a" (that path only) and "a/..." (that path and all below).
func match(pattern, p string) bool {
	root, tree := strings.CutSuffix(pattern, "/...")
	return p == root || (tree && strings.HasPrefix(p, root+"/"))
}

// standard is true for import paths whose first element has no dot.
func standard(p string) bool {
	first, _, _ := strings.Cut(p, "/")
	return !strings.Contains(first, ".")
}

func list(before string, names []string) string {
	if len(names) == 0 {
		return ""
	}
	return before + strings.Join(names, ", ")
}
