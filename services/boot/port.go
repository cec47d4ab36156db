package boot

import (
	"fmt"
	"net"
	"strconv"
)

// Ports on which the services listen for one another and for operators, before the offset.
const (
	PortMgmt         = 9700
	PortRouter       = 9701
	PortSessionStore = 9702
	PortAuth         = 9703
	PortGateway      = 9704
	PortOps          = 9880
)

// MaxPortOffset is the largest port_offset.
const MaxPortOffset = 45000

// Offset adds n to the port of "host:port", as port_offset asks: a sum above 65535 has 50000 subtracted. Port 0, which the system chooses, stays 0.
func Offset(addr string, n int) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("address %q: %w", addr, err)
	}
	p, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return "", fmt.Errorf("address %q: the port is not a number up to 65535", addr)
	}
	return net.JoinHostPort(host, strconv.Itoa(OffsetPort(int(p), n))), nil
}

// OffsetPort is Offset for a bare port.
func OffsetPort(port, n int) int {
	if port == 0 {
		return 0
	}
	if port+n > 65535 {
		return port + n - 50000
	}
	return port + n
}
