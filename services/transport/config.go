package transport

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// Config describes one listener. The zero value is not useful: start from
// Default. Sizes are bytes.
type Config struct {
	Name             string        `yaml:"name" default:"default" doc:"name of the listener in logs, metrics and commands"`
	Kind             Kind          `yaml:"kind" default:"tcp" doc:"tcp, tls (or ssl), ws, wss"`
	Bind             string        `yaml:"bind" doc:"host:port; without a host every address of the machine"`
	Transport        Mode          `yaml:"transport" default:"auto" doc:"what serves connections: loop (event loops, Linux only), goroutine (one per connection), auto (loop where it exists)"`
	Acceptors        int           `yaml:"acceptors" default:"2" doc:"goroutines that accept"`
	Backlog          int           `yaml:"backlog" default:"0" doc:"connections the kernel keeps until accepted; 0: the system's limit, which also bounds other values"`
	MaxClients       int           `yaml:"max_clients" default:"102400" doc:"connections at once; above it a connection is accepted, counted, told why and closed"`
	MaxHandshakes    int           `yaml:"max_handshakes" default:"2048" doc:"TLS and WebSocket handshakes at once; above it connections are closed"`
	ConnRate         float64       `yaml:"conn_rate" default:"0" doc:"connections accepted per second; more wait in the kernel's queue; 0: no limit"`
	ConnBurst        float64       `yaml:"conn_burst" default:"0" doc:"connections accepted at once before conn_rate counts; 0: one second of it"`
	ProxyProtocol    bool          `yaml:"proxy_protocol" default:"false" doc:"every connection begins with a header of the PROXY protocol, version 1 or 2, from a trusted peer"`
	ProxyTimeout     time.Duration `yaml:"proxy_protocol_timeout" default:"3s" doc:"for that header"`
	HandshakeTimeout time.Duration `yaml:"handshake_timeout" default:"15s" doc:"for TLS and WebSocket handshake together"`
	SendTimeout      time.Duration `yaml:"send_timeout" default:"15s" doc:"a peer that takes nothing for so long is closed"`
	NoDelay          bool          `yaml:"nodelay" default:"true" doc:"TCP_NODELAY; output is batched anyway"`
	SndBuf           int           `yaml:"sndbuf" default:"0" doc:"SO_SNDBUF; 0: the system's"`
	RecBuf           int           `yaml:"recbuf" default:"0" doc:"SO_RCVBUF; 0: the system's"`
	MaxPending       int           `yaml:"max_pending" default:"1048576" doc:"output queued for one connection above which it is closed"`
	HighWater        int           `yaml:"high_water" default:"131072" doc:"output queued for one connection above which its session holds messages back"`
	ReadLimit        int           `yaml:"read_limit" default:"65536" doc:"unfinished input kept for one connection before it is authenticated"`

	CertFile    string   `yaml:"certfile" doc:"PEM certificate chain of the server (tls, wss)"`
	KeyFile     string   `yaml:"keyfile" doc:"PEM private key of the server"`
	CACertFile  string   `yaml:"cacertfile" doc:"PEM certificates that sign client certificates"`
	Verify      string   `yaml:"verify" default:"none" doc:"client certificates: none, optional, required"`
	TLSVersions []string `yaml:"tls_versions" default:"tlsv1.2,tlsv1.3" doc:"allowed versions, without a gap: tlsv1, tlsv1.1, tlsv1.2, tlsv1.3"`
	Ciphers     []string `yaml:"ciphers" doc:"allowed suites of TLS 1.2 and before, by their IANA or OpenSSL names; none: the usual ones"`
	CRLFile     string   `yaml:"crlfile" doc:"PEM lists of revoked client certificates; with it the issuer of every client certificate needs a valid list"`
	More        []Pair   `yaml:"certificates" doc:"further certificates, for clients that ask for one of their names (SNI)"`

	Path               string   `yaml:"path" default:"/mqtt" doc:"path that is upgraded (ws, wss)"`
	Subprotocols       []string `yaml:"subprotocols" default:"mqtt,mqttv3.1,mqttv3.1.1" doc:"WebSocket sub-protocols"`
	RequireSubprotocol bool     `yaml:"websocket_protocol_header" default:"true" doc:"refuse clients that offer none of the sub-protocols"`
	AllowedOrigins     []string `yaml:"allowed_origins" doc:"scheme://host[:port] of the pages that may connect; empty: all"`
}

