package router_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pando-mq/pando/router"
	"github.com/pando-mq/pando/services/config"
)

// sections is the configuration as a router's process holds it.
type sections struct {
	Router   router.Config         `yaml:"router" doc:"The routers."`
	Retained router.RetainedConfig `yaml:"retained" doc:"Retained messages."`
}

// The default tags say what Default says, and both what config.golden.yaml says. UPDATE_GOLDEN=1 writes it.
func TestDefaultsAreTheTags(t *testing.T) {
	t.Parallel()
	var got, want sections
	want.Router, want.Retained = router.Default()
	loaded, err := config.Load(&got, config.Source{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-code +tags\n%s", diff)
	}
	var text strings.Builder
	if err := loaded.Print(&text); err != nil {
		t.Fatal(err)
	}
	const golden = "config.golden.yaml"
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(golden, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	page, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(page), text.String()); diff != "" {
		t.Errorf("%s: -file +loaded\n%s", golden, diff)
	}
}
