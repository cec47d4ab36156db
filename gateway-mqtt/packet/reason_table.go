package packet

// reasonInfo is table 2-6 of MQTT 5.0 §2.4: the name of a code and the packets
// it may be in; no name for a code that is not there.
func reasonInfo(r ReasonCode) (name string, in types) {
	if r < UnspecifiedError {
		return successInfo(r)
	}
	if r < TopicNameInvalid {
		return refusalInfo(r)
	}
	return limitInfo(r)
}

// successInfo is the part of the table below 0x80.
func successInfo(r ReasonCode) (string, types) {
	switch r {
	case Success:
		return "success", inConnack | inReceived | inReleased | inSubacks | inDisconnect | inAuth
	case GrantedQoS1:
		return "granted QoS 1", inSuback
	case GrantedQoS2:
		return "granted QoS 2", inSuback
	case DisconnectWithWill:
		return "disconnect with will message", inDisconnect
	case NoMatchingSubscriber:
		return "no matching subscribers", inReceived
	case NoSubscription:
		return "no subscription existed", inUnsuback
	case ContinueAuth:
		return "continue authentication", inAuth
	case ReAuthenticate:
		return "re-authenticate", inAuth
	}
	return "", 0
}

// refusalInfo is 0x80 to 0x8f.
func refusalInfo(r ReasonCode) (string, types) {
	switch r {
	case UnspecifiedError:
		return "unspecified error", inConnack | inReceived | inSubacks | inDisconnect
	case MalformedPacket:
		return "malformed packet", inConnack | inDisconnect
	case ProtocolError:
		return "protocol error", inConnack | inDisconnect
	case ImplementationError:
		return "implementation specific error", inConnack | inReceived | inSubacks | inDisconnect
	case UnsupportedVersion:
		return "unsupported protocol version", inConnack
	case ClientIDNotValid:
		return "client identifier not valid", inConnack
	case BadUserNameOrPassword:
		return "bad user name or password", inConnack
	case NotAuthorized:
		return "not authorized", inConnack | inReceived | inSubacks | inDisconnect
	case ServerUnavailable:
		return "server unavailable", inConnack
	case ServerBusy:
		return "server busy", inConnack | inDisconnect
	case Banned:
		return "banned", inConnack
	case ServerShuttingDown:
		return "server shutting down", inDisconnect
	case BadAuthMethod:
		return "bad authentication method", inConnack | inDisconnect
	case KeepAliveTimeout:
		return "keep alive timeout", inDisconnect
	case SessionTakenOver:
		return "session taken over", inDisconnect
	case TopicFilterInvalid:
		return "topic filter invalid", inSubacks | inDisconnect
	}
	return "", 0
}

// limitInfo is 0x90 and above.
func limitInfo(r ReasonCode) (string, types) {
	switch r {
	case TopicNameInvalid:
		return "topic name invalid", inConnack | inReceived | inDisconnect
	case PacketIDInUse:
		return "packet identifier in use", inReceived | inSubacks
	case PacketIDNotFound:
		return "packet identifier not found", inReleased
	case ReceiveMaximumExceeded:
		return "receive maximum exceeded", inDisconnect
	case TopicAliasInvalid:
		return "topic alias invalid", inDisconnect
	case PacketTooLarge:
		return "packet too large", inConnack | inDisconnect
	case MessageRateTooHigh:
		return "message rate too high", inDisconnect
	case QuotaExceeded:
		return "quota exceeded", inConnack | inReceived | inSuback | inDisconnect
	case AdministrativeAction:
		return "administrative action", inDisconnect
	case PayloadFormatInvalid:
		return "payload format invalid", inConnack | inReceived | inDisconnect
	case RetainNotSupported:
		return "retain not supported", inConnack | inDisconnect
	case QoSNotSupported:
		return "QoS not supported", inConnack | inDisconnect
	case UseAnotherServer:
		return "use another server", inConnack | inDisconnect
	case ServerMoved:
		return "server moved", inConnack | inDisconnect
	case SharedNotSupported:
		return "shared subscriptions not supported", inSuback | inDisconnect
	case ConnectionRateExceeded:
		return "connection rate exceeded", inConnack | inDisconnect
	case MaximumConnectTime:
		return "maximum connect time", inDisconnect
	case SubscriptionIDNotSupported:
		return "subscription identifiers not supported", inSuback | inDisconnect
	case WildcardNotSupported:
		return "wildcard subscriptions not supported", inSuback | inDisconnect
	}
	return "", 0
}
