package load

import (
	"math/rand/v2"
	"net/netip"
)

// perSource is how many connections one source address makes before another is used: the system gives 28,000 ports to outgoing connections, and those that
// ended keep theirs for a minute.
const perSource = 10_000

// LoopbackSources are addresses in 127.0.0.0/8 for so many connections to a loopback address; none for other targets or when one address has enough ports.
func LoopbackSources(to netip.Addr, connections int) []netip.Addr {
	if !to.Is4() || !to.IsLoopback() || connections < perSource/5 {
		return nil
	}
	var list []netip.Addr
	net := byte(1 + rand.IntN(250)) // not where the last run left its ports
	for i := range connections/perSource + 1 {
		list = append(list, netip.AddrFrom4([4]byte{127, net, byte(i / 250), byte(i%250 + 1)}))
	}
	return list
}
