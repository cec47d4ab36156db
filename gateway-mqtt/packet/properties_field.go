package packet

// The fields of Properties by their type on the wire. Each function gives the
// field of an identifier, or nil if that property has another type; decoding,
// sizes and encoding all go through them, so each property is written once.

// byteField are the properties of one byte.
func (p *Properties) byteField(id PropertyID) *Opt[byte] {
	switch id {
	case PropPayloadFormat:
		return &p.PayloadFormat
	case PropRequestProblemInfo:
		return &p.RequestProblemInfo
	case PropRequestResponseInfo:
		return &p.RequestResponseInfo
	case PropMaximumQoS:
		return &p.MaximumQoS
	case PropRetainAvailable:
		return &p.RetainAvailable
	case PropWildcardAvailable:
		return &p.WildcardAvailable
	case PropSubscriptionAvailable:
		return &p.SubscriptionAvailable
	case PropSharedAvailable:
		return &p.SharedAvailable
	}
	return nil
}

// shortField are the two byte integers.
func (p *Properties) shortField(id PropertyID) *Opt[uint16] {
	switch id {
	case PropServerKeepAlive:
		return &p.ServerKeepAlive
	case PropReceiveMaximum:
		return &p.ReceiveMaximum
	case PropTopicAliasMaximum:
		return &p.TopicAliasMaximum
	case PropTopicAlias:
		return &p.TopicAlias
	}
	return nil
}

// longField are the four byte integers.
func (p *Properties) longField(id PropertyID) *Opt[uint32] {
	switch id {
	case PropMessageExpiry:
		return &p.MessageExpiry
	case PropSessionExpiry:
		return &p.SessionExpiry
	case PropWillDelay:
		return &p.WillDelay
	case PropMaximumPacketSize:
		return &p.MaximumPacketSize
	}
	return nil
}

// textField are the UTF-8 encoded strings.
func (p *Properties) textField(id PropertyID) *Opt[string] {
	switch id {
	case PropContentType:
		return &p.ContentType
	case PropResponseTopic:
		return &p.ResponseTopic
	case PropAssignedClientID:
		return &p.AssignedClientID
	case PropAuthMethod:
		return &p.AuthMethod
	case PropResponseInfo:
		return &p.ResponseInfo
	case PropServerReference:
		return &p.ServerReference
	case PropReasonString:
		return &p.ReasonString
	}
	return nil
}

// binaryField are the properties of binary data.
func (p *Properties) binaryField(id PropertyID) *Opt[[]byte] {
	switch id {
	case PropCorrelationData:
		return &p.CorrelationData
	case PropAuthData:
		return &p.AuthData
	}
	return nil
}

// wire is the type of a property on the wire (MQTT 5.0 table 2-4).
type wire uint8

const (
	wireByte wire = iota
	wireShort
	wireLong
	wireText
	wireBinary
	wireVarint // subscription identifier
	wirePair   // user property
)

// wireOf is the type of a property of table 2-4.
func wireOf(id PropertyID) wire {
	switch id {
	case PropServerKeepAlive, PropReceiveMaximum, PropTopicAliasMaximum, PropTopicAlias:
		return wireShort
	case PropMessageExpiry, PropSessionExpiry, PropWillDelay, PropMaximumPacketSize:
		return wireLong
	case PropContentType, PropResponseTopic, PropAssignedClientID, PropAuthMethod,
		PropResponseInfo, PropServerReference, PropReasonString:
		return wireText
	case PropCorrelationData, PropAuthData:
		return wireBinary
	case PropSubscriptionID:
		return wireVarint
	case PropUser:
		return wirePair
	}
	return wireByte
}

// check refuses the values that the specification excludes, on the way in and
// on the way out.
func (p *Properties) check(id PropertyID) *Error {
	switch id {
	case PropPayloadFormat, PropRequestProblemInfo, PropRequestResponseInfo, PropMaximumQoS,
		PropRetainAvailable, PropWildcardAvailable, PropSubscriptionAvailable, PropSharedAvailable:
		if p.byteField(id).Value > 1 {
			return protocolError("property value is neither 0 nor 1")
		}
	case PropReceiveMaximum:
		if p.ReceiveMaximum.Value == 0 {
			return protocolError("receive maximum 0")
		}
	case PropMaximumPacketSize:
		if p.MaximumPacketSize.Value == 0 {
			return protocolError("maximum packet size 0")
		}
	case PropTopicAlias:
		if p.TopicAlias.Value == 0 {
			return &Error{Reason: TopicAliasInvalid, Kind: "topic alias 0"}
		}
	case PropResponseTopic:
		return checkResponseTopic(p.ResponseTopic.Value)
	}
	return nil
}

// checkResponseTopic wants a topic name (MQTT-3.3.2-14, §4.7.3).
func checkResponseTopic(topic string) *Error {
	if topic == "" {
		return protocolError("empty response topic")
	}
	for i := range len(topic) {
		if topic[i] == '#' || topic[i] == '+' {
			return protocolError("wildcard in response topic")
		}
	}
	return nil
}
