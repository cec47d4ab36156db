package packet

import "strconv"

// ReasonCode is the result of an operation (MQTT 5.0 §2.4). Values of 0x80 and
// above are failures. It fits every packet that has one; for SUBACK of 3.1.1
// the codes 0x00 to 0x02 and 0x80 are the same numbers.
type ReasonCode byte

// The reason codes of MQTT 5.0, table 2-6. 0x00 has three names.
const (
	Success              ReasonCode = 0x00
	NormalDisconnection  ReasonCode = 0x00
	GrantedQoS0          ReasonCode = 0x00
	GrantedQoS1          ReasonCode = 0x01
	GrantedQoS2          ReasonCode = 0x02
	DisconnectWithWill   ReasonCode = 0x04
	NoMatchingSubscriber ReasonCode = 0x10
	NoSubscription       ReasonCode = 0x11
	ContinueAuth         ReasonCode = 0x18
	ReAuthenticate       ReasonCode = 0x19

	UnspecifiedError           ReasonCode = 0x80
	MalformedPacket            ReasonCode = 0x81
	ProtocolError              ReasonCode = 0x82
	ImplementationError        ReasonCode = 0x83
	UnsupportedVersion         ReasonCode = 0x84
	ClientIDNotValid           ReasonCode = 0x85
	BadUserNameOrPassword      ReasonCode = 0x86
	NotAuthorized              ReasonCode = 0x87
	ServerUnavailable          ReasonCode = 0x88
	ServerBusy                 ReasonCode = 0x89
	Banned                     ReasonCode = 0x8a
	ServerShuttingDown         ReasonCode = 0x8b
	BadAuthMethod              ReasonCode = 0x8c
	KeepAliveTimeout           ReasonCode = 0x8d
	SessionTakenOver           ReasonCode = 0x8e
	TopicFilterInvalid         ReasonCode = 0x8f
	TopicNameInvalid           ReasonCode = 0x90
	PacketIDInUse              ReasonCode = 0x91
	PacketIDNotFound           ReasonCode = 0x92
	ReceiveMaximumExceeded     ReasonCode = 0x93
	TopicAliasInvalid          ReasonCode = 0x94
	PacketTooLarge             ReasonCode = 0x95
	MessageRateTooHigh         ReasonCode = 0x96
	QuotaExceeded              ReasonCode = 0x97
	AdministrativeAction       ReasonCode = 0x98
	PayloadFormatInvalid       ReasonCode = 0x99
	RetainNotSupported         ReasonCode = 0x9a
	QoSNotSupported            ReasonCode = 0x9b
	UseAnotherServer           ReasonCode = 0x9c
	ServerMoved                ReasonCode = 0x9d
	SharedNotSupported         ReasonCode = 0x9e
	ConnectionRateExceeded     ReasonCode = 0x9f
	MaximumConnectTime         ReasonCode = 0xa0
	SubscriptionIDNotSupported ReasonCode = 0xa1
	WildcardNotSupported       ReasonCode = 0xa2
)

// Failed reports whether the code is a failure (§2.4).
func (r ReasonCode) Failed() bool { return r >= 0x80 }

// String is the name in table 2-6, in lower case.
func (r ReasonCode) String() string {
	if name, _ := reasonInfo(r); name != "" {
		return name
	}
	return "reason " + strconv.Itoa(int(r))
}

// AllowedIn reports whether packets of type t may carry the code. Decoders
// refuse the others (for example MQTT-3.4.2-1).
func (r ReasonCode) AllowedIn(t Type) bool {
	_, in := reasonInfo(r)
	return in&bit(t) != 0
}

// types is a set of packet types.
type types uint16

func bit(t Type) types { return 1 << t }

// Columns of table 2-6.
const (
	inConnack    = types(1) << TypeConnack
	inReceived   = types(1)<<TypePuback | types(1)<<TypePubrec
	inReleased   = types(1)<<TypePubrel | types(1)<<TypePubcomp
	inSuback     = types(1) << TypeSuback
	inUnsuback   = types(1) << TypeUnsuback
	inDisconnect = types(1) << TypeDisconnect
	inAuth       = types(1) << TypeAuth
	inSubacks    = inSuback | inUnsuback
)
