package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pando-mq/pando/services/run"
)

// What needs no running process: help, mistakes, a directory without a cluster, one whose binaries are missing.
func TestCommandLine(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "cluster")
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"help":         {[]string{"--help"}, run.CodeOK, "3 no cluster in the directory"},
		"unknown flag": {[]string{"start", "--bogus"}, run.CodeUsage, "bogus"},
		"stop":         {[]string{"stop", "--dir", dir + "-none"}, run.CodeNotRunning, "pando-cluster start --dir"},
		"status":       {[]string{"status", "--dir", dir + "-none"}, run.CodeNotRunning, "no cluster"},
		"no binaries":  {[]string{"start", "etcd-1", "--dir", dir, "--bin", dir}, run.CodeFailure, "start etcd-1"},
		"no process":   {[]string{"start", "broker-1", "--dir", dir + "-2", "--bin", dir}, run.CodeFailure, "there are etcd-1"},
	} {
		var out bytes.Buffer
		cmd := command()
		cmd.SetArgs(c.args)
		cmd.SetOut(&out)
		err := cmd.ExecuteContext(t.Context())
		text := out.String()
		if err != nil {
			text += err.Error()
		}
		if run.Code(err) != c.code || !strings.Contains(text, c.want) {
			t.Errorf("%s: code %d, %q; want %d and %q", name, run.Code(err), text, c.code, c.want)
		}
	}
}
