package embedded

import (
	"fmt"
	"net"
	"strconv"
)

// hostPort splits "host:port".
func hostPort(addr string) (string, int, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, fmt.Errorf("address %q: %w", addr, err)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("address %q: the port is not a number up to 65535", addr)
	}
	return host, int(n), nil
}
