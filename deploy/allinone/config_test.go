package allinone_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pando-mq/pando/deploy/allinone"
	"github.com/pando-mq/pando/services/boot"
	"github.com/pando-mq/pando/services/config"
	"github.com/pando-mq/pando/services/config/emq"
)

func keys(t *testing.T) []string {
	t.Helper()
	list, err := config.Keys(allinone.Default())
	if err != nil {
		t.Fatal(err)
	}
	paths := make([]string, len(list))
	for i, k := range list {
		paths[i] = k.Path
	}
	return paths
}

// Every key that an emq.conf may set exists.
func TestTargetsOfEMQKeysExist(t *testing.T) {
	t.Parallel()
	have := keys(t)
	for _, to := range emq.Targets() {
		to = strings.ReplaceAll(to, "<listener>", "<name>")
		if !slices.ContainsFunc(have, func(k string) bool { return k == to || strings.HasPrefix(k, to+".") || strings.HasPrefix(k, to+"[") }) {
			t.Errorf("an emq.conf sets %s, which no service reads", to)
		}
	}
}

// Every key that an answer to an emq.conf names as the replacement exists.
func TestReplacementsOfEMQKeysExist(t *testing.T) {
	t.Parallel()
	have := keys(t)
	for _, e := range emq.Table() {
		_, see, _ := strings.Cut(e.Note, "see ")
		for _, word := range strings.FieldsFunc(see, func(r rune) bool { return strings.ContainsRune(" ,;()", r) }) {
			if !strings.Contains(word, ".") || strings.HasPrefix(word, "/") {
				continue
			}
			if !slices.ContainsFunc(have, func(k string) bool { return k == word || strings.HasPrefix(k, word+".") }) {
				t.Errorf("%s: the answer %q names %s, which no service reads", e.Pattern, e.Note, word)
			}
		}
	}
}

// The sections of the suite are those that other processes skip.
func TestSectionsAreKnownToEveryProcess(t *testing.T) {
	t.Parallel()
	common, err := config.Keys(&boot.Common{})
	if err != nil {
		t.Fatal(err)
	}
	section := func(path string) string { s, _, _ := strings.Cut(path, "."); return s }
	known := boot.Sections()
	for _, k := range common {
		known = append(known, section(k.Path))
	}
	for _, k := range keys(t) {
		if !slices.Contains(known, section(k)) {
			t.Errorf("%s: section %s is not in boot.Sections", k, section(k))
		}
	}
}

// All keys of the seed's files at once, with their types, are taken by the suite.
func TestEveryEMQKeyFitsTheSuite(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../services/config/emq/testdata/keys.txt")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "etc", "emq.conf"), append(text, "log.console = both\ncluster.discovery = etcd\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]any{"pando": allinone.Default(), "a service": &boot.Common{}} {
		if _, err := boot.Load(c, boot.Options{EMQ: dir, Environ: []string{}}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
