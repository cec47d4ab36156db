package arch_test

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pando-mq/pando/deploy/arch"
)

// inside is an import of the tree itself.
func inside(p string) string { return arch.Prefix + p }

func TestCheckImport(t *testing.T) {
	t.Parallel()
	const table = "who may import whom"
	tests := []struct {
		file, path string
		rule       string // of the violation; empty if it is permitted
	}{
		{"services/broker/error.go", "errors", ""},
		{"services/broker/error.go", "golang.org/x/sync/errgroup", table},
		{"services/broker/error.go", inside("services/topic"), table},
		{"services/broker/error.go", inside("services/broker/brokertest"), table},
		{"services/broker/broker_test.go", inside("services/broker"), ""},
		{"services/broker/broker_test.go", inside("services/broker/brokertest"), ""},
		{"services/broker/brokertest/auth.go", inside("services/broker"), ""},
		{"services/broker/brokertest/auth.go", "go.uber.org/goleak", ""},
		{"services/topic/index.go", inside("services/broker"), ""},
		{"services/topic/index.go", inside("services/edge"), table},
		{"services/topic/index.go", "github.com/cespare/xxhash/v2", ""},
		{"services/topic/index.go", "github.com/nats-io/nats.go", "NATS never leaves services/bus and services/journal"},
		{"services/session/queue_test.go", inside("services/broker/brokertest"), ""},
		{"services/session/queue.go", inside("services/broker/brokertest"), table},
		{"services/run/group.go", inside("services/log"), table},
		{"services/config/load.go", "github.com/goccy/go-yaml/ast", ""},
		{"services/config/load.go", "github.com/spf13/viper", table},
		{"services/ops/server.go", inside("services/log"), ""},
		{"services/ops/server.go", inside("services/bus"), table},
		{"services/ops/server.go", "github.com/prometheus/client_golang/prometheus", ""},
		{"services/bus/bustest/bustest.go", inside("services/bus"), ""},
		{"services/bus/nats.go", "github.com/nats-io/nats.go", ""},
		{"services/bus/nats.go", "github.com/nats-io/nats-server/v2/server", "embedded servers only in deploy"},
		{"services/cluster/etcd.go", "go.etcd.io/etcd/client/v3/concurrency", ""},
		{"router/service.go", "go.etcd.io/etcd/client/v3", "etcd never leaves services/cluster"},
		{"services/rpc/routerrpc/server.go", inside("proto/gen/pando/router/v1"), ""},
		{"services/rpc/routerrpc/server.go", inside("services/rpc"), ""},
		{"services/rpc/routerrpc/server.go", inside("services/edge"), table},
		{"router/service.go", inside("proto/gen/pando/router/v1"), table},
		{"router/service.go", "google.golang.org/grpc", "gRPC and protobuf never leave services/rpc"},
		{"mgmt-api/api/api.go", inside("proto/gen/pando/mgmt/v1"), ""},
		{"mgmt-api/v2/api.go", inside("proto/gen/pando/mgmt/v1"), table},
		{"services/edge/client.go", inside("services/hook"), ""},
		{"services/edge/client.go", inside("services/transport"), table},
		{"router/match.go", inside("services/topic"), ""},
		{"router/cmd/router/main.go", inside("router"), ""},
		{"router/match.go", inside("session-store"), table},
		{"authsvc/service.go", inside("gateway-mqtt/packet"), table},
		{"gateway-mqtt/conn.go", inside("services/edge"), ""},
		{"gateway-mqtt/conn.go", inside("gateway-sn/packet"), table},
		{"gateway-mqtt/conn.go", inside("router"), table},
		{"gateway-mqtt/conn_test.go", inside("router"), table},
		{"mgmt-api/cmd/pandoctl/main.go", inside("mgmt-api/v2"), ""},
		{"mgmt-api/v2/clients.go", inside("authsvc"), table},
		{"services/run/group.go", inside("deploy/arch"), table},
		{"deploy/allinone/wire.go", inside("router"), ""},
		{"deploy/bench/cmd/pando-bench/main.go", inside("services/run"), ""},
		{"deploy/bench/load/conn.go", inside("deploy/bench/wire"), ""},
		{"deploy/bench/load/conn.go", inside("gateway-mqtt/packet"), table},
		{"deploy/bench/suite/apart.go", inside("deploy/cluster"), table},
		{"deploy/allinone/wire.go", inside("proto/gen/pando/router/v1"), table},
		{"deploy/allinone/wire.go", "github.com/nats-io/nats-server/v2/server", ""},
		{"plugins/x.go", inside("services/run"), table},
		{"router/metrics.go", "github.com/prometheus/client_golang/prometheus", ""},
		{"router/service.go", "github.com/prometheus/client_golang/prometheus", "Prometheus only in metrics.go and services/ops"},
		{"router/service_test.go", "github.com/prometheus/client_golang/prometheus", ""},
		{"router/service.go", "github.com/google/go-cmp/cmp", "assertion libraries only in tests"},
		{"router/service_test.go", "github.com/google/go-cmp/cmp", ""},
		{"router/service_test.go", "os/signal", "signals only in services/run"},
		{"services/run/main.go", "os/signal", ""},
	}
	for _, tc := range tests {
		t.Run(tc.file+" "+tc.path, func(t *testing.T) {
			t.Parallel()
			i := arch.Import{Where: tc.file, Importer: path.Dir(tc.file), Path: tc.path, Test: strings.HasSuffix(tc.file, "_test.go")}
			found := arch.CheckImport(i)
			if tc.rule == "" {
				if len(found) > 0 {
					t.Errorf("refused: %v", found)
				}
				return
			}
			ok := slices.ContainsFunc(found, func(v arch.Violation) bool {
				return v.Rule == tc.rule && strings.HasPrefix(v.Where, tc.file) &&
					strings.Contains(v.What, i.Importer) && strings.Contains(v.What, strings.TrimPrefix(tc.path, arch.Prefix))
			})
			if !ok {
				t.Errorf("got %v, want the rule %q, the importer and the import", found, tc.rule)
			}
		})
	}
}

