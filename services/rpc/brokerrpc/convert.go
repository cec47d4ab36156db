package brokerrpc

import (
	brokerv1 "github.com/pando-mq/pando/proto/gen/pando/broker/v1"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/rpc"
)

// EncodeMessage converts a message; nil for nil. The payload is shared.
func EncodeMessage(m *broker.Message) *brokerv1.Message {
	if m == nil {
		return nil
	}
	p := &brokerv1.Message{
		Tenant: rpc.Text(m.Tenant), Topic: rpc.Text(m.Topic), Payload: m.Payload, Qos: uint32(m.QoS), Retain: m.Retain,
		From: rpc.Text(m.From), Username: rpc.Text(m.Username), Node: rpc.Text(m.Node),
		PublishedMs: EncodeTime(m.Published), ExpiresMs: EncodeTime(m.Expires), Props: encodeProperties(m.Props),
	}
	if m.ID != (broker.MessageID{}) {
		p.Id = m.ID[:]
	}
	return p
}

func encodeProperties(p *broker.Properties) *brokerv1.Properties {
	if p == nil {
		return nil
	}
	out := &brokerv1.Properties{
		PayloadUtf8: p.PayloadUTF8, ContentType: rpc.Text(p.ContentType), ResponseTopic: rpc.Text(p.ResponseTopic), CorrelationData: p.CorrelationData,
	}
	for _, u := range p.User {
		out.User = append(out.User, &brokerv1.UserProperty{Key: rpc.Text(u.Key), Value: rpc.Text(u.Value)})
	}
	return out
}

// Message reads a message. A missing one is wrong.
func (c *Check) Message(p *brokerv1.Message) *broker.Message {
	if p == nil {
		c.Fail("no message")
		return nil
	}
	m := &broker.Message{
		Tenant: c.Text(p.GetTenant(), "tenant"), Topic: c.Text(p.GetTopic(), "topic"), Payload: orNil(p.GetPayload()), QoS: c.QoS(p.GetQos()), Retain: p.GetRetain(),
		From: c.Text(p.GetFrom(), "client id"), Username: c.Text(p.GetUsername(), "user name"), Node: c.Text(p.GetNode(), "node"),
		Published: DecodeTime(p.GetPublishedMs()), Expires: DecodeTime(p.GetExpiresMs()), Props: c.properties(p.GetProps()),
	}
	if m.Topic == "" {
		c.Fail("empty topic")
	}
	if id := p.GetId(); len(id) == len(m.ID) {
		copy(m.ID[:], id)
	} else if len(id) != 0 {
		c.Fail("message id of %d bytes", len(id))
	}
	return m
}

// MaybeMessage reads a message that may be missing.
func (c *Check) MaybeMessage(p *brokerv1.Message) *broker.Message {
	if p == nil {
		return nil
	}
	return c.Message(p)
}

func (c *Check) properties(p *brokerv1.Properties) *broker.Properties {
	if p == nil {
		return nil
	}
	out := &broker.Properties{
		PayloadUTF8: p.GetPayloadUtf8(), ContentType: c.Text(p.GetContentType(), "content type"),
		ResponseTopic: c.Text(p.GetResponseTopic(), "response topic"), CorrelationData: orNil(p.GetCorrelationData()),
	}
	if len(out.CorrelationData) > MaxText {
		c.Fail("correlation data of %d bytes", len(out.CorrelationData))
	}
	if n := len(p.GetUser()); n > 0 {
		out.User = make([]broker.UserProperty, n)
	}
	for i, u := range p.GetUser() {
		out.User[i] = broker.UserProperty{Key: c.Text(u.GetKey(), "user property"), Value: c.Text(u.GetValue(), "user property")}
	}
	return out
}

func orNil(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}

// EncodeNode converts a NodeRef.
func EncodeNode(n broker.NodeRef) *brokerv1.NodeRef {
	return &brokerv1.NodeRef{Id: rpc.Text(n.ID), Incarnation: n.Incarnation}
}

// Node reads a NodeRef; a missing one is the zero value.
func (c *Check) Node(p *brokerv1.NodeRef) broker.NodeRef {
	return broker.NodeRef{ID: c.Text(p.GetId(), "node id"), Incarnation: p.GetIncarnation()}
}

var sourceKinds = map[broker.SourceKind]brokerv1.SourceKind{
	broker.FromGateway:  brokerv1.SourceKind_SOURCE_KIND_GATEWAY,
	broker.FromSession:  brokerv1.SourceKind_SOURCE_KIND_SESSION,
	broker.FromRetained: brokerv1.SourceKind_SOURCE_KIND_RETAINED,
}

// SourceKind reads a kind of source.
func (c *Check) SourceKind(p brokerv1.SourceKind) broker.SourceKind {
	switch p {
	case brokerv1.SourceKind_SOURCE_KIND_GATEWAY:
		return broker.FromGateway
	case brokerv1.SourceKind_SOURCE_KIND_SESSION:
		return broker.FromSession
	case brokerv1.SourceKind_SOURCE_KIND_RETAINED:
		return broker.FromRetained
	}
	c.Fail("source kind %d", p)
	return 0
}

// EncodeSource converts a Source.
func EncodeSource(s broker.Source) *brokerv1.Source {
	return &brokerv1.Source{Kind: sourceKinds[s.Kind], Incarnation: s.Incarnation, Partition: EncodeCount(s.Partition), Topic: EncodeCount(s.Topic)}
}

