package config_test

import (
	"testing"

	"github.com/pando-mq/pando/services/config"
)

func TestLimit(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]config.Limit{
		"0": {}, "100KB/s": {Rate: 100 << 10}, "1MB,100KB/s": {1 << 20, 100 << 10}, "100, 10/s": {100, 10}, "500,60/m": {500, 1},
	} {
		got, err := config.ParseLimit(text)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
		if again, err := config.ParseLimit(got.String()); err != nil || again != want {
			t.Errorf("%q is written %q: %+v, %v", text, got, again, err)
		}
	}
	for _, text := range []string{"", "100", "1MB", "1MB,", ",1/s", "1MB,0", "0,10/s", "-1,10/s", "10,-1/s", "-1/s", "1,2,3/s", "10/s,100"} {
		if got, err := config.ParseLimit(text); err == nil {
			t.Errorf("%q is %+v", text, got)
		}
	}
}
