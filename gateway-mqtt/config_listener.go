package gatewaymqtt

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/pando-mq/pando/services/config"
	"github.com/pando-mq/pando/services/transport"
)

// ListenerConfig is one entry of mqtt.listeners.
type ListenerConfig struct {
	Disabled         bool          `yaml:"disabled" default:"false" doc:"Do not open this listener."`
	Kind             string        `yaml:"kind" default:"tcp" enum:"tcp,ssl,ws,wss" doc:"Plain TCP, TLS, WebSocket, or WebSocket over TLS."`
	Bind             string        `yaml:"bind" doc:"Address and port; without an address all addresses of the machine."`
	MaxClients       int           `yaml:"max_clients" default:"102400" doc:"Connections at once; more are accepted, counted, told why (0x97, before 5.0 return code 3) and closed."`
	Acceptors        int           `yaml:"acceptors" default:"2" doc:"Goroutines that accept connections."`
	Backlog          int           `yaml:"backlog" default:"0" doc:"Connections that the system keeps until they are accepted; 0 means the system's limit."`
	Mountpoint       string        `yaml:"mountpoint" doc:"Put before every topic of the listener's clients, and taken off what is delivered; %c and %u stand for client id and user name."`
	MaxConnRate      config.Limit  `yaml:"max_conn_rate" default:"0" doc:"Connections accepted per second, or how many at once and the rate, such as 500,100/s; more wait until they are accepted. 0 means no limit."`
	RateLimit        config.Limit  `yaml:"rate_limit" default:"0" doc:"Bytes per second taken from one client, or how many at once and the rate, such as 1MB,100KB/s; more are left in its socket. 0 means no limit."`
	MessageRate      config.Limit  `yaml:"message_rate" default:"0" doc:"The same for messages (PUBLISH), such as 100,10/s."`
	Access           []string      `yaml:"access" doc:"Rules about addresses, such as \"allow 10.0.0.0/8\" or \"deny all\"; the first that matches counts, and a client that none matches is admitted."`
	PeerCertUsername string        `yaml:"peer_cert_as_username" default:"" enum:",cn,dn" doc:"Take the user name from the client's certificate: its common name or its whole subject. Behind a proxy that ends TLS, from its PROXY header of version 2."`
	SendTimeout      time.Duration `yaml:"send_timeout" default:"15s" doc:"A client that takes nothing of its output for so long is disconnected."`
	ProxyProtocol    bool          `yaml:"proxy_protocol" default:"false" doc:"Every connection begins with a header of the PROXY protocol, version 1 or 2, that names the client; others are refused."`
	ProxyTimeout     time.Duration `yaml:"proxy_protocol_timeout" default:"3s" doc:"For that header."`
	HandshakeTimeout time.Duration `yaml:"handshake_timeout" default:"15s" doc:"For the handshakes of TLS and WebSocket together."`
	SndBuf           int64         `yaml:"sndbuf" default:"0" unit:"bytes" doc:"SO_SNDBUF; 0 means the system's choice."`
	RecBuf           int64         `yaml:"recbuf" default:"0" unit:"bytes" doc:"SO_RCVBUF; 0 means the system's choice."`
	NoDelay          bool          `yaml:"nodelay" default:"true" doc:"TCP_NODELAY; output is batched anyway."`

	Path               string   `yaml:"path" default:"/mqtt" doc:"Path of the WebSocket (ws, wss)."`
	AllowedOrigins     []string `yaml:"allowed_origins" doc:"Pages that may connect, as scheme://host[:port] (ws, wss); none means all."`
	ProxyAddressHeader string   `yaml:"proxy_address_header" doc:"Header in which a trusted proxy names the client's address, such as X-Forwarded-For (ws, wss)."`
	ProxyPortHeader    string   `yaml:"proxy_port_header" doc:"Header in which a trusted proxy names the client's port, such as X-Forwarded-Port (ws, wss)."`
	TrustedProxies     []string `yaml:"trusted_proxies" default:"127.0.0.0/8,::1" doc:"Addresses of proxies whose headers are believed, of the PROXY protocol and of HTTP."`

	Limits LimitsConfig `yaml:"limits" doc:"What this listener's clients may do; MQTT 5 clients are told in CONNACK."`
	TLS    TLSConfig    `yaml:"tls" doc:"Certificates and versions (ssl, wss)."`
}

// TLSConfig is the part of a listener of kind ssl or wss.
type TLSConfig struct {
	CertFile         string   `yaml:"certfile" doc:"PEM file with the server's certificate chain; empty means the one made at the first start."`
	KeyFile          string   `yaml:"keyfile" doc:"PEM file with the server's private key."`
	CACertFile       string   `yaml:"cacertfile" doc:"PEM file with the authorities that sign clients' certificates."`
	Verify           string   `yaml:"verify" default:"verify_none" enum:"verify_none,verify_peer" doc:"Whether clients are asked for a certificate."`
	FailIfNoPeerCert bool     `yaml:"fail_if_no_peer_cert" default:"false" doc:"Refuse clients without a certificate."`
	Versions         []string `yaml:"versions" default:"1.2,1.3" doc:"Allowed versions of TLS, of 1.0 to 1.3 and without a gap."`
	Ciphers          []string `yaml:"ciphers" doc:"Allowed cipher suites of TLS 1.2 and before, by their names of IANA or OpenSSL; none means the usual ones. Those of TLS 1.3 cannot be chosen."`
	CRLFile          string   `yaml:"crlfile" doc:"PEM file with the lists of revoked client certificates. With it the issuer of each client's certificate must have a list there that has not expired."`
	Certificates     []Pair   `yaml:"certificates" doc:"Further certificates, for clients that ask for one of their names (SNI)."`
}

