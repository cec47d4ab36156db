package tally

import "encoding/binary"

// StampSize is the least size of a payload.
const StampSize = 20

// Stamp is the beginning of each payload, little-endian:
//
//	0      4        8         12                20
//	| run  | stream | sequence | sent, ns of Unix |
type Stamp struct {
	Run    uint32 // random, one per run, so that leftovers of another run are not counted
	Stream uint32 // the publisher
	Seq    uint32 // from 0, without gaps
	Sent   int64
}

// Put writes the stamp over the beginning of a payload of StampSize bytes or more.
func (s Stamp) Put(payload []byte) {
	_ = payload[StampSize-1]
	binary.LittleEndian.PutUint32(payload, s.Run)
	binary.LittleEndian.PutUint32(payload[4:], s.Stream)
	binary.LittleEndian.PutUint32(payload[8:], s.Seq)
	binary.LittleEndian.PutUint64(payload[12:], uint64(s.Sent))
}

// Read takes the stamp from a payload; false: it is too short to have one.
func Read(payload []byte) (Stamp, bool) {
	if len(payload) < StampSize {
		return Stamp{}, false
	}
	return Stamp{
		Run: binary.LittleEndian.Uint32(payload), Stream: binary.LittleEndian.Uint32(payload[4:]), Seq: binary.LittleEndian.Uint32(payload[8:]),
		Sent: int64(binary.LittleEndian.Uint64(payload[12:])),
	}, true
}