// Source reads a Source.
func (c *Check) Source(p *brokerv1.Source) broker.Source {
	return broker.Source{
		Kind: c.SourceKind(p.GetKind()), Incarnation: p.GetIncarnation(), Partition: c.Partition(p.GetPartition()), Topic: c.Partition(p.GetTopic()),
	}
}

// EncodeShare converts a Share.
func EncodeShare(s broker.Share) *brokerv1.Share {
	return &brokerv1.Share{Group: rpc.Text(s.Group), Filter: rpc.Text(s.Filter)}
}

// Share reads a Share; a missing one is the zero value.
func (c *Check) Share(p *brokerv1.Share) broker.Share {
	return broker.Share{Group: c.Text(p.GetGroup(), "group"), Filter: c.Filter(p.GetFilter())}
}

// EncodeIdentity converts an Identity; nil for nil.
func EncodeIdentity(id *broker.Identity) *brokerv1.Identity {
	if id == nil {
		return nil
	}
	return &brokerv1.Identity{
		Tenant: rpc.Text(id.Tenant), ClientId: rpc.Text(id.ClientID), Username: rpc.Text(id.Username), Superuser: id.Superuser, Peer: EncodePeer(id.Peer),
		Protocol: rpc.Text(id.Protocol), Version: uint32(id.Version), Listener: rpc.Text(id.Listener),
		CertCn: rpc.Text(id.CertCN), CertDn: rpc.Text(id.CertDN), ExpiresMs: EncodeTime(id.Expires),
	}
}

// Identity reads an Identity. A missing one is wrong: nothing is decided for nobody.
func (c *Check) Identity(p *brokerv1.Identity) *broker.Identity {
	if p == nil {
		c.Fail("no identity")
		return &broker.Identity{}
	}
	return &broker.Identity{
		Tenant: c.Text(p.GetTenant(), "tenant"), ClientID: c.Text(p.GetClientId(), "client id"), Username: c.Text(p.GetUsername(), "user name"),
		Superuser: p.GetSuperuser(), Peer: c.Peer(p.GetPeer()), Protocol: c.Text(p.GetProtocol(), "protocol"), Version: c.Uint8(p.GetVersion(), "version"),
		Listener: c.Text(p.GetListener(), "listener"), CertCN: c.Text(p.GetCertCn(), "common name"), CertDN: c.Text(p.GetCertDn(), "distinguished name"),
		Expires: DecodeTime(p.GetExpiresMs()),
	}
}

// EncodeSubscription converts a Subscription.
func EncodeSubscription(s *broker.Subscription) *brokerv1.Subscription {
	return &brokerv1.Subscription{
		Filter: rpc.Text(s.Filter), Qos: uint32(s.QoS), NoLocal: s.NoLocal, RetainAsPublished: s.RetainAsPublished,
		RetainHandling: uint32(s.RetainHandling), Id: s.ID, Generation: s.Generation,
	}
}

// Subscription reads a Subscription.
func (c *Check) Subscription(p *brokerv1.Subscription) broker.Subscription {
	s := broker.Subscription{
		Filter: c.Filter(p.GetFilter()), QoS: c.QoS(p.GetQos()), NoLocal: p.GetNoLocal(), RetainAsPublished: p.GetRetainAsPublished(),
		RetainHandling: c.Uint8(p.GetRetainHandling(), "retain handling"), ID: p.GetId(), Generation: p.GetGeneration(),
	}
	if s.RetainHandling > 2 {
		c.Fail("retain handling %d", s.RetainHandling)
	}
	return s
}

// EncodeSubscriptions converts a list of subscriptions.
func EncodeSubscriptions(subs []broker.Subscription) []*brokerv1.Subscription {
	return Map(subs, EncodeSubscription)
}

// Subscriptions reads a list of subscriptions.
func (c *Check) Subscriptions(list []*brokerv1.Subscription) []broker.Subscription {
	return ReadAll(list, c.Subscription)
}

// EncodeResults converts the answers to a subscribe or unsubscribe.
func EncodeResults(list []broker.SubscribeReply) []*brokerv1.SubscribeResult {
	return Map(list, func(r *broker.SubscribeReply) *brokerv1.SubscribeResult {
		return &brokerv1.SubscribeResult{Failure: rpc.EncodeFailure(r.Err), Existed: r.Existed}
	})
}

// DecodeResults is the reverse of EncodeResults.
func DecodeResults(list []*brokerv1.SubscribeResult) []broker.SubscribeReply {
	return ReadAll(list, func(p *brokerv1.SubscribeResult) broker.SubscribeReply {
		return broker.SubscribeReply{Err: rpc.DecodeFailure(p.GetFailure()), Existed: p.GetExisted()}
	})
}

// Map converts each element of a slice; nil for an empty one.
func Map[T, P any](list []T, convert func(*T) P) []P {
	if len(list) == 0 {
		return nil
	}
	out := make([]P, len(list))
	for i := range list {
		out[i] = convert(&list[i])
	}
	return out
}

// ReadAll reads each element of a slice; nil for an empty one.
func ReadAll[P, T any](list []P, read func(P) T) []T {
	if len(list) == 0 {
		return nil
	}
	out := make([]T, len(list))
	for i, p := range list {
		out[i] = read(p)
	}
	return out
}
