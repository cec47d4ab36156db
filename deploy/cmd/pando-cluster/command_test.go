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

// What a cluster was made with stays: other wishes are refused instead of forgotten, and the same ones are taken.
func TestWishesOfAnEarlierCluster(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "cluster")
	for _, c := range []struct {
		flags string
		code  int
		want  string
	}{
		{"--port-offset 15000 --durability disk", run.CodeFailure, "start etcd-1"}, // made; there are no binaries
		{"--port-offset 15500", run.CodeUsage, "has --port-offset 15000 and --durability disk"},
		{"--durability fsync", run.CodeUsage, "has --port-offset 15000 and --durability disk"},
		{"--port-offset 15000 --durability disk", run.CodeFailure, "start etcd-1"},
		{"", run.CodeFailure, "start etcd-1"},
	} {
		cmd := command()
		cmd.SetArgs(append([]string{"start", "etcd-1", "--dir", dir, "--bin", dir}, strings.Fields(c.flags)...))
		cmd.SetOut(&bytes.Buffer{})
		if err := cmd.ExecuteContext(t.Context()); run.Code(err) != c.code || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: code %d, %v; want %d and %q", c.flags, run.Code(err), err, c.code, c.want)
		}
	}
}