// Pair is one more certificate of a listener.
type Pair struct {
	CertFile string `yaml:"certfile" doc:"PEM file with the certificate chain."`
	KeyFile  string `yaml:"keyfile" doc:"PEM file with its private key."`
}

// DefaultListener is what the default tags describe.
func DefaultListener() ListenerConfig {
	return ListenerConfig{
		Kind: "tcp", MaxClients: 102400, Acceptors: 2, SendTimeout: 15 * time.Second, HandshakeTimeout: 15 * time.Second, NoDelay: true,
		ProxyTimeout: 3 * time.Second, Path: "/mqtt", Limits: defaultLimits(), TrustedProxies: []string{"127.0.0.0/8", "::1"},
		TLS: TLSConfig{Verify: "verify_none", Versions: []string{"1.2", "1.3"}},
	}
}

// Validate reports every value that makes no sense. The transport checks its own part when the listener is made.
func (l *ListenerConfig) Validate() error {
	var errs []error
	check := func(ok bool, key, format string, args ...any) {
		if !ok {
			errs = append(errs, config.Invalid(key, format, args...))
		}
	}
	_, _, err := net.SplitHostPort(l.Bind)
	check(err == nil, "bind", "%q is no address and port such as 127.0.0.1:1883", l.Bind)
	check(l.Kind == "tcp" || l.Kind == "ssl" || l.Kind == "ws" || l.Kind == "wss", "kind", "%q is not one of tcp, ssl, ws, wss", l.Kind)
	check(l.MaxClients > 0, "max_clients", "must be above 0")
	check(l.Acceptors > 0, "acceptors", "must be above 0")
	check(l.Backlog >= 0, "backlog", "must not be negative")
	check(l.ProxyTimeout > 0, "proxy_protocol_timeout", "must be above 0")
	check(l.SendTimeout > 0, "send_timeout", "must be above 0")
	check(l.HandshakeTimeout > 0, "handshake_timeout", "must be above 0")
	check(l.SndBuf >= 0 && l.RecBuf >= 0, "sndbuf", "sndbuf and recbuf must not be negative")
	check(strings.HasPrefix(l.Path, "/"), "path", "%q does not begin with /", l.Path)
	_, err = parseRules(l.Access)
	check(err == nil, "access", "%v", err)
	_, err = parsePrefixes(l.TrustedProxies)
	check(err == nil, "trusted_proxies", "%v", err)
	check((l.TLS.CertFile == "") == (l.TLS.KeyFile == ""), "tls.certfile", "certfile and keyfile come together")
	errs = append(errs, l.Limits.validate())
	check(l.TLS.CRLFile == "" || l.verifies(), "tls.crlfile", "needs verify: verify_peer")
	check(!l.verifies() || l.TLS.CACertFile != "", "tls.cacertfile", "needed to verify clients' certificates")
	return errors.Join(errs...)
}

// secure reports whether TLS is below, web whether WebSocket is on top.
func (l *ListenerConfig) secure() bool { return l.Kind == "ssl" || l.Kind == "wss" }
func (l *ListenerConfig) web() bool    { return l.Kind == "ws" || l.Kind == "wss" }

// verifies reports whether clients are asked for a certificate.
func (l *ListenerConfig) verifies() bool { return l.secure() && l.TLS.Verify == "verify_peer" }

// local reports whether only clients on this machine reach the listener: behind a proxy they come from elsewhere.
func (l *ListenerConfig) local() bool { return l.loopback() && !l.ProxyProtocol }

// loopback reports whether the address is one of this machine alone.
func (l *ListenerConfig) loopback() bool {
	host, _, err := net.SplitHostPort(l.Bind)
	if err != nil {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

// transport is the listener as package transport knows it. Without a certificate of its own it uses cert.
func (l *ListenerConfig) transport(name string, c *Config, cert Certificate) transport.Config {
	t := transport.Default()
	t.Name, t.Kind, t.Bind, t.Transport = name, transport.Kind(l.Kind), l.Bind, transport.Mode(c.Transport)
	t.MaxClients, t.Acceptors, t.Backlog = l.MaxClients, l.Acceptors, l.Backlog
	t.SendTimeout, t.HandshakeTimeout = l.SendTimeout, l.HandshakeTimeout
	t.SndBuf, t.RecBuf, t.NoDelay = int(l.SndBuf), int(l.RecBuf), l.NoDelay
	t.ConnRate, t.ConnBurst = l.MaxConnRate.Set()
	t.ProxyProtocol, t.ProxyTimeout = l.ProxyProtocol, l.ProxyTimeout
	t.HighWater, t.MaxPending, t.ReadLimit = int(c.HighWater), int(c.MaxPending), preConnect
	t.Path, t.AllowedOrigins, t.RequireSubprotocol = l.Path, l.AllowedOrigins, c.WebSocketProtocolHeader
	t.CertFile, t.KeyFile, t.CACertFile = l.TLS.CertFile, l.TLS.KeyFile, l.TLS.CACertFile
	if t.CertFile == "" {
		t.CertFile, t.KeyFile = cert.CertFile, cert.KeyFile
	}
	t.Verify = "none"
	if l.verifies() {
		t.Verify = "optional"
		if l.TLS.FailIfNoPeerCert {
			t.Verify = "required"
		}
	}
	t.Ciphers, t.CRLFile = l.TLS.Ciphers, l.TLS.CRLFile
	for _, p := range l.TLS.Certificates {
		t.More = append(t.More, transport.Pair(p))
	}
	t.TLSVersions = nil
	for _, v := range l.TLS.Versions {
		t.TLSVersions = append(t.TLSVersions, strings.TrimSuffix("tlsv"+v, ".0"))
	}
	return t
}

// preConnect is how many bytes are kept of a client that is not connected yet.
const preConnect = 64 << 10
