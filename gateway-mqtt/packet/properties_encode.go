package packet

import (
	"encoding/binary"
	"math/bits"
)

// block is what is known of a property block before it is written. The zero
// block is that of a version without properties.
type block struct {
	on   bool    // version 5: the block is there, if only as a zero length
	set  propSet // the properties in it
	size int     // of the properties, without the length before them
}

// len is the size of the block on the wire.
func (b block) len() int {
	if !b.on {
		return 0
	}
	return varintSize(b.size) + b.size
}

// measure gives the block of p in a packet of type in.
func (p *Properties) measure(v Version, in Type) block {
	if v < V5 {
		return block{}
	}
	b := block{on: true, set: p.present()}
	for s := b.set; s != 0; s &= s - 1 {
		b.size += p.sizeOf(PropertyID(bits.TrailingZeros64(uint64(s))))
	}
	return b
}

// sizeOf is the encoded size of a property with its identifier, all
// repetitions included.
func (p *Properties) sizeOf(id PropertyID) int {
	switch wireOf(id) {
	case wireByte:
		return 2
	case wireShort:
		return 3
	case wireLong:
		return 5
	case wireText:
		return 3 + len(p.textField(id).Value)
	case wireBinary:
		return 3 + len(p.binaryField(id).Value)
	case wireVarint:
		return subscriptionIDsSize(p.SubscriptionIDs)
	}
	n := 0
	for i := range p.User {
		n += 5 + len(p.User[i].Name) + len(p.User[i].Value)
	}
	return n
}

func subscriptionIDsSize(ids []uint32) int {
	n := 0
	for _, id := range ids {
		n += 1 + varintSize(int(id))
	}
	return n
}

// verify refuses a block that a decoder would refuse, text apart.
func (p *Properties) verify(b block, in Type) *Error {
	if b.set&^allowedProps(in) != 0 {
		return malformed("property not allowed in this packet")
	}
	if b.set&setAuth == 1<<PropAuthData {
		return protocolError("authentication data without method")
	}
	for s := b.set; s != 0; s &= s - 1 {
		if e := p.verifyOne(PropertyID(bits.TrailingZeros64(uint64(s))), in); e != nil {
			return e
		}
	}
	return nil
}

func (p *Properties) verifyOne(id PropertyID, in Type) *Error {
	switch wireOf(id) {
	case wireText:
		if e := checkField(p.textField(id).Value); e != nil {
			return e
		}
	case wireBinary:
		return checkField(p.binaryField(id).Value)
	case wireVarint:
		if len(p.SubscriptionIDs) > 1 && !repeatable(id, in) {
			return protocolError("property given twice")
		}
		return checkSubscriptionIDs(p.SubscriptionIDs)
	case wirePair:
		for i := range p.User {
			if len(p.User[i].Name) > maxField || len(p.User[i].Value) > maxField {
				return malformed("field longer than 65535 bytes")
			}
		}
		return nil
	}
	return p.check(id)
}

func checkSubscriptionIDs(ids []uint32) *Error {
	for _, id := range ids {
		if id == 0 || id > MaxRemaining {
			return protocolError("subscription identifier out of range")
		}
	}
	return nil
}

// append writes the block, properties in the order of their identifiers.
func (p *Properties) append(dst []byte, b block) []byte {
	if !b.on {
		return dst
	}
	return p.appendSet(appendVarint(dst, b.size), b.set)
}

func (p *Properties) appendSet(dst []byte, set propSet) []byte {
	for s := set; s != 0; s &= s - 1 {
		dst = p.appendOne(dst, PropertyID(bits.TrailingZeros64(uint64(s))))
	}
	return dst
}

func (p *Properties) appendOne(dst []byte, id PropertyID) []byte {
	switch wireOf(id) {
	case wireByte:
		return append(dst, byte(id), p.byteField(id).Value)
	case wireShort:
		return binary.BigEndian.AppendUint16(append(dst, byte(id)), p.shortField(id).Value)
	case wireLong:
		return binary.BigEndian.AppendUint32(append(dst, byte(id)), p.longField(id).Value)
	case wireText:
		return appendField(append(dst, byte(id)), p.textField(id).Value)
	case wireBinary:
		return appendField(append(dst, byte(id)), p.binaryField(id).Value)
	case wireVarint:
		return appendSubscriptionIDs(dst, p.SubscriptionIDs)
	}
	for i := range p.User {
		dst = appendField(append(dst, byte(id)), p.User[i].Name)
		dst = appendField(dst, p.User[i].Value)
	}
	return dst
}

func appendSubscriptionIDs(dst []byte, ids []uint32) []byte {
	for _, id := range ids {
		dst = appendVarint(append(dst, byte(PropSubscriptionID)), int(id))
	}
	return dst
}
