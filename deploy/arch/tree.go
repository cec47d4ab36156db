package arch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Tree is the whole of the sources.
type Tree struct {
	Top string // Top directory, absolute.
}

// Find looks for the tree that holds a directory: the nearest go.work above.
func Find(dir string) (Tree, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return Tree{}, err
	}
	for d := abs; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, "go.work")); err == nil {
			return Tree{d}, nil
		}
		if d == filepath.Dir(d) {
			return Tree{}, fmt.Errorf("no go.work above %s", dir)
		}
	}
}

// Modules are the directories of go.work, relative to the top.
func (t Tree) Modules(ctx context.Context) ([]string, error) {
	out, err := t.goCommand(ctx, "", "work", "edit", "-json")
	if err != nil {
		return nil, err
	}
	var work struct{ Use []struct{ DiskPath string } }
	if err := json.Unmarshal(out, &work); err != nil {
		return nil, fmt.Errorf("read go.work: %w", err)
	}
	var dirs []string
	for _, u := range work.Use {
		dirs = append(dirs, path.Clean(u.DiskPath))
	}
	return dirs, nil
}

// Packages asks go list for the packages of one module, those of its tests
// excluded.
func (t Tree) Packages(ctx context.Context, module string) ([]Package, error) {
	out, err := t.goCommand(ctx, module, "list", "-e", "-json=ImportPath,Name,Deps", "./...")
	if err != nil {
		return nil, err
	}
	var all []Package
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath, Name string
			Deps             []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("read go list of %s: %w", module, err)
		}
		all = append(all, Package{strings.TrimPrefix(p.ImportPath, Prefix), p.Name, p.Deps})
	}
}

func (t Tree) goCommand(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = filepath.Join(t.Top, dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s in %s: %w\n%s", args[0], cmd.Dir, err, &stderr)
	}
	return out, nil
}

// Check reads every file and asks go list about every module.
func (t Tree) Check(ctx context.Context) ([]Violation, error) {
	modules, err := t.Modules(ctx)
	if err != nil {
		return nil, err
	}
	var found []Violation
	for _, m := range modules {
		packages, err := t.Packages(ctx, m)
		if err != nil {
			return nil, err
		}
		for _, p := range packages {
			found = append(found, CheckPackage(p)...)
		}
	}
	files, err := t.files()
	return append(found, files...), err
}

// files applies the rules of single files, the package comments and the top level.
func (t Tree) files() ([]Violation, error) {
	var found []Violation
	explained := map[string]bool{} // directory of Go sources -> has a package comment
	err := filepath.WalkDir(t.Top, func(full string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(t.Top, full)
		if err != nil || rel == "." {
			return err
		}
		name := filepath.ToSlash(rel)
		if ignored(name, d.IsDir()) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		found = append(found, checkTop(name)...)
		if !d.Type().IsRegular() {
			return nil
		}
		text, err := os.ReadFile(full)
		if err != nil {
			return err
		}
		more, err := checkFile(name, text, explained)
		found = append(found, more...)
		return err
	})
	for dir, ok := range explained {
		if !ok {
			found = append(found, Violation{dir, commented, "no file has a package comment"})
		}
	}
	return found, err
}

func checkFile(name string, text []byte, explained map[string]bool) ([]Violation, error) {
	found := CheckText(name, text)
	if path.Ext(name) != ".go" || slices.Contains(strings.Split(name, "/"), "testdata") {
		return found, nil
	}
	more, explains, err := CheckGo(name, text)
	if !strings.HasSuffix(name, "_test.go") {
		explained[path.Dir(name)] = explained[path.Dir(name)] || explains
	}
	return append(found, more...), err
}

// checkTop keeps the top level as it is.
func checkTop(name string) []Violation {
	if strings.Contains(name, "/") || strings.HasPrefix(name, ".") || slices.Contains(TopLevel(), name) {
		return nil
	}
	return []Violation{{name, "the entries at the top are fixed", "does not belong there"}}
}

// ignored are what .gitignore names, and git itself.
func ignored(name string, dir bool) bool {
	base := path.Base(name)
	if !dir {
		return name == ".git" || strings.HasSuffix(base, ".test") || strings.HasSuffix(base, ".out")
	}
	return base == "node_modules" || slices.Contains([]string{".git", "bin", "data", ".tools", ".cluster"}, name)
}
