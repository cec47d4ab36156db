package log

// The permitted keys. A line's other keys are time, level and msg, which slog
// writes. Whoever needs a new key adds it here first: dashboards and alerts
// are written against this list.
const (
	KeyAddr       = "addr"       // KeyAddr: a local or remote network address, host:port.
	KeyAttempt    = "attempt"    // KeyAttempt: how many times something was tried, from 1.
	KeyBytes      = "bytes"      // KeyBytes: a size in bytes.
	KeyClientID   = "clientid"   // KeyClientID: the device's client id.
	KeyCluster    = "cluster"    // KeyCluster: the cluster's name.
	KeyCode       = "code"       // KeyCode: a protocol's reason or return code.
	KeyConfigKey  = "key"        // KeyConfigKey: a configuration key.
	KeyCount      = "count"      // KeyCount: how many.
	KeyDurability = "durability" // KeyDurability: the journal's level in force.
	KeyDuration   = "duration"   // KeyDuration: how long it took, as text with its unit.
	KeyEpoch      = "epoch"      // KeyEpoch: a partition's or a connection's epoch.
	KeyError      = "error"      // KeyError: what went wrong.
	KeyFile       = "file"       // KeyFile: a path.
	KeyFilter     = "filter"     // KeyFilter: a topic filter.
	KeyHook       = "hook"       // KeyHook: a hook point.
	KeyKind       = "kind"       // KeyKind: the kind of an error or of a listener.
	KeyLimit      = "limit"      // KeyLimit: the bound that was reached.
	KeyLine       = "line"       // KeyLine: a line of a file.
	KeyListener   = "listener"   // KeyListener: a listener's name.
	KeyNode       = "node"       // KeyNode: a node's name, name@host.
	KeyPartition  = "partition"  // KeyPartition: a partition's number.
	KeyPeer       = "peer"       // KeyPeer: another process of the suite.
	KeyPeername   = "peername"   // KeyPeername: the device's address, host:port.
	KeyPID        = "pid"        // KeyPID: a process id.
	KeyProtocol   = "protocol"   // KeyProtocol: a device protocol and its version.
	KeyReason     = "reason"     // KeyReason: why, in a few words.
	KeyReplicas   = "replicas"   // KeyReplicas: how many copies are kept.
	KeyRevision   = "revision"   // KeyRevision: a revision of etcd's store.
	KeyRole       = "role"       // KeyRole: a service's role in the cluster.
	KeySequence   = "sequence"   // KeySequence: a sequence number.
	KeyService    = "service"    // KeyService: a service of the suite.
	KeySession    = "session"    // KeySession: a session's id.
	KeyState      = "state"      // KeyState: the state that was entered.
	KeyStream     = "stream"     // KeyStream: the name of a stream.
	KeySubject    = "subject"    // KeySubject: a subject of the event bus.
	KeySuppressed = "suppressed" // KeySuppressed: how many equal lines were left out before this one.
	KeyTenant     = "tenant"     // KeyTenant: a tenant's name.
	KeyTopic      = "topic"      // KeyTopic: a topic.
	KeyTrace      = "trace_id"   // KeyTrace: the trace of the message or request.
	KeyURL        = "url"        // KeyURL: an address without its credentials.
	KeyUsername   = "username"   // KeyUsername: the device's user name.
	KeyVersion    = "version"    // KeyVersion: a version of the software or of a protocol.
)
