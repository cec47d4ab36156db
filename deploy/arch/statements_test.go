package arch_test

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/pando-mq/pando/deploy/arch"
)

// TestStatements is the check of the real table.
func TestStatements(t *testing.T) {
	t.Parallel()
	tree, err := arch.Find(".")
	if err != nil {
		t.Fatal(err)
	}
	found, err := arch.CheckStatements(os.DirFS(tree.Top))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range found {
		t.Error(v)
	}
}

func TestCheckStatements(t *testing.T) {
	t.Parallel()
	const (
		tests = "package g_test\n\nfunc TestOne(t *testing.T) { t.Run(\"two words\", nil) }\n\nfunc (x) TestMethod() {}\n"
		good  = "| [MQTT-1.0.0-1] | what | `TestOne/two words`, `edge.TestOne` |\n| [MQTT-1.0.0-2] | what | not applicable: only clients do that |\n"
	)
	for name, tt := range map[string]struct{ rows, list, want string }{
		"good":                  {good, "1.0.0-1\n1.0.0-2\n", ""},
		"statement without row": {good, "1.0.0-1\n1.0.0-2\n1.0.0-3\n", "MQTT-1.0.0-3 has no row"},
		"row of nothing":        {good, "1.0.0-1\n", "MQTT-1.0.0-2 has a row and is not in the list"},
		"row without test":      {"| [MQTT-1.0.0-1] | what | none |\n", "1.0.0-1", "are no names of tests"},
		"no row":                {"| [MQTT-1.0.0-1] | what |\n", "", "this is no row"},
		"two rows":              {good + "| [MQTT-1.0.0-1] | what | `TestOne` |\n", "1.0.0-1\n1.0.0-2\n", "two rows"},
		"no reason":             {"| [MQTT-1.0.0-1] | what | not applicable: no |\n", "1.0.0-1", "for no reason"},
		"unknown test":          {"| [MQTT-1.0.0-1] | what | `TestTwo` |\n", "1.0.0-1", "there is no test `TestTwo`"},
		"unknown subtest":       {"| [MQTT-1.0.0-1] | what | `TestOne/two` |\n", "1.0.0-1", "there is no test `TestOne/two`"},
		"method":                {"| [MQTT-1.0.0-1] | what | `TestMethod` |\n", "1.0.0-1", "there is no test"},
		"unknown package":       {"| [MQTT-1.0.0-1] | what | `other.TestOne` |\n", "1.0.0-1", "no package of the table"},
		"named too often": {
			strings.Repeat("| [MQTT-1.0.0-N] | what | `TestOne` |\n", 6), "1.0.0-1", "named by more than 5 rows",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rows := tt.rows
			for i := 1; strings.Contains(rows, "-N]"); i++ {
				rows = strings.Replace(rows, "-N]", "-"+string(rune('0'+i))+"]", 1)
			}
			found, err := arch.CheckStatements(fstest.MapFS{
				arch.StatementTable:              {Data: []byte("# g\n\n### Statements of MQTT 9.0\n\n| a | b | c |\n|---|---|---|\n" + rows + "\n## Other\n\n| [x] |\n")},
				arch.StatementLists + "/9.0.txt": {Data: []byte(tt.list)},
				"gateway-mqtt/g_test.go":         {Data: []byte(tests)},
				"services/edge/e_test.go":        {Data: []byte(tests)},
			})
			if err != nil {
				t.Fatal(err)
			}
			said := false
			for _, v := range found {
				said = said || strings.Contains(v.String(), tt.want)
			}
			if (tt.want == "") != (len(found) == 0) || tt.want != "" && !said {
				t.Errorf("found %v, want %q", found, tt.want)
			}
		})
	}
	t.Run("version without a list", func(t *testing.T) {
		t.Parallel()
		found, err := arch.CheckStatements(fstest.MapFS{arch.StatementTable: {Data: []byte("### Statements of MQTT 9.0\n" + good)}})
		if err != nil || len(found) < 2 {
			t.Errorf("found %v, %v", found, err)
		}
	})
}
