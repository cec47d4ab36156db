package emq

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/pando-mq/pando/services/config"
)

// reader turns a value of the seed's files into one of the configuration
// tree. Its error says what was expected.
type reader func(value string) (any, error)

func text(value string) (any, error) { return value, nil }

// flag reads on, off, true, false.
func flag(value string) (any, error) {
	switch strings.ToLower(value) {
	case "on", "true":
		return true, nil
	case "off", "false":
		return false, nil
	}
	return nil, errors.New("on or off")
}

// duration reads spans with units; a bare number is seconds.
func duration(value string) (any, error) {
	if _, err := strconv.ParseUint(value, 10, 32); err == nil {
		value += "s"
	}
	d, err := config.ParseDuration(value)
	if err != nil {
		return nil, errors.New("a duration, such as 30s, 1h30m or 2w")
	}
	return d.String(), nil
}

// milliseconds reads spans with units, a bare number of milliseconds, or false for none.
func milliseconds(value string) (any, error) {
	if value == "false" || value == "off" {
		return "0s", nil
	}
	if _, err := strconv.ParseUint(value, 10, 31); err == nil {
		value += "ms"
	}
	return duration(value)
}

// size reads bytes, KB, MB, GB.
func size(value string) (any, error) {
	s, err := config.ParseSize(value)
	if err != nil {
		return nil, errors.New("a size, such as 64KB")
	}
	return s.String(), nil
}

// percent reads 20%.
func percent(value string) (any, error) {
	p, err := config.ParsePercent(value)
	if err != nil {
		return nil, errors.New("a percentage, such as 20%")
	}
	return p.String(), nil
}

// integer reads a whole number; "infinity" is 0, which means no limit.
func integer(value string) (any, error) {
	if value == "infinity" {
		return "0", nil
	}
	n, err := strconv.ParseUint(value, 10, 31)
	if err != nil {
		return nil, errors.New("a whole number")
	}
	return strconv.FormatUint(n, 10), nil
}

// number reads a decimal number from 0.
func number(value string) (any, error) {
	f, err := strconv.ParseFloat(value, 64)
	if err != nil || f < 0 || f-f != 0 {
		return nil, errors.New("a number")
	}
	return value, nil
}

// oneOf reads one of a few words.
func oneOf(words ...string) reader {
	return func(value string) (any, error) {
		if !slices.Contains(words, value) {
			return nil, fmt.Errorf("one of %s", strings.Join(words, ", "))
		}
		return value, nil
	}
}

// words reads a list with commas.
func words(value string) (any, error) {
	out := []string{}
	for w := range strings.SplitSeq(value, ",") {
		if w = strings.TrimSpace(w); w != "" {
			out = append(out, w)
		}
	}
	return out, nil
}

// priorities reads "topic/1=10,topic/2=8".
func priorities(value string) (any, error) {
	list, _ := words(value)
	out := make(map[string]any)
	for _, item := range list.([]string) {
		i := strings.LastIndexByte(item, '=')
		n, err := strconv.Atoi(strings.TrimSpace(item[i+1:]))
		if i < 1 || err != nil || n < 0 || n > 255 {
			return nil, errors.New("topic=priority pairs with commas, priorities 0 to 255")
		}
		out[strings.TrimSpace(item[:i])] = n
	}
	return out, nil
}

// versions reads "tlsv1.2,tlsv1.1,tlsv1" to "1.2", "1.1", "1.0".
func versions(value string) (any, error) {
	list, _ := words(value)
	out := []string{}
	for _, v := range list.([]string) {
		v = strings.TrimPrefix(v, "tlsv")
		if v == "1" {
			v = "1.0"
		}
		if !slices.Contains([]string{"1.0", "1.1", "1.2", "1.3"}, v) {
			return nil, errors.New("versions of TLS, such as tlsv1.2,tlsv1.1")
		}
		out = append(out, v)
	}
	return out, nil
}

// level maps the eight syslog levels to four.
func level(value string) (any, error) {
	four := map[string]string{
		"debug": "debug", "info": "info", "notice": "info", "warning": "warn",
		"error": "error", "critical": "error", "alert": "error", "emergency": "error",
	}
	if l, ok := four[value]; ok {
		return l, nil
	}
	return nil, errors.New("one of debug, info, notice, warning, error, critical, alert, emergency")
}

// address reads "1883", "127.0.0.1:1883", "::1:1883" and "[::1]:1883"; a bare
// port listens on all addresses.
func address(value string) (any, error) {
	wrong := errors.New("a port or an address and a port, such as 1883 or 127.0.0.1:1883")
	host, port := "0.0.0.0", value
	if i := strings.LastIndexByte(value, ':'); i >= 0 {
		host, port = strings.Trim(value[:i], "[]"), value[i+1:]
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return nil, wrong
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "localhost" {
		return nil, wrong
	}
	return net.JoinHostPort(host, strconv.FormatUint(n, 10)), nil
}

// access reads one rule of a listener: "allow all", "deny 10.0.0.0/8".
func access(value string) (any, error) {
	wrong := errors.New("allow or deny, then all or a network, such as allow 192.168.0.0/24")
	f := strings.Fields(value)
	if len(f) != 2 || f[0] != "allow" && f[0] != "deny" {
		return nil, wrong
	}
	_, prefixErr := netip.ParsePrefix(f[1])
	_, addrErr := netip.ParseAddr(f[1])
	if f[1] != "all" && prefixErr != nil && addrErr != nil {
		return nil, wrong
	}
	return f[0] + " " + f[1], nil
}

// bucket reads "burst,rate" in KB.
func bucket(value string) (config.Limit, error) {
	b, r, ok := strings.Cut(value, ",")
	x, errX := strconv.ParseUint(strings.TrimSpace(b), 10, 31)
	y, errY := strconv.ParseUint(strings.TrimSpace(r), 10, 31)
	if !ok || errX != nil || errY != nil {
		return config.Limit{}, errors.New("burst,rate in KB, such as 100,10")
	}
	return config.Limit{Burst: int64(x << 10), Rate: config.Rate(y << 10)}, nil
}
