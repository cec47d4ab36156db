package main

import (
	"errors"
	"os/exec"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain makes the test binary the program pando for the scripts.
func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"pando": main}) }

// The scripts in testdata run the program as people do. `code N pando ...` wants the exit code N.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			// Ports that the system chooses, so that scripts run beside anything.
			e.Setenv("PANDO_OPS__LISTEN", "127.0.0.1:0")
			e.Setenv("PANDO_MGMT__LISTEN", "127.0.0.1:0")
			for _, l := range []string{"TCP", "SSL", "WS", "WSS"} {
				e.Setenv("PANDO_MQTT__LISTENERS__"+l+"__BIND", "127.0.0.1:0")
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"code": code},
	})
}

func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N command...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}