func TestCheckPackage(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		p    arch.Package
		want string
	}{
		{"good", arch.Package{Path: "services/bus", Name: "bus", Deps: []string{"github.com/nats-io/nats.go"}}, ""},
		{"directory", arch.Package{Path: "services/util", Name: "text"}, "called util"},
		{"clause", arch.Package{Path: "services/text", Name: "helper"}, "called helper"},
		{"embedded through a library", arch.Package{Path: "router", Name: "router", Deps: []string{"a", "go.etcd.io/etcd/server/v3/embed"}}, "links go.etcd.io/etcd/server/v3/embed"},
		{"embedded in deploy", arch.Package{Path: "deploy/allinone", Name: "allinone", Deps: []string{"go.etcd.io/etcd/server/v3/embed"}}, ""},
		{"deploy through a library", arch.Package{Path: "router", Name: "router", Deps: []string{arch.Prefix + "deploy/arch"}}, "depends on deploy/arch"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) { t.Parallel(); wantOnly(t, arch.CheckPackage(tc.p), tc.want) })
	}
}

// wantOnly checks that there is one violation that says want, or none for "".
func wantOnly(t *testing.T, found []arch.Violation, want string) {
	t.Helper()
	switch {
	case want == "" && len(found) > 0:
		t.Errorf("refused: %v", found)
	case want != "" && (len(found) != 1 || !strings.Contains(found[0].String(), want)):
		t.Errorf("got %v, want one violation with %q", found, want)
	}
}

