package packet

// Defaults of Limits.
const (
	DefaultMaxUserProperties  = 256
	DefaultMaxSubscriptionIDs = 1024
	DefaultMaxFilters         = 8192
)

// Limits bound what one packet may cost its decoder. A zero field, and a nil
// *Limits, stand for the default.
type Limits struct {
	// MaxPacketSize in bytes, fixed header included; default: the protocol's
	// own bound. Above it: reason 0x95.
	MaxPacketSize int
	// MaxUserProperties in one property block. Above it: reason 0x95.
	MaxUserProperties int
	// MaxSubscriptionIDs in one PUBLISH. Above it: reason 0x95.
	MaxSubscriptionIDs int
	// MaxFilters in one SUBSCRIBE or UNSUBSCRIBE, and reason codes in their
	// answers. Above it: reason 0x97.
	MaxFilters int
}

func (l *Limits) packetSize() int {
	if l == nil {
		return 0
	}
	return l.MaxPacketSize
}

func (l *Limits) userProperties() int {
	if l == nil || l.MaxUserProperties <= 0 {
		return DefaultMaxUserProperties
	}
	return l.MaxUserProperties
}

func (l *Limits) subscriptionIDs() int {
	if l == nil || l.MaxSubscriptionIDs <= 0 {
		return DefaultMaxSubscriptionIDs
	}
	return l.MaxSubscriptionIDs
}

func (l *Limits) filters() int {
	if l == nil || l.MaxFilters <= 0 {
		return DefaultMaxFilters
	}
	return l.MaxFilters
}
