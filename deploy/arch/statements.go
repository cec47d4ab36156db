package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Where the statements of the MQTT specifications and the tests of them stand, relative to the top. There is one list for each version, named after it:
// the identifiers of its appendix B, one a line.
const (
	StatementTable = "gateway-mqtt/README.md"
	StatementLists = "gateway-mqtt/testdata/statements"
)

// MaxRows that one test may stand for: a test that is named everywhere says nothing about what is broken when it fails.
const MaxRows = 5

const (
	provenRule  = "every normative statement has a test"
	excuse      = "not applicable: "
	leastExcuse = 10 // bytes of a reason
)

// The forms of the table: the heading of a version, a row, and a test in it. A test is named by its package, if that is not the gateway's own, its
// function and its subtest: edge.TestKeepAlive/1.5 times.
var (
	statementHeading = regexp.MustCompile(`^#+ Statements of MQTT ([0-9.]+)$`)
	statementRow     = regexp.MustCompile(`^\| \[MQTT-([0-9.]+-[0-9]+)\] \| (.+) \| (.+) \|$`)
	statementTest    = regexp.MustCompile("`(?:([a-z]+)\\.)?(Test[A-Za-z0-9]+)(?:/([^`]+))?`")
	statementTests   = regexp.MustCompile("^" + statementTest.String() + "(?:, " + statementTest.String() + ")*$")
)

// testHomes are the directories of the packages that the table may name.
func testHomes() map[string]string {
	return map[string]string{
		"": "gateway-mqtt", "packet": "gateway-mqtt/packet", "edge": "services/edge", "session": "services/session", "topic": "services/topic",
		"transport": "services/transport", "store": "session-store", "router": "router", "authsvc": "authsvc",
	}
}

// CheckStatements compares the table of statements with the lists, and its tests with those that there are.
func CheckStatements(top fs.FS) ([]Violation, error) {
	text, err := fs.ReadFile(top, StatementTable)
	if err != nil {
		return nil, err
	}
	s := &statements{top: top, rows: map[string]map[string]bool{}, named: map[string]int{}, tests: map[string]map[string][]string{}}
	version := ""
	for i, line := range strings.Split(string(text), "\n") {
		s.where = fmt.Sprintf("%s:%d", StatementTable, i+1)
		if m := statementHeading.FindStringSubmatch(line); m != nil {
			version = m[1]
			s.rows[version] = map[string]bool{}
		} else if strings.HasPrefix(line, "#") {
			version = ""
		} else if version != "" && strings.HasPrefix(line, "| [") {
			s.row(version, line)
		}
	}
	if err := s.compare(); err != nil {
		return nil, err
	}
	return s.found, s.err
}

// statements is the table as far as it was read.
type statements struct {
	top   fs.FS
	where string                         // the present line
	rows  map[string]map[string]bool     // version -> statements
	named map[string]int                 // test -> rows
	tests map[string]map[string][]string // directory -> function -> its string literals
	found []Violation
	err   error
}

func (s *statements) add(format string, args ...any) {
	s.found = append(s.found, Violation{s.where, provenRule, fmt.Sprintf(format, args...)})
}

func (s *statements) row(version, line string) {
	m := statementRow.FindStringSubmatch(line)
	if m == nil {
		s.add("this is no row of the table")
		return
	}
	id, cell := m[1], m[3]
	if s.rows[version][id] {
		s.add("MQTT-%s has two rows", id)
	}
	s.rows[version][id] = true
	if reason, excused := strings.CutPrefix(cell, excuse); excused {
		if len(reason) < leastExcuse {
			s.add("MQTT-%s is not applicable, for no reason", id)
		}
		return
	}
	if !statementTests.MatchString(cell) {
		s.add("MQTT-%s: %q are no names of tests", id, cell)
		return
	}
	for _, m := range statementTest.FindAllStringSubmatch(cell, -1) {
		s.test(id, m)
	}
}

// test looks for one test of a row; m is its name with the parts.
func (s *statements) test(id string, m []string) {
	name := m[0]
	if s.named[name]++; s.named[name] == MaxRows+1 {
		s.add("%s is named by more than %d rows", name, MaxRows)
	}
	dir, known := testHomes()[m[1]]
	if !known {
		s.add("MQTT-%s: %s is in no package of the table", id, name)
		return
	}
	literals, exists := s.functions(dir)[m[2]]
	if !exists || m[3] != "" && !slices.Contains(literals, m[3]) {
		s.add("MQTT-%s: there is no test %s in %s", id, name, dir)
	}
}

// functions are the tests of a directory with the strings in them, among which are the names of their subtests.
func (s *statements) functions(dir string) map[string][]string {
	if known := s.tests[dir]; known != nil {
		return known
	}
	all := map[string][]string{}
	s.tests[dir] = all
	files, err := fs.Glob(s.top, path.Join(dir, "*_test.go"))
	if err != nil {
		s.err = err
	}
	for _, name := range files {
		text, err := fs.ReadFile(s.top, name)
		if err != nil {
			s.err = err
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
		if err != nil {
			s.err = err
			continue
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && strings.HasPrefix(fn.Name.Name, "Test") {
				all[fn.Name.Name] = literals(fn)
			}
		}
	}
	return all
}

// literals are the strings in a function.
func literals(fn *ast.FuncDecl) (all []string) {
	ast.Inspect(fn, func(n ast.Node) bool {
		if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
			if text, err := strconv.Unquote(l.Value); err == nil {
				all = append(all, text)
			}
		}
		return true
	})
	return all
}

// compare finds the statements without a row, and the rows without a statement.
func (s *statements) compare() error {
	lists, err := fs.Glob(s.top, path.Join(StatementLists, "*.txt"))
	if err != nil {
		return err
	}
	s.where = StatementLists
	if len(lists) == 0 {
		s.add("there is no list")
	}
	for _, name := range lists {
		text, err := fs.ReadFile(s.top, name)
		if err != nil {
			return err
		}
		s.where = name
		version := strings.TrimSuffix(path.Base(name), ".txt")
		rest := s.rows[version]
		for id := range strings.FieldsSeq(string(text)) {
			if !rest[id] {
				s.add("MQTT-%s has no row in %s", id, StatementTable)
			}
			delete(rest, id)
		}
		for id := range rest {
			s.add("MQTT-%s has a row and is not in the list", id)
		}
		delete(s.rows, version)
	}
	for version := range s.rows {
		s.where = StatementTable
		s.add("there is no list of the statements of %s", version)
	}
	return nil
}