// Pair names the PEM files of a certificate chain and of its private key.
type Pair struct {
	CertFile string `yaml:"certfile" doc:"PEM certificate chain"`
	KeyFile  string `yaml:"keyfile" doc:"PEM private key"`
}

// Default returns the configuration that the default tags show.
func Default() Config {
	return Config{
		Name: "default", Kind: TCP, Transport: Auto, Acceptors: 2, MaxClients: 102400, MaxHandshakes: 2048,
		ProxyTimeout: 3 * time.Second, HandshakeTimeout: 15 * time.Second, SendTimeout: 15 * time.Second, NoDelay: true,
		MaxPending: 1 << 20, HighWater: 128 << 10, ReadLimit: 64 << 10,
		Verify: "none", TLSVersions: []string{"tlsv1.2", "tlsv1.3"},
		Path: "/mqtt", Subprotocols: []string{"mqtt", "mqttv3.1", "mqttv3.1.1"}, RequireSubprotocol: true,
	}
}

// Validate reports every mistake in c, each with its key.
func (c *Config) Validate() error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("listener %q: %s: %s", c.Name, key, fmt.Sprintf(format, args...)))
	}
	switch c.Kind {
	case TCP, TLS, WS, WSS, "ssl":
	default:
		bad("kind", "%q is not one of tcp, tls, ssl, ws, wss", c.Kind)
	}
	switch c.Transport {
	case Auto, Goroutine:
	case Loop:
		if !loopsExist {
			bad("transport", "there are no event loops on this system")
		}
	default:
		bad("transport", "%q is not one of auto, loop, goroutine", c.Transport)
	}
	if _, _, err := net.SplitHostPort(c.Bind); err != nil {
		bad("bind", "%v", err)
	}
	for _, n := range []struct {
		key        string
		value, min int
	}{
		{"acceptors", c.Acceptors, 1}, {"backlog", c.Backlog, 0}, {"max_clients", c.MaxClients, 1},
		{"max_handshakes", c.MaxHandshakes, 1}, {"sndbuf", c.SndBuf, 0}, {"recbuf", c.RecBuf, 0},
		{"high_water", c.HighWater, 4}, {"max_pending", c.MaxPending, c.HighWater}, {"read_limit", c.ReadLimit, 1},
	} {
		if n.value < n.min {
			bad(n.key, "%d is less than %d", n.value, n.min)
		}
	}
	if c.ConnRate < 0 || c.ConnBurst < 0 || c.ConnBurst > 0 && c.ConnRate == 0 {
		bad("conn_rate", "%v with a burst of %v", c.ConnRate, c.ConnBurst)
	}
	if c.ProxyTimeout <= 0 {
		bad("proxy_protocol_timeout", "must be positive")
	}
	if c.HandshakeTimeout <= 0 {
		bad("handshake_timeout", "must be positive")
	}
	if c.SendTimeout <= 0 {
		bad("send_timeout", "must be positive")
	}
	if c.kind().web() && !strings.HasPrefix(c.Path, "/") {
		bad("path", "%q does not begin with /", c.Path)
	}
	if c.kind().web() && c.RequireSubprotocol && len(c.Subprotocols) == 0 {
		bad("subprotocols", "empty although one is required")
	}
	if c.kind().secure() {
		c.validateTLS(bad)
	}
	return errors.Join(errs...)
}

func (c *Config) validateTLS(bad func(key, format string, args ...any)) {
	if c.CertFile == "" {
		bad("certfile", "needed for %s", c.Kind)
	}
	if c.KeyFile == "" {
		bad("keyfile", "needed for %s", c.Kind)
	}
	switch c.Verify {
	case "none":
	case "optional", "required":
		if c.CACertFile == "" {
			bad("cacertfile", "needed to verify client certificates")
		}
	default:
		bad("verify", "%q is not one of none, optional, required", c.Verify)
	}
	if c.CRLFile != "" && c.Verify == "none" {
		bad("crlfile", "no client certificate is verified")
	}
	if _, _, err := versions(c.TLSVersions); err != nil {
		bad("tls_versions", "%v", err)
	}
	for _, name := range c.Ciphers {
		if _, err := Cipher(name); err != nil {
			bad("ciphers", "%v", err)
		}
	}
	for _, p := range c.More {
		if p.CertFile == "" || p.KeyFile == "" {
			bad("certificates", "each needs certfile and keyfile")
		}
	}
}

// kind is Kind with its alias resolved.
func (c *Config) kind() Kind {
	if c.Kind == "ssl" {
		return TLS
	}
	return c.Kind
}
