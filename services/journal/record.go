package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// A record, big endian:
//
//	 0        1      2         10             18        22       26
//	+--------+------+---------+--------------+---------+--------+---------
//	| format | kind | epoch   | number       | count   | crc    | body ...
//	+--------+------+---------+--------------+---------+--------+---------
//	  1 B      1 B    8 B       8 B            4 B       4 B
//
//	kind      number        count    body
//	data      batch number  events   count x { uvarint length, event }
//	epoch     0             0        empty
//	manifest  batch number  1        manifest (below)
//	chunk     index         chunks   8 B snapshot id, part of the state
//
// The CRC is CRC-32C over everything else in the record.
const (
	recordFormat = 1
	headerSize   = 26
	crcOffset    = 22
)

type kind byte

const (
	kindData kind = iota + 1
	kindEpoch
	kindManifest
	kindChunk
)

type record struct {
	kind   kind
	epoch  uint64
	number uint64
	count  uint32
	crc    uint32
	body   []byte // aliases the decoded bytes
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var (
	errShort  = errors.New("record too short")
	errCRC    = errors.New("crc does not match")
	errEvents = errors.New("event lengths do not match the body")
)

// sealRecord writes the header into the first headerSize bytes of rec, whose body is complete, and returns the CRC.
func sealRecord(rec []byte, k kind, epoch, number uint64, count uint32) uint32 {
	rec[0], rec[1] = recordFormat, byte(k)
	binary.BigEndian.PutUint64(rec[2:], epoch)
	binary.BigEndian.PutUint64(rec[10:], number)
	binary.BigEndian.PutUint32(rec[18:], count)
	crc := recordCRC(rec)
	binary.BigEndian.PutUint32(rec[crcOffset:], crc)
	return crc
}

func recordCRC(rec []byte) uint32 {
	crc := crc32.Update(0, castagnoli, rec[:crcOffset])
	return crc32.Update(crc, castagnoli, rec[headerSize:])
}

func epochRecord(epoch uint64) []byte {
	rec := make([]byte, headerSize)
	sealRecord(rec, kindEpoch, epoch, 0, 0)
	return rec
}

// appendEvent adds one event to the body of a data record.
func appendEvent(dst, event []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(event)))
	return append(dst, event...)
}

// eventSize is what appendEvent adds at most.
func eventSize(event []byte) int { return binary.MaxVarintLen32 + len(event) }

// decodeRecord checks the format, the CRC and the shape of the body.
func decodeRecord(b []byte) (record, error) {
	if len(b) < headerSize {
		return record{}, errShort
	}
	if b[0] != recordFormat {
		return record{}, fmt.Errorf("unknown record format %d", b[0])
	}
	r := record{
		kind:   kind(b[1]),
		epoch:  binary.BigEndian.Uint64(b[2:]),
		number: binary.BigEndian.Uint64(b[10:]),
		count:  binary.BigEndian.Uint32(b[18:]),
		crc:    binary.BigEndian.Uint32(b[crcOffset:]),
		body:   b[headerSize:],
	}
	if r.crc != recordCRC(b) {
		return record{}, errCRC
	}
	switch r.kind {
	case kindData:
		return r, r.events(func([]byte) error { return nil })
	case kindEpoch:
		if len(r.body) != 0 {
			return record{}, errors.New("epoch record with a body")
		}
	case kindManifest:
		if len(r.body) != manifestSize {
			return record{}, errors.New("manifest of a wrong size")
		}
	case kindChunk:
		if len(r.body) < chunkHeader {
			return record{}, errShort
		}
	default:
		return record{}, fmt.Errorf("unknown record kind %d", r.kind)
	}
	return r, nil
}

// events calls fn for each event of a data record.
func (r record) events(fn func(event []byte) error) error {
	b := r.body
	for range r.count {
		n, w := binary.Uvarint(b)
		if w <= 0 || n > uint64(len(b)-w) {
			return errEvents
		}
		if err := fn(b[w : w+int(n) : w+int(n)]); err != nil {
			return err
		}
		b = b[w+int(n):]
	}
	if len(b) != 0 {
		return errEvents
	}
	return nil
}

// A manifest body:
//
//	 0            1          9          17           25          33          41           49
//	+------------+----------+----------+------------+-----------+-----------+------------+-------+
//	| state form | id       | base     | base batch | first     | last      | length     | crc   |
//	+------------+----------+----------+------------+-----------+-----------+------------+-------+
//
// State form is the version of the chunk layout. The snapshot reflects every event up to the log sequence base; base batch is the number of
// the last data or manifest record up to there. Its chunks are those with the id between the sequences first and last of the snapshot stream.
const (
	snapshotFormat = 1
	manifestSize   = 53
	chunkHeader    = 8
)

type manifest struct {
	id, base, baseBatch, first, last, length uint64
	crc                                      uint32
}

func (m manifest) record() []byte {
	b := make([]byte, headerSize, headerSize+manifestSize)
	b = append(b, snapshotFormat)
	for _, v := range []uint64{m.id, m.base, m.baseBatch, m.first, m.last, m.length} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return binary.BigEndian.AppendUint32(b, m.crc)
}

func decodeManifest(body []byte) (manifest, error) {
	if len(body) != manifestSize {
		return manifest{}, errors.New("manifest of a wrong size")
	}
	if body[0] != snapshotFormat {
		return manifest{}, fmt.Errorf("unknown snapshot format %d", body[0])
	}
	at := func(i int) uint64 { return binary.BigEndian.Uint64(body[1+8*i:]) }
	m := manifest{id: at(0), base: at(1), baseBatch: at(2), first: at(3), last: at(4), length: at(5)}
	m.crc = binary.BigEndian.Uint32(body[49:])
	if m.first > m.last {
		return manifest{}, errors.New("manifest names no chunks")
	}
	return m, nil
}

// chunkRecord makes a chunk: index 0..count-1 of the snapshot id.
func chunkRecord(epoch, id uint64, index, count int, part []byte) []byte {
	b := make([]byte, headerSize, headerSize+chunkHeader+len(part))
	b = binary.BigEndian.AppendUint64(b, id)
	b = append(b, part...)
	sealRecord(b, kindChunk, epoch, uint64(index), uint32(count))
	return b
}
