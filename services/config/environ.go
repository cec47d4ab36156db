package config

import (
	"cmp"
	"slices"
	"strings"
)

// environPrefix starts every variable that is configuration.
const environPrefix = "PANDO_"

// EnvironName gives the variable that sets a key: "mqtt.idle_timeout" is
// PANDO_MQTT__IDLE_TIMEOUT.
func EnvironName(key string) string {
	return environPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "__"))
}

// assignment is one value from the environment or an override.
type assignment struct {
	path  []string
	value *node
}

// environ picks the assignments out of os.Environ(): general ones before
// those below them, else by name. Names are not case-sensitive.
func environ(vars, ignore []string) []assignment {
	var out []assignment
	for _, v := range vars {
		name, value, _ := strings.Cut(v, "=")
		upper := strings.ToUpper(name)
		rest, ok := strings.CutPrefix(upper, environPrefix)
		if !ok || rest == "" || slices.ContainsFunc(ignore, func(s string) bool { return strings.EqualFold(s, name) }) || serviceLink(upper, value) {
			continue
		}
		path := strings.Split(strings.ToLower(rest), "__")
		out = append(out, assignment{path, loose(value, Origin{Kind: Environment, Name: name})})
	}
	slices.SortStableFunc(out, func(a, b assignment) int {
		if c := cmp.Compare(len(a.path), len(b.path)); c != 0 {
			return c
		}
		return slices.Compare(a.path, b.path)
	})
	return out
}

// serviceLink recognises the variables that Kubernetes adds to every container
// for a Service called pando or pando-router: PANDO_ROUTER_SERVICE_HOST,
// PANDO_ROUTER_PORT=tcp://10.0.0.1:9701, PANDO_PORT_1883_TCP_ADDR.
func serviceLink(name, value string) bool {
	if strings.Contains(name, "__") {
		return false
	}
	if strings.HasSuffix(name, "_SERVICE_HOST") || strings.HasSuffix(name, "_SERVICE_PORT") || strings.Contains(name, "_SERVICE_PORT_") {
		return true
	}
	if strings.HasSuffix(name, "_PORT") {
		return strings.HasPrefix(value, "tcp://") || strings.HasPrefix(value, "udp://")
	}
	_, link, ok := strings.Cut(name, "_PORT_")
	number, rest := cutNumber(link)
	return ok && number != "" && (strings.HasPrefix(rest, "_TCP") || strings.HasPrefix(rest, "_UDP"))
}

// overrides reads "a.b=value".
func overrides(list []string) ([]assignment, Problems) {
	var out []assignment
	var ps Problems
	for _, o := range list {
		key, value, ok := strings.Cut(o, "=")
		origin := Origin{Kind: Override, Name: key}
		if !ok || key == "" {
			ps = append(ps, Problem{Origin: origin, Text: "an override is written key=value"})
			continue
		}
		out = append(out, assignment{strings.Split(key, "."), loose(value, origin)})
	}
	return out, ps
}
