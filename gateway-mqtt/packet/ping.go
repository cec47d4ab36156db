package packet

// Pingreq asks the server for a sign of life (MQTT 5.0 §3.12). It has no body.
type Pingreq struct{}

// Pingresp is the answer to Pingreq (§3.13). It has no body.
type Pingresp struct{}

// PacketType is TypePingreq.
func (*Pingreq) PacketType() Type { return TypePingreq }

// Size is 2.
func (*Pingreq) Size(Version) int { return 2 }

// AppendTo appends c0 00.
func (*Pingreq) AppendTo(dst []byte, _ Version) ([]byte, error) {
	return appendHeader(dst, TypePingreq, 0, 0), nil
}

// PacketType is TypePingresp.
func (*Pingresp) PacketType() Type { return TypePingresp }

// Size is 2.
func (*Pingresp) Size(Version) int { return 2 }

// AppendTo appends d0 00.
func (*Pingresp) AppendTo(dst []byte, _ Version) ([]byte, error) {
	return appendHeader(dst, TypePingresp, 0, 0), nil
}
