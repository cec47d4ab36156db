package mgmtapi_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	mgmtapi "github.com/pando-mq/pando/mgmt-api"
	"github.com/pando-mq/pando/services/config"
)

var update = flag.Bool("update", false, "write the golden file anew")

// tree is the configuration as a process of the service holds it.
type tree struct {
	Mgmt mgmtapi.Config `yaml:"mgmt" doc:"REST API and pandoctl."`
}

func load(t *testing.T, text string) (tree, *config.Loaded, error) {
	t.Helper()
	got := tree{Mgmt: mgmtapi.Default()}
	loaded, err := config.Load(&got, config.Source{Text: []byte(text), File: "pando.yaml"})
	return got, loaded, err
}

func TestDefaultsAreTheTags(t *testing.T) {
	t.Parallel()
	got, loaded, err := load(t, "")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(mgmtapi.Default(), got.Mgmt); d != "" {
		t.Errorf("the default tags say something else (-code +tags):\n%s", d)
	}
	const golden = "config.golden.yaml"
	var text strings.Builder
	if err := loaded.Print(&text); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(golden, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), text.String()); d != "" {
		t.Errorf("%s is not what is loaded; run the test with -update if that is right:\n%s", golden, d)
	}
}

func TestConfigurationIsChecked(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, want string }{
		{"good", "mgmt: {listen: '0.0.0.0:80', administrators: {ann: {password: x}}}", ""},
		{"no REST", "mgmt: {listen: ''}", ""},
		{"address", "mgmt: {listen: '8080'}", `pando.yaml:1:16: mgmt.listen: "8080" is not host:port`},
		{"no password", "mgmt:\n  administrators:\n    ann: {}", "mgmt.administrators.ann.password: must not be empty"},
		{"name", "mgmt:\n  administrators:\n    'a:b': {password: x}", "must not be empty nor contain a colon"},
		{"timeout", "mgmt: {timeout: 1ms}", "mgmt.timeout: found 1ms, expected 100ms to 1m"},
		{"page", "mgmt: {max_page_size: 5000}", "mgmt.max_page_size: found 5000, expected 1 to 1000"},
		{"body", "mgmt: {max_body: 10GB}", "mgmt.max_body"},
		{"requests", "mgmt: {max_requests: 0}", "mgmt.max_requests"},
		{"unknown", "mgmt: {lisen: x}", "listen"},
	} {
		_, _, err := load(t, c.text)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}
