package cluster

import "testing"

// No two processes of a cluster listen on the same port, wherever the cluster begins.
func TestPortsOfProcessesNeverMeet(t *testing.T) {
	t.Parallel()
	for _, topology := range []Topology{DefaultTopology(), {Etcd: 3, NATS: 3, Routers: 3, Stores: 3, Auth: 2, Gateways: 4, Mgmt: 1}} {
		for offset := 1; offset <= 45000-2000; offset += 97 {
			taken := map[string]string{}
			for _, p := range topology.processes(offset) {
				for _, port := range p.ports() {
					addr := p.Addr(port)
					if other := taken[addr]; other != "" {
						t.Fatalf("offset %d: %s and %s both listen on %s", offset, p.Name, other, addr)
					}
					taken[addr] = p.Name
				}
			}
		}
	}
}
