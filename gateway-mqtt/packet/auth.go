package packet

// Auth is a step of an enhanced authentication (MQTT 5.0 §3.15).
//
//	+---------------------------+
//	| reason code               |  may be missing: success
//	| properties                |
//	+---------------------------+
//
// An AUTH with a body must name the authentication method (§3.15.2.2.2).
type Auth struct {
	Reason     ReasonCode // Success, ContinueAuth or ReAuthenticate
	Properties Properties
}

// PacketType is TypeAuth.
func (a *Auth) PacketType() Type { return TypeAuth }

func decodeAuth(r *reader, lim *Limits) (*Auth, error) {
	a := new(Auth)
	if r.left() == 0 {
		return a, r.end()
	}
	a.Reason = decodeReason(r, &a.Properties, TypeAuth, lim)
	if !a.Properties.AuthMethod.Present {
		r.fail(protocolError("no authentication method"))
	}
	return a, r.end()
}

// Size is the length of the packet.
func (a *Auth) Size(v Version) int {
	return frameSize(reasonSize(a.Reason, a.Properties.measure(v, TypeAuth)))
}

// AppendTo appends the packet. Versions below 5.0 have no AUTH: it is an error.
func (a *Auth) AppendTo(dst []byte, v Version) ([]byte, error) {
	b := a.Properties.measure(v, TypeAuth)
	out, err := seal(dst, TypeAuth, reasonSize(a.Reason, b), a.verify(b))
	if err != nil {
		return dst, err
	}
	return appendReason(out, a.Reason, &a.Properties, b), nil
}

func (a *Auth) verify(b block) *Error {
	if !b.on {
		return malformed("reserved packet type")
	}
	if e := checkReason(a.Reason, TypeAuth); e != nil {
		return e
	}
	if e := a.Properties.verify(b, TypeAuth); e != nil {
		return e
	}
	if (a.Reason != Success || b.set != 0) && !b.set.has(PropAuthMethod) {
		return protocolError("no authentication method")
	}
	return nil
}
