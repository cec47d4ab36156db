package config_test

import (
	"strings"
	"testing"

	"github.com/pando-mq/pando/services/config"
)

// FuzzLoad feeds any text as variables, overrides and the file: nothing
// panics, and a file that is accepted prints to YAML that loads to the same values.
func FuzzLoad(f *testing.F) {
	for _, text := range []string{
		"", "a", "- a", "{", "mqtt:\n  max_packet_size: 1KB\n", "mqtt: {listeners: {a: {bind: '127.0.0.1:1', access: [x, y]}}}",
		"data_dir: &a x\nmqtt: {level: info, headers: {b: *a}}", "x: !!int 3\n", "? a\n: b", "auth: {users: [{username: |\n a\n}]}",
		"a: b\n---\nc: d", "mqtt:\n  <<: {a: b}\n", "auth: {high_watermark: 20%, token: 'x', allow_anonymous: null}", "\"\\u0000\": '", "%YAML 1.2\n---\n", "*a", "&a *a", "a: &a\nb: *a", "data_dir: .nan", "port_offset: 0x_",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, src := range []config.Source{
			{Environ: []string{"PANDO_MQTT__HEADERS=" + text, "PANDO_AUTH=" + text, "PANDO_" + text}},
			{Overrides: []string{text, "auth.users=" + text}},
		} {
			if _, err := config.Load(new(tree), src); err != nil && err.Error() == "" {
				t.Fatal("a refusal without a reason")
			}
		}
		var dst tree
		l, err := config.Load(&dst, config.Source{File: "f", Text: []byte(text)})
		if err != nil {
			if err.Error() == "" {
				t.Fatal("a refusal without a reason")
			}
			return
		}
		first := printed(t, l)
		var again tree
		if l, err = config.Load(&again, config.Source{File: "f", Text: []byte(first)}); err != nil {
			t.Fatalf("%v\nprinted from %q:\n%s", err, text, first)
		}
		if second := printed(t, l); stripComments(first) != stripComments(second) {
			t.Fatalf("%q prints as\n%s\nand then as\n%s", text, first, second)
		}
	})
}

func printed(t *testing.T, l *config.Loaded) string {
	t.Helper()
	var out strings.Builder
	if err := l.Print(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// stripComments drops the sources, which differ by line.
func stripComments(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, " # f:")
		b.WriteString(strings.TrimSuffix(line, "\n") + "\n")
	}
	return b.String()
}
