package packet

// PropertyID names a property (MQTT 5.0 §2.2.2.2).
type PropertyID byte

// The 27 properties of table 2-4.
const (
	PropPayloadFormat         PropertyID = 0x01
	PropMessageExpiry         PropertyID = 0x02
	PropContentType           PropertyID = 0x03
	PropResponseTopic         PropertyID = 0x08
	PropCorrelationData       PropertyID = 0x09
	PropSubscriptionID        PropertyID = 0x0b
	PropSessionExpiry         PropertyID = 0x11
	PropAssignedClientID      PropertyID = 0x12
	PropServerKeepAlive       PropertyID = 0x13
	PropAuthMethod            PropertyID = 0x15
	PropAuthData              PropertyID = 0x16
	PropRequestProblemInfo    PropertyID = 0x17
	PropWillDelay             PropertyID = 0x18
	PropRequestResponseInfo   PropertyID = 0x19
	PropResponseInfo          PropertyID = 0x1a
	PropServerReference       PropertyID = 0x1c
	PropReasonString          PropertyID = 0x1f
	PropReceiveMaximum        PropertyID = 0x21
	PropTopicAliasMaximum     PropertyID = 0x22
	PropTopicAlias            PropertyID = 0x23
	PropMaximumQoS            PropertyID = 0x24
	PropRetainAvailable       PropertyID = 0x25
	PropUser                  PropertyID = 0x26
	PropMaximumPacketSize     PropertyID = 0x27
	PropWildcardAvailable     PropertyID = 0x28
	PropSubscriptionAvailable PropertyID = 0x29
	PropSharedAvailable       PropertyID = 0x2a
)

// Opt is a value that may be absent. The zero Opt is absent.
type Opt[T any] struct {
	Value   T
	Present bool
}

// Some is a present value.
func Some[T any](v T) Opt[T] { return Opt[T]{Value: v, Present: true} }

// Or is the value, or def if it is absent.
func (o Opt[T]) Or(def T) T {
	if o.Present {
		return o.Value
	}
	return def
}

// UserProperty is one name and value pair (MQTT 5.0 §3.1.2.11.8). Names may
// repeat and the order is kept.
type UserProperty struct {
	Name, Value string
}

// Properties are the properties of one packet or of one will (MQTT 5.0
// §2.2.2). Which packet may carry which is table 2-4; encoders and decoders
// refuse the others. Intervals are in seconds.
type Properties struct {
	PayloadFormat       Opt[byte]   // PUBLISH, will: 0 bytes, 1 UTF-8 text
	MessageExpiry       Opt[uint32] // PUBLISH, will
	ContentType         Opt[string] // PUBLISH, will
	ResponseTopic       Opt[string] // PUBLISH, will: a topic name, not empty
	CorrelationData     Opt[[]byte] // PUBLISH, will; aliases the input
	SubscriptionIDs     []uint32    // PUBLISH any number, SUBSCRIBE one; 1 to MaxRemaining
	SessionExpiry       Opt[uint32] // CONNECT, CONNACK, DISCONNECT
	AssignedClientID    Opt[string] // CONNACK
	ServerKeepAlive     Opt[uint16] // CONNACK
	AuthMethod          Opt[string] // CONNECT, CONNACK, AUTH
	AuthData            Opt[[]byte] // CONNECT, CONNACK, AUTH; aliases the input
	RequestProblemInfo  Opt[byte]   // CONNECT: 0 or 1
	WillDelay           Opt[uint32] // will
	RequestResponseInfo Opt[byte]   // CONNECT: 0 or 1
	ResponseInfo        Opt[string] // CONNACK
	ServerReference     Opt[string] // CONNACK, DISCONNECT
	ReasonString        Opt[string] // every answer, DISCONNECT, AUTH
	ReceiveMaximum      Opt[uint16] // CONNECT, CONNACK: not 0
	TopicAliasMaximum   Opt[uint16] // CONNECT, CONNACK
	TopicAlias          Opt[uint16] // PUBLISH: not 0
	MaximumQoS          Opt[byte]   // CONNACK: 0 or 1
	RetainAvailable     Opt[byte]   // CONNACK: 0 or 1
	User                []UserProperty
	MaximumPacketSize   Opt[uint32] // CONNECT, CONNACK: not 0

	WildcardAvailable     Opt[byte] // CONNACK: 0 or 1
	SubscriptionAvailable Opt[byte] // CONNACK: 0 or 1, subscription identifiers
	SharedAvailable       Opt[byte] // CONNACK: 0 or 1
}

