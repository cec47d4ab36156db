package emq

import (
	"net"
	"slices"
	"strings"

	"github.com/pando-mq/pando/services/config"
)

// shortVariables are the ones with a name of their own (§11.8 of the
// reference, and the HTTP names of version 2.0).
var shortVariables = map[string]string{
	"EMQ_NODE_NAME":   "node.name",
	"EMQ_NODE_COOKIE": "node.cookie",
	"EMQ_MAX_PORTS":   "node.max_ports",
	"EMQ_TCP_PORT":    "listener.tcp.external",
	"EMQ_SSL_PORT":    "listener.ssl.external",
	"EMQ_WS_PORT":     "listener.ws.external",
	"EMQ_HTTP_PORT":   "listener.ws.external",
	"EMQ_WSS_PORT":    "listener.wss.external",
	"EMQ_HTTPS_PORT":  "listener.wss.external",
}

// environ turns EMQ_ variables into settings: the short ones, and
// EMQ_<KEY> with two underscores for each dot. Empty variables are not set.
func (c *conversion) environ(vars []string) []Setting {
	var out []Setting
	sorted := slices.Sorted(slices.Values(vars))
	for _, v := range sorted {
		name, value, _ := strings.Cut(v, "=")
		upper := strings.ToUpper(name)
		if !strings.HasPrefix(upper, "EMQ_") || value == "" {
			continue
		}
		s := Setting{Value: strings.TrimSpace(value), Origin: config.Origin{Kind: config.Environment, Name: name}}
		lower := strings.ToLower(strings.TrimPrefix(upper, "EMQ_"))
		switch key, short := shortVariables[upper]; {
		case short && strings.HasSuffix(upper, "_PORT"):
			s.Key, s.Value = key, c.port(name, key, s)
		case short:
			s.Key = key
		case strings.Contains(lower, "__") || c.index.find(lower) != nil:
			s.Key = strings.ReplaceAll(lower, "__", ".")
		default:
			c.notices.add(name, s.Origin, "names no key, not read")
			continue
		}
		out = append(out, s)
	}
	return out
}

// port gives a listener's new address: the address of the file with another
// port. Without an emq.conf the listener stays on loopback, as every listener
// does that nobody has opened.
func (c *conversion) port(name, key string, s Setting) string {
	if old, ok := c.settings[key]; ok {
		if bind, err := address(old.Value); err == nil {
			host, _, _ := net.SplitHostPort(bind.(string))
			return net.JoinHostPort(host, s.Value)
		}
	}
	if c.place.conf != "" {
		return s.Value
	}
	to := "mqtt.listeners." + strings.Split(key, ".")[1] + ".bind"
	c.notices.add(name, s.Origin, "without an emq.conf this listens on 127.0.0.1, see "+to)
	return net.JoinHostPort("127.0.0.1", s.Value)
}
