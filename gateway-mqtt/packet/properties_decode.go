package packet

// decode reads a property block of a packet of type in (MQTT 5.0 §2.2.2):
//
//	+--------------------+----+-------+----+-------+
//	| length (variable   | id | value | id | value | ...
//	| byte integer)      |    |       |    |       |
//	+--------------------+----+-------+----+-------+
//
// p must be zero. The time is linear in the length of the block.
func (p *Properties) decode(r *reader, in Type, lim *Limits) {
	b := r.take(r.varint())
	if len(b) == 0 {
		return
	}
	blk := reader{b: b}
	allowed, seen := allowedProps(in), propSet(0)
	for blk.left() > 0 {
		n := blk.varint()
		if n >= 64 || !allowed.has(PropertyID(n)) {
			blk.fail(malformed("property not allowed in this packet"))
			break
		}
		id := PropertyID(n)
		if seen.has(id) && !repeatable(id, in) {
			blk.fail(protocolError("property given twice"))
			break
		}
		seen |= 1 << id
		p.decodeOne(&blk, id, lim)
	}
	if blk.err == nil && seen&setAuth == 1<<PropAuthData {
		blk.fail(protocolError("authentication data without method")) // §3.1.2.11.10
	}
	if blk.err != nil {
		r.fail(blk.err)
	}
}

// repeatable reports whether a property may be given more than once: user
// properties everywhere, subscription identifiers in PUBLISH (§3.3.2.3.8).
func repeatable(id PropertyID, in Type) bool {
	return id == PropUser || id == PropSubscriptionID && in == TypePublish
}

// decodeOne reads the value of a property.
func (p *Properties) decodeOne(r *reader, id PropertyID, lim *Limits) {
	switch wireOf(id) {
	case wireByte:
		*p.byteField(id) = Some(r.u8())
	case wireShort:
		*p.shortField(id) = Some(r.u16())
	case wireLong:
		*p.longField(id) = Some(r.u32())
	case wireText:
		*p.textField(id) = Some(r.text16shared())
	case wireBinary:
		*p.binaryField(id) = Some(r.bytes16())
	case wireVarint:
		p.addSubscriptionID(r, lim)
	case wirePair:
		p.addUser(r, lim)
	}
	if r.err != nil {
		return
	}
	if e := p.check(id); e != nil {
		r.fail(e)
	}
}

func (p *Properties) addSubscriptionID(r *reader, lim *Limits) {
	n := r.varint()
	switch {
	case r.err != nil:
	case n == 0:
		r.fail(protocolError("subscription identifier 0")) // §3.8.2.1.2
	case len(p.SubscriptionIDs) >= lim.subscriptionIDs():
		r.fail(&Error{Reason: PacketTooLarge, Kind: "too many subscription identifiers"})
	default:
		p.SubscriptionIDs = append(p.SubscriptionIDs, uint32(n))
	}
}

func (p *Properties) addUser(r *reader, lim *Limits) {
	if len(p.User) >= lim.userProperties() {
		r.fail(&Error{Reason: PacketTooLarge, Kind: "too many user properties"})
		return
	}
	u := UserProperty{Name: r.text16shared(), Value: r.text16shared()}
	if r.err == nil {
		p.User = append(p.User, u)
	}
}