// typeWill is the place of the will properties inside CONNECT; packet type 0
// is reserved, so it is free.
const typeWill Type = 0

// propSet is a set of property identifiers, all of which are below 64.
type propSet uint64

func (s propSet) has(id PropertyID) bool { return s>>id&1 != 0 }

// Sets of table 2-4, by the packets that share them.
const (
	setMessage propSet = 1<<PropPayloadFormat | 1<<PropMessageExpiry | 1<<PropContentType |
		1<<PropResponseTopic | 1<<PropCorrelationData | 1<<PropUser
	setAuth    propSet = 1<<PropAuthMethod | 1<<PropAuthData
	setSession propSet = setAuth | 1<<PropSessionExpiry | 1<<PropReceiveMaximum |
		1<<PropTopicAliasMaximum | 1<<PropMaximumPacketSize | 1<<PropUser
	setAnswer  propSet = 1<<PropReasonString | 1<<PropUser
	setConnack propSet = setSession | setAnswer | 1<<PropAssignedClientID | 1<<PropServerKeepAlive |
		1<<PropResponseInfo | 1<<PropServerReference | 1<<PropMaximumQoS | 1<<PropRetainAvailable |
		1<<PropWildcardAvailable | 1<<PropSubscriptionAvailable | 1<<PropSharedAvailable
)

// allowedProps are the properties that packets of type t may carry
// (MQTT 5.0 table 2-4).
func allowedProps(t Type) propSet {
	switch t {
	case typeWill:
		return setMessage | 1<<PropWillDelay
	case TypeConnect:
		return setSession | 1<<PropRequestProblemInfo | 1<<PropRequestResponseInfo
	case TypeConnack:
		return setConnack
	case TypePublish:
		return setMessage | 1<<PropSubscriptionID | 1<<PropTopicAlias
	case TypeSubscribe:
		return 1<<PropSubscriptionID | 1<<PropUser
	case TypeUnsubscribe:
		return 1 << PropUser
	case TypeDisconnect:
		return setAnswer | 1<<PropSessionExpiry | 1<<PropServerReference
	case TypeAuth:
		return setAnswer | setAuth
	case TypePuback, TypePubrec, TypePubrel, TypePubcomp, TypeSuback, TypeUnsuback:
		return setAnswer
	}
	return 0
}

// present is the set of the properties that are there. It has no branches:
// each PUBLISH of MQTT 5.0 asks for it.
func (p *Properties) present() propSet {
	return has(p.PayloadFormat.Present, PropPayloadFormat) |
		has(p.MessageExpiry.Present, PropMessageExpiry) |
		has(p.ContentType.Present, PropContentType) |
		has(p.ResponseTopic.Present, PropResponseTopic) |
		has(p.CorrelationData.Present, PropCorrelationData) |
		has(len(p.SubscriptionIDs) > 0, PropSubscriptionID) |
		has(p.SessionExpiry.Present, PropSessionExpiry) |
		has(p.AssignedClientID.Present, PropAssignedClientID) |
		has(p.ServerKeepAlive.Present, PropServerKeepAlive) |
		has(p.AuthMethod.Present, PropAuthMethod) |
		has(p.AuthData.Present, PropAuthData) |
		has(p.RequestProblemInfo.Present, PropRequestProblemInfo) |
		has(p.WillDelay.Present, PropWillDelay) |
		has(p.RequestResponseInfo.Present, PropRequestResponseInfo) |
		has(p.ResponseInfo.Present, PropResponseInfo) |
		has(p.ServerReference.Present, PropServerReference) |
		has(p.ReasonString.Present, PropReasonString) |
		has(p.ReceiveMaximum.Present, PropReceiveMaximum) |
		has(p.TopicAliasMaximum.Present, PropTopicAliasMaximum) |
		has(p.TopicAlias.Present, PropTopicAlias) |
		has(p.MaximumQoS.Present, PropMaximumQoS) |
		has(p.RetainAvailable.Present, PropRetainAvailable) |
		has(len(p.User) > 0, PropUser) |
		has(p.MaximumPacketSize.Present, PropMaximumPacketSize) |
		has(p.WildcardAvailable.Present, PropWildcardAvailable) |
		has(p.SubscriptionAvailable.Present, PropSubscriptionAvailable) |
		has(p.SharedAvailable.Present, PropSharedAvailable)
}

func has(ok bool, id PropertyID) propSet {
	var bit propSet
	if ok {
		bit = 1
	}
	return bit << id
}
