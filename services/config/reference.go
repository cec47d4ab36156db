package config

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// Reference writes the Markdown reference of one or more struct trees: a table
// per top-level section, in the order of first appearance. A section that
// several services read stands there once. The page is golden-checked, so it
// cannot lie.
func Reference(w io.Writer, dsts ...any) error {
	var order []string
	rows := make(map[string][]Key)
	docs := make(map[string]string)
	seen := make(map[string]bool)
	for _, dst := range dsts {
		keys, err := Keys(dst)
		if err != nil {
			return err
		}
		s, _, err := compileDst(dst)
		if err != nil {
			return err
		}
		for _, k := range keys {
			name, _, nested := strings.Cut(k.Path, ".")
			if !nested {
				name = ""
			}
			if f := s.field(name); f != nil && docs[name] == "" {
				docs[name] = f.doc
			}
			if _, ok := rows[name]; !ok {
				order = append(order, name)
			}
			if !seen[k.Path] {
				seen[k.Path] = true
				rows[name] = append(rows[name], k)
			}
		}
	}
	out := bufio.NewWriter(w)
	for i, name := range order {
		if i > 0 {
			fmt.Fprintln(out)
		}
		writeSection(out, name, docs[name], rows[name])
	}
	return out.Flush()
}

// writeSection writes one heading and its table.
func writeSection(out io.Writer, name, doc string, keys []Key) {
	if name == "" {
		name = "top level"
	}
	fmt.Fprintf(out, "## %s\n\n", name)
	if doc != "" {
		fmt.Fprintf(out, "%s\n\n", doc)
	}
	fmt.Fprintln(out, "| key | type | default | meaning |\n|---|---|---|---|")
	for _, k := range keys {
		fmt.Fprintf(out, "| `%s` | %s | %s | %s |\n", k.Path, cell(k.kind()), code(k.Default), cell(k.meaning()))
	}
}

// kind is the type with its unit or its values.
func (k Key) kind() string {
	switch {
	case len(k.Enum) > 0:
		return k.Type + ": " + strings.Join(k.Enum, ", ")
	case k.Unit != "":
		return k.Type + " (" + k.Unit + ")"
	}
	return k.Type
}

// meaning is the doc with the marks of a key.
func (k Key) meaning() string {
	text := k.Doc
	if k.Secret {
		text += " Never shown."
	}
	if k.Hot {
		text += " May change while running."
	}
	return text
}

// cell keeps a text inside its table cell.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;").Replace(s)
}

// code marks a default; none stays empty.
func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + strings.ReplaceAll(s, "|", `\|`) + "`"
}