func TestCheckGo(t *testing.T) {
	t.Parallel()
	const head = "// Package x is.\npackage x\n\n"
	tests := []struct{ name, file, text, want string }{
		{"clean", "router/x.go", head + "// F does.\nfunc F() {}\nfunc f() {}\n", ""},
		{"function", "router/x.go", head + "func F() {}\n", "x.go:4: function F"},
		{"type", "router/x.go", head + "type T struct{}\n", "type T"},
		{"type in a group under a general comment", "router/x.go", head + "// Some.\ntype (\n\tT int\n\tu int\n)\n", "type T"},
		{"method", "router/x.go", head + "// T is.\ntype T struct{}\n\nfunc (t *T) Do() {}\n", "method T.Do"},
		{"method of a generic type", "router/x.go", head + "// T is.\ntype T[K any] struct{}\n\nfunc (t *T[K]) Do() {}\n", "method T.Do"},
		{"method of the standard library", "router/x.go", head + "// T is.\ntype T struct{}\n\nfunc (T) String() string { return \"\" }\n", ""},
		{"method of a hidden type", "router/x.go", head + "type t struct{}\n\nfunc (t) Do() {}\n", ""},
		{"interface", "router/x.go", head + "type T interface {\n\t// Do does.\n\tDo()\n}\n", "type T"},
		{"methods and fields under their type's comment", "router/x.go", head + "// T is.\ntype T interface {\n\tDo()\n}\n\n// S is.\ntype S struct{ F int }\n", ""},
		{"constant", "router/x.go", head + "const C = 1\n", "const C"},
		{"constants under one comment", "router/x.go", head + "// Codes.\nconst (\n\tC = 1\n\tD = 2\n)\n", ""},
		{"constants with comments behind", "router/x.go", head + "const (\n\tC = 1 // C is one.\n)\n", ""},
		{"variable", "router/x.go", head + "var V = 1\n", "var V"},
		{"directive is no comment", "router/x.go", head + "//go:noinline\nfunc F() {}\n", "function F"},
		{"tests need none", "router/x_test.go", head + "func F() {}\n", ""},
		{"exit", "router/x.go", head + "import \"os\"\n\nfunc f() { os.Exit(1) }\n", "calls os.Exit"},
		{"exit under another name", "router/x.go", head + "import sys \"os\"\n\nfunc f() { sys.Exit(1) }\n", "calls sys.Exit"},
		{"exit in a test", "router/x_test.go", head + "import \"os\"\n\nfunc f() { os.Exit(1) }\n", "calls os.Exit"},
		{"exit in TestMain", "router/x_test.go", head + "import (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestMain(m *testing.M) { os.Exit(m.Run()) }\n", ""},
		{"exit at home", "services/run/x.go", head + "import \"os\"\n\nfunc f() { os.Exit(1) }\n", ""},
		{"fatal", "router/x.go", head + "import \"log\"\n\nfunc f() { log.Fatalf(\"\") }\n", "calls log.Fatalf"},
		{"fatal of something else", "router/x.go", head + "type l struct{}\n\nfunc (l) Fatalf() {}\n\nfunc f(log l) { log.Fatalf() }\n", ""},
		{"import", "router/x.go", head + "import \"os/signal\"\n\nvar _ = signal.Stop\n", "imports os/signal"},
		{"600 lines", "router/x.go", head + strings.Repeat("\n", 597), ""},
		{"601 lines", "router/x.go", head + strings.Repeat("\n", 598), "has 601 lines"},
		{"generated is long and silent", "proto/gen/x.go", "// Code generated by x. DO NOT EDIT.\npackage x\n\nfunc F() {}\n" + strings.Repeat("\n", 900), ""},
		{"generated imports", "proto/gen/x.go", "// Code generated by x. DO NOT EDIT.\npackage x\n\nimport _ \"" + inside("router") + "\"\n", "imports router"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			found, explains, err := arch.CheckGo(tc.file, []byte(tc.text))
			if err != nil || !explains {
				t.Fatalf("explains %v, %v", explains, err)
			}
			wantOnly(t, found, tc.want)
		})
	}
	if _, _, err := arch.CheckGo("router/x.go", []byte("package")); err == nil {
		t.Error("a file that is no Go gave no error")
	}
}

func TestCheckText(t *testing.T) {
	t.Parallel()
	todo, fixme, host := "TO"+"DO", "FIX"+"ME", "registry.npmjs"+".org"
	tests := []struct{ name, file, text, want string }{
		{"clean", "Makefile", "all:\n", ""},
		{"to do", "router/x.go", "a\n// " + todo + ": later\n", "router/x.go:2: says " + todo},
		{"fix me", "README.md", fixme, "says " + fixme},
		{"part of a word", "README.md", todo + "S", ""},
		{"input of a test", "router/testdata/x", todo, ""},
		{"host", "deploy/e2e/package-lock.json", "https://" + host + "/x", "names " + host},
		{"host in the input of a test", "router/testdata/x", host, "names " + host},
		{"import path", "go.work", "golang.org/x/sys", ""},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) { t.Parallel(); wantOnly(t, arch.CheckText(tc.file, []byte(tc.text)), tc.want) })
	}
}

// TestCheckSeesASyntheticTree breaks the rules in a small workspace on disk, so
// that the walk and the call of go list are covered too.
func TestCheckSeesASyntheticTree(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	files := map[string]string{
		"go.work":                    "go 1.26.0\n\nuse (\n\t./services\n\t./deploy\n)\n",
		"services/go.mod":            "module github.com/pando-mq/pando/services\n\ngo 1.26.0\n",
		"services/topic/index.go":    "// Package topic is.\npackage topic\n\nimport _ \"" + inside("services/run") + "\"\n",
		"services/run/run.go":        "// Package run is.\npackage run\n",
		"services/common/x.go":       "package common\n",
		"services/run/testdata/x.go": "package\n",
		"deploy/go.mod":              "module github.com/pando-mq/pando/deploy\n\ngo 1.26.0\n",
		"deploy/arch/arch_test.go":   "package arch_test\n",
		"bin/pando":                  "TO" + "DO",
		".ci/run":                    "#!/bin/sh\n",
		"tools.txt":                  "x",
	}
	for name, text := range files {
		full := filepath.Join(top, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tree, err := arch.Find(filepath.Join(top, "deploy", "arch"))
	if err != nil {
		t.Fatal(err)
	}
	found, err := tree.Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, v := range found {
		got = append(got, v.Where+" "+v.What)
	}
	slices.Sort(got)
	want := []string{
		"services/common no file has a package comment",
		"services/common package is called common",
		"services/topic/index.go services/topic imports services/run, but may import only its own parts, services/broker",
		"tools.txt does not belong there",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestFindWithoutWorkspace(t *testing.T) {
	t.Parallel()
	if _, err := arch.Find(t.TempDir()); err == nil {
		t.Error("a directory without go.work gave no error")
	}
}
