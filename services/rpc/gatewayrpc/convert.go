package gatewayrpc

import (
	gatewayv1 "github.com/pando-mq/pando/proto/gen/pando/gateway/v1"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/rpc"
	"github.com/pando-mq/pando/services/rpc/brokerrpc"
)

func encodeNode(n *broker.NodeInfo) *gatewayv1.Node {
	return &gatewayv1.Node{
		Name: rpc.Text(n.Name), Role: rpc.Text(n.Role), Version: rpc.Text(n.Version), Incarnation: n.Incarnation,
		StartedMs: brokerrpc.EncodeTime(n.Started), UptimeMs: brokerrpc.EncodeDuration(n.Uptime), Load1: n.Load1, Load5: n.Load5, Load15: n.Load15,
		MemoryTotal: n.MemoryTotal, MemoryUsed: n.MemoryUsed, MaxFds: n.MaxFDs, Goroutines: brokerrpc.EncodeCount(n.Goroutines),
		Clients: brokerrpc.EncodeCount(n.Clients), Durability: rpc.Text(n.Durability), Listeners: brokerrpc.Map(n.Listeners, encodeListener),
		Stats: n.Stats, Metrics: n.Metrics,
	}
}

func decodeNode(c *brokerrpc.Check, p *gatewayv1.Node) broker.NodeInfo {
	return broker.NodeInfo{
		Name: c.Text(p.GetName(), "node"), Role: c.Text(p.GetRole(), "role"), Version: c.Text(p.GetVersion(), "version"), Incarnation: p.GetIncarnation(),
		Started: brokerrpc.DecodeTime(p.GetStartedMs()), Uptime: brokerrpc.DecodeDuration(p.GetUptimeMs()),
		Load1: p.GetLoad1(), Load5: p.GetLoad5(), Load15: p.GetLoad15(), MemoryTotal: p.GetMemoryTotal(), MemoryUsed: p.GetMemoryUsed(),
		MaxFDs: p.GetMaxFds(), Goroutines: c.Count(p.GetGoroutines()), Clients: c.Count(p.GetClients()), Durability: c.Text(p.GetDurability(), "durability"),
		Listeners: brokerrpc.ReadAll(p.GetListeners(), func(l *gatewayv1.Listener) broker.ListenerInfo { return decodeListener(c, l) }),
		Stats:     orNil(p.GetStats()), Metrics: orNil(p.GetMetrics()),
	}
}

func orNil[V any](m map[string]V) map[string]V {
	if len(m) == 0 {
		return nil
	}
	return m
}

func encodeListener(l *broker.ListenerInfo) *gatewayv1.Listener {
	return &gatewayv1.Listener{
		Name: rpc.Text(l.Name), Protocol: rpc.Text(l.Protocol), Bind: rpc.Text(l.Bind), Acceptors: brokerrpc.EncodeCount(l.Acceptors),
		MaxClients: brokerrpc.EncodeCount(l.MaxClients), CurrentClients: brokerrpc.EncodeCount(l.CurrentClients), Running: l.Running, Shutdowns: l.Shutdowns,
	}
}

func decodeListener(c *brokerrpc.Check, p *gatewayv1.Listener) broker.ListenerInfo {
	return broker.ListenerInfo{
		Name: c.Text(p.GetName(), "listener"), Protocol: c.Text(p.GetProtocol(), "protocol"), Bind: c.Text(p.GetBind(), "address"),
		Acceptors: c.Count(p.GetAcceptors()), MaxClients: c.Count(p.GetMaxClients()), CurrentClients: c.Count(p.GetCurrentClients()),
		Running: p.GetRunning(), Shutdowns: orNil(p.GetShutdowns()),
	}
}

func encodeClient(i *broker.ClientInfo) *gatewayv1.Client {
	return &gatewayv1.Client{
		ClientId: rpc.Text(i.ClientID), Username: rpc.Text(i.Username), Node: rpc.Text(i.Node), Peer: rpc.Text(i.Peer), Protocol: rpc.Text(i.Protocol),
		Version: uint32(i.Version), Listener: rpc.Text(i.Listener), CleanStart: i.CleanStart, KeepAliveMs: brokerrpc.EncodeDuration(i.KeepAlive),
		ConnectedMs: brokerrpc.EncodeTime(i.Connected), ExpiryMs: brokerrpc.EncodeDuration(i.Expiry), Persistent: i.Persistent,
		RecvBytes: i.RecvBytes, SentBytes: i.SentBytes, RecvPackets: i.RecvPackets, SentPackets: i.SentPackets, RecvMsgs: i.RecvMsgs, SentMsgs: i.SentMsgs,
		Session: brokerrpc.EncodeSession(&i.Session),
	}
}

func decodeClient(c *brokerrpc.Check, p *gatewayv1.Client) broker.ClientInfo {
	return broker.ClientInfo{
		ClientID: c.Text(p.GetClientId(), "client id"), Username: c.Text(p.GetUsername(), "user name"), Node: c.Text(p.GetNode(), "node"),
		Peer: c.Text(p.GetPeer(), "peer"), Protocol: c.Text(p.GetProtocol(), "protocol"), Version: c.Uint8(p.GetVersion(), "version"),
		Listener: c.Text(p.GetListener(), "listener"), CleanStart: p.GetCleanStart(), KeepAlive: brokerrpc.DecodeDuration(p.GetKeepAliveMs()),
		Connected: brokerrpc.DecodeTime(p.GetConnectedMs()), Expiry: brokerrpc.DecodeDuration(p.GetExpiryMs()), Persistent: p.GetPersistent(),
		RecvBytes: p.GetRecvBytes(), SentBytes: p.GetSentBytes(), RecvPackets: p.GetRecvPackets(), SentPackets: p.GetSentPackets(),
		RecvMsgs: p.GetRecvMsgs(), SentMsgs: p.GetSentMsgs(), Session: c.Session(p.GetSession()),
	}
}
