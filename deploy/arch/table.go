package arch

// Prefix of the import paths of all modules.
const Prefix = "github.com/pando-mq/pando/"

// Row says what a part of the tree may import from the tree. Paths are below
// Prefix; "a/..." is a and everything under it. A package may always import
// what is under itself, except where the row says Closed.
type Row struct {
	Who    string   // Who this row is about; the first row that matches decides.
	May    []string // May import these; nothing else of the tree.
	Closed bool     // Closed: not even what is under itself.
}

// Imports is the table "Who may import whom".
func Imports() []Row {
	return []Row{
		{Who: "proto/..."},
		{Who: "services/broker", Closed: true},
		{Who: "services/broker/...", May: []string{"services/broker", "services/topic", "services/session", "services/scram"}},
		{Who: "services/topic/...", May: []string{"services/broker"}},
		{Who: "services/session/...", May: []string{"services/broker", "services/topic"}},
		{Who: "services/scram/...", May: []string{"services/broker"}},
		{Who: "services/run/..."},
		{Who: "services/log/..."},
		{Who: "services/config/..."},
		{Who: "services/ops/...", May: []string{"services/run", "services/log"}},
		{Who: "services/cluster/...", May: []string{"services/run", "services/log"}},
		{Who: "services/bus/...", May: []string{"services/run", "services/log"}},
		{Who: "services/journal/...", May: []string{"services/run", "services/log"}},
		{Who: "services/transport/...", May: []string{"services/run", "services/log"}},
		{Who: "services/rpc/...", May: []string{"proto/gen/...", "services/broker", "services/cluster", "services/rpc/..."}},
		{Who: "services/route/...", May: []string{"services/broker", "services/cluster", "services/topic", "services/log"}},
		{Who: "services/hook/...", May: []string{"services/broker", "services/log"}},
		{Who: "services/edge/...", May: []string{"services/broker", "services/cluster", "services/topic", "services/session", "services/route", "services/hook", "services/log", "services/scram", "services/edge/..."}},
		{Who: "services/sys/...", May: []string{"services/broker", "services/cluster", "services/bus", "services/hook", "services/config", "services/log"}},
		{Who: "services/boot/...", May: []string{"services/..."}},
		{Who: "services/coap/...", May: []string{"services/..."}},
		{Who: "authsvc/...", May: []string{"services/...", "authsvc/..."}},
		{Who: "session-store/...", May: []string{"services/...", "session-store/..."}},
		{Who: "router/...", May: []string{"services/...", "router/..."}},
		{Who: "gateway-mqtt/...", May: []string{"services/...", "gateway-mqtt/..."}},
		{Who: "gateway-sn/...", May: []string{"services/...", "gateway-sn/..."}},
		{Who: "gateway-coap/...", May: []string{"services/...", "gateway-coap/..."}},
		{Who: "gateway-lwm2m/...", May: []string{"services/...", "gateway-lwm2m/..."}},
		{Who: "gateway-stomp/...", May: []string{"services/...", "gateway-stomp/..."}},
		{Who: "mgmt-api/api/...", May: []string{"services/...", "mgmt-api/...", "proto/gen/..."}},
		{Who: "mgmt-api/...", May: []string{"services/...", "mgmt-api/..."}},
		{Who: "deploy/bench/...", May: []string{"services/run", "deploy/bench/..."}}, // it measures from outside
		{Who: "deploy/...", May: []string{
			"services/...", "authsvc/...", "session-store/...", "router/...",
			"gateway-mqtt/...", "gateway-sn/...", "gateway-coap/...", "gateway-lwm2m/...", "gateway-stomp/...",
			"mgmt-api/...", "deploy/...",
		}},
	}
}

// Home says where something from outside the tree may be imported.
type Home struct {
	Rule  string   // Rule is the name in messages.
	What  []string // What are import paths; "a/..." as in Row.
	Files []string // Files with these base names may import it, anywhere.
	In    []string // In these parts of the tree.
	Tests bool     // Tests may import it: test files, and packages named *test.
}

// Homes is the table of what must not spread.
func Homes() []Home {
	return []Home{
		{Rule: "etcd never leaves services/cluster", What: []string{"go.etcd.io/etcd/client/...", "go.etcd.io/etcd/api/..."}, In: []string{"services/cluster/...", "services/boot/...", "deploy/..."}},
		{Rule: "NATS never leaves services/bus and services/journal", What: []string{"github.com/nats-io/nats.go/..."}, In: []string{"services/bus/...", "services/journal/...", "services/boot/...", "deploy/..."}},
		{Rule: "embedded servers only in deploy", What: []string{"go.etcd.io/etcd/server/...", "github.com/nats-io/nats-server/..."}, In: []string{"deploy/..."}},
		{Rule: "gRPC and protobuf never leave services/rpc", What: []string{"google.golang.org/grpc/...", "google.golang.org/protobuf/..."}, In: []string{"proto/gen/...", "services/rpc/...", "services/cluster/...", "services/boot/...", "mgmt-api/api/...", "deploy/..."}},
		{Rule: "Prometheus only in metrics.go and services/ops", What: []string{"github.com/prometheus/..."}, Files: []string{"metrics.go"}, In: []string{"services/ops/..."}, Tests: true},
		{Rule: "assertion libraries only in tests", What: []string{
			"github.com/google/go-cmp/...", "go.uber.org/goleak", "pgregory.net/rapid", "github.com/stretchr/testify/...", "github.com/rogpeppe/go-internal/testscript",
		}, In: []string{"deploy/e2e/...", "deploy/integration/...", "deploy/bench/...", "deploy/chaos/..."}, Tests: true},
		{Rule: "signals only in services/run", What: []string{"os/signal"}, In: []string{"services/run/..."}},
	}
}

// StandardOnly are the parts that import nothing from outside but the standard
// library and what is listed; the vocabulary comes first.
func StandardOnly() []Row {
	return []Row{
		{Who: "services/broker"},
		{Who: "services/topic/...", May: neutral()},
		{Who: "services/session/...", May: neutral()},
		{Who: "services/scram/...", May: append(neutral(), "golang.org/x/text/...")},
		{Who: "services/run/...", May: neutral()},
		{Who: "services/log/...", May: neutral()},
		{Who: "services/config/...", May: append(neutral(), "github.com/goccy/go-yaml/...", "github.com/knadh/koanf/...")},
		{Who: "services/route/...", May: []string{"services/broker", "services/cluster", "services/topic", "services/log"}},
		{Who: "services/hook/...", May: append(neutral(), "github.com/prometheus/...")},
	}
}

// neutral libraries bring no protocol, no server and no framework.
func neutral() []string {
	return []string{"golang.org/x/sys/...", "golang.org/x/sync/...", "golang.org/x/time/...", "github.com/cespare/xxhash/..."}
}

// EmbeddedServers must not be linked into a program outside deploy, not even
// through a library.
func EmbeddedServers() []string {
	return []string{"go.etcd.io/etcd/server/...", "github.com/nats-io/nats-server/..."}
}

// TopLevel are the entries that may stand beside dot-files at the top.
func TopLevel() []string {
	return []string{
		"proto", "services", "gateway-mqtt", "gateway-sn", "gateway-coap", "gateway-lwm2m", "gateway-stomp",
		"router", "session-store", "authsvc", "mgmt-api", "deploy",
		"buf.yaml", "go.work", "go.work.sum", "Makefile", "README.md", "LICENSE", "CONTRIBUTING.md",
	}
}
