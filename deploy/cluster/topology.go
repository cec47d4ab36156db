package cluster

import (
	"fmt"
	"net"
	"strconv"

	"github.com/pando-mq/pando/services/boot"
)

// Topology is how many processes of each kind there are.
type Topology struct {
	Etcd, NATS, Routers, Stores, Auth, Gateways, Mgmt int
}

// DefaultTopology is what `make cluster` starts.
func DefaultTopology() Topology {
	return Topology{Etcd: 3, NATS: 3, Routers: 2, Stores: 2, Auth: 2, Gateways: 2, Mgmt: 1}
}

// The kinds of processes, which are the names of the binaries but for the servers, which are in pando.
const (
	KindEtcd    = "etcd"
	KindNATS    = "nats"
	KindRouter  = "router"
	KindStore   = "session-store"
	KindAuth    = "authsvc"
	KindGateway = "gateway-mqtt"
	KindMgmt    = "mgmt-api"
)

// kinds in the order of their start: a later one needs those before it.
func (t Topology) kinds() []struct {
	kind  string
	count int
	phase int // kinds of one phase start together
} {
	return []struct {
		kind  string
		count int
		phase int
	}{
		{KindEtcd, t.Etcd, 0}, {KindNATS, t.NATS, 0},
		{KindStore, t.Stores, 1}, {KindRouter, t.Routers, 1}, {KindAuth, t.Auth, 1},
		{KindMgmt, t.Mgmt, 2}, {KindGateway, t.Gateways, 2},
	}
}

// Process is one process of the cluster.
type Process struct {
	Name   string // "router-1"
	Kind   string
	Offset int // added to each of its ports

	phase int
}

// step is the distance between the offsets of two processes: with it no two ports of two processes meet, as TestPortsOfProcessesNeverMeet shows.
const step = 7

// processes lists the processes in the order of their start. Offsets are given out the other way round, so that people find the gateways at the first.
func (t Topology) processes(offset int) []Process {
	var list []Process
	kinds := t.kinds()
	next := offset
	for i := len(kinds) - 1; i >= 0; i-- {
		k, group := kinds[i], []Process(nil)
		for n := range k.count {
			group = append(group, Process{Name: k.kind + "-" + strconv.Itoa(n+1), Kind: k.kind, Offset: next, phase: k.phase})
			next += step
		}
		list = append(group, list...)
	}
	return list
}

// The ports of the embedded servers, before the offset.
const (
	portEtcd, portEtcdPeer = 2379, 2380
	portNATS, portRoutes   = 4222, 6222
	portOps                = boot.PortOps
)

// Addr is one of the process's addresses on loopback, by its port before the offset.
func (p Process) Addr(port int) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(boot.OffsetPort(port, p.Offset)))
}

// ports are those that the process listens on, before the offset.
func (p Process) ports() []int {
	switch p.Kind {
	case KindEtcd:
		return []int{portEtcd, portEtcdPeer, portOps}
	case KindNATS:
		return []int{portNATS, portRoutes, portOps}
	case KindRouter:
		return []int{boot.PortRouter, portOps}
	case KindStore:
		return []int{boot.PortSessionStore, portOps}
	case KindAuth:
		return []int{boot.PortAuth, portOps}
	case KindGateway:
		return []int{1883, 8883, 8083, 8084, boot.PortGateway, portOps}
	case KindMgmt:
		return []int{8080, boot.PortMgmt, portOps}
	}
	return nil
}

// free reports whether all ports of the processes can be listened on now.
func free(list []Process) error {
	var open []net.Listener
	defer func() {
		for _, l := range open {
			_ = l.Close()
		}
	}()
	for _, p := range list {
		for _, port := range p.ports() {
			l, err := net.Listen("tcp", p.Addr(port))
			if err != nil {
				return fmt.Errorf("%s: %w", p.Name, err)
			}
			open = append(open, l)
		}
	}
	return nil
}
