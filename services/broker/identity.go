package broker

import (
	"net/netip"
	"time"
)

// NodeRef names one running process: its configured id and its incarnation (create revision of its key in etcd). A restarted process has another incarnation.
type NodeRef struct {
	ID          string
	Incarnation uint64
}

// Identity is who a connection is, as authentication left it. Immutable.
type Identity struct {
	Tenant    string
	ClientID  string
	Username  string
	Superuser bool // skips ACL
	Peer      netip.AddrPort
	Protocol  string // "mqtt", "mqtt-sn", "coap", "lwm2m", "stomp", "http"
	Version   uint8  // protocol level where the protocol has one (MQTT: 3, 4, 5)
	Listener  string // "mqtt:tcp:127.0.0.1:1883"
	CertCN    string // "" without a client certificate
	CertDN    string
	Expires   time.Time // zero: never; the connection is ended then (tokens)
}

// Credentials is what a device offered at CONNECT. Password is cleared by the callee's adapters from logs: it has no String.
type Credentials struct {
	Tenant   string
	ClientID string
	Username string
	HasUser  bool // a user name was sent, perhaps empty
	Password Secret
	HasPass  bool
	Peer     netip.AddrPort
	Protocol string
	Version  uint8
	Listener string
	CertCN   string
	CertDN   string
	Loopback bool              // the listener is bound to a loopback address
	Headers  map[string]string // of the WebSocket upgrade (Cookie, ...); nil elsewhere
}

// Secret is bytes that never print.
type Secret []byte

// String hides the secret from fmt and slog.
func (Secret) String() string { return "[secret]" }

// GoString hides the secret from %#v.
func (Secret) GoString() string { return "[secret]" }

// ConnEpoch orders the connections of one client id: partition epoch first, then the counter (rule N12). The zero value is below every real one.
type ConnEpoch struct {
	Partition uint64
	Counter   uint64
}

// Less reports whether e is older than o.
func (e ConnEpoch) Less(o ConnEpoch) bool {
	return e.Partition < o.Partition || e.Partition == o.Partition && e.Counter < o.Counter
}
