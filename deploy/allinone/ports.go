package allinone

import (
	"bufio"
	"fmt"
	"io"

	"github.com/pando-mq/pando/services/boot"
)

// Port is one row of the table of ports: what listens where when nobody says otherwise.
type Port struct {
	Port     int
	Protocol string // tcp or udp
	What     string
	Process  string // that opens it when the services are apart; "" = pando itself
	Key      string // of the configuration that moves it; "" with Later
	Off      bool   // closed unless it is configured
	Internal bool   // between services: the all-in-one process does not open it
	Later    bool   // kept free for a part of the suite that is not there yet
}

// Ports is the table of ports. Loopback everywhere until the configuration says otherwise; port_offset moves all of them.
func Ports() []Port {
	return []Port{
		{Port: 1883, What: "MQTT", Process: "gateway-mqtt", Key: "mqtt.listeners.tcp.bind"},
		{Port: 8883, What: "MQTT over TLS", Process: "gateway-mqtt", Key: "mqtt.listeners.ssl.bind"},
		{Port: 8083, What: "MQTT over WebSocket (path /mqtt), /status, /mqtt/status", Process: "gateway-mqtt", Key: "mqtt.listeners.ws.bind"},
		{Port: 8084, What: "MQTT over WebSocket and TLS, /status, /mqtt/status", Process: "gateway-mqtt", Key: "mqtt.listeners.wss.bind"},
		{Port: 11883, What: "MQTT, internal listener", Process: "gateway-mqtt", Key: "mqtt.listeners.tcp-internal.bind", Off: true},
		{Port: 8080, What: "REST API, /status", Process: "mgmt-api", Key: "mgmt.listen"},
		{Port: boot.PortOps, What: "operations: /healthz, /readyz, /metrics, /debug/pprof", Process: "every process", Key: "ops.listen"},
		{Port: boot.PortMgmt, What: "gRPC for pandoctl", Process: "mgmt-api", Key: "cluster.listen", Internal: true},
		{Port: boot.PortRouter, What: "gRPC between services", Process: "router", Key: "cluster.listen", Internal: true},
		{Port: boot.PortSessionStore, What: "gRPC between services", Process: "session-store", Key: "cluster.listen", Internal: true},
		{Port: boot.PortAuth, What: "gRPC between services", Process: "authsvc", Key: "cluster.listen", Internal: true},
		{Port: boot.PortGateway, What: "gRPC between services", Process: "gateway-mqtt", Key: "cluster.listen", Internal: true},
		{Port: 2379, What: "etcd, clients", Process: "etcd", Key: "cluster.etcd.endpoints", Internal: true},
		{Port: 2380, What: "etcd, peers", Process: "etcd", Internal: true},
		{Port: 4222, What: "NATS, clients", Process: "NATS", Key: "cluster.nats.urls", Internal: true},
		{Port: 6222, What: "NATS, routes", Process: "NATS", Internal: true},
		{Port: 18083, What: "dashboard", Process: "mgmt-api", Later: true},
		{Port: 18084, What: "dashboard over TLS", Process: "mgmt-api", Later: true},
		{Port: 1884, Protocol: "udp", What: "MQTT-SN", Process: "gateway-sn", Later: true},
		{Port: 1885, Protocol: "udp", What: "MQTT-SN over DTLS", Process: "gateway-sn", Later: true},
		{Port: 5683, Protocol: "udp", What: "CoAP", Process: "gateway-coap", Later: true},
		{Port: 5684, Protocol: "udp", What: "CoAP over DTLS (tcp: over TLS)", Process: "gateway-coap", Later: true},
		{Port: 5783, Protocol: "udp", What: "LwM2M", Process: "gateway-lwm2m", Later: true},
		{Port: 5784, Protocol: "udp", What: "LwM2M over DTLS", Process: "gateway-lwm2m", Later: true},
		{Port: 61613, What: "STOMP", Process: "gateway-stomp", Later: true},
		{Port: 61614, What: "STOMP over TLS", Process: "gateway-stomp", Later: true},
		{Port: 61616, What: "STOMP over SockJS and WebSocket", Process: "gateway-stomp", Later: true},
	}
}

const portsHead = `# Ports

Made from the code; a test keeps it true. Everything is bound to 127.0.0.1 until the configuration says otherwise, and a listener for devices that is bound
elsewhere is refused as long as no authentication is configured (or ` + "`auth.allow_anonymous: true`" + ` says that everybody shall get in).

` + "`--port-offset N`" + ` (` + "`port_offset`" + `, 0 to %d) adds N to every port that a process listens on, UDP too; a sum above 65535 has 50000 subtracted. So several
suites run side by side: ` + "`pando run --port-offset 100 --data-dir ./other`" + `.

| port | | what | process | key |
|---|---|---|---|---|
`

// WritePorts writes the table as Markdown.
func WritePorts(w io.Writer) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, portsHead, boot.MaxPortOffset)
	for _, p := range Ports() {
		protocol, note := p.Protocol, ""
		if protocol == "" {
			protocol = "tcp"
		}
		switch {
		case p.Later:
			note = "kept free, comes later"
		case p.Off:
			note = "off by default; `" + p.Key + "`"
		case p.Key != "":
			note = "`" + p.Key + "`"
		}
		if p.Internal {
			note += "; not opened by `pando`"
		}
		fmt.Fprintf(out, "| %d | %s | %s | %s | %s |\n", p.Port, protocol, p.What, p.Process, trim(note))
	}
	return out.Flush()
}

// trim takes a leading separator off.
func trim(s string) string {
	if len(s) > 2 && s[:2] == "; " {
		return s[2:]
	}
	return s
}
