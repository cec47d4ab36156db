package journal

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

func dataRecord(epoch, number uint64, events ...string) []byte {
	b := make([]byte, headerSize)
	for _, e := range events {
		b = appendEvent(b, []byte(e))
	}
	sealRecord(b, kindData, epoch, number, uint32(len(events)))
	return b
}

func manifestRecord(m manifest) []byte {
	b := m.record()
	sealRecord(b, kindManifest, 3, 9, 1)
	return b
}

var sample = manifest{id: 0x1122334455667788, base: 7, baseBatch: 5, first: 2, last: 4, length: 1_000_000, crc: 0xcafe}

// The stored bytes are a promise to later versions.
func TestRecordBytes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		record []byte
		hex    string
	}{
		"data":  {dataRecord(0x0102, 3, "a", "", "xyz"), "01 01 0000000000000102 0000000000000003 00000003 decdb3f6 0161 00 0378797a"},
		"epoch": {epochRecord(0x0102), "01 02 0000000000000102 0000000000000000 00000000 41d246c7"},
		"manifest": {manifestRecord(sample), "01 03 0000000000000003 0000000000000009 00000001 70d72c9f 01 1122334455667788 0000000000000007 " +
			"0000000000000005 0000000000000002 0000000000000004 00000000000f4240 0000cafe"},
		"chunk": {chunkRecord(3, 0x1122334455667788, 1, 2, []byte("state")), "01 04 0000000000000003 0000000000000001 00000002 ae67d7fc 1122334455667788 7374617465"},
	} {
		want, err := hex.DecodeString(strings.ReplaceAll(c.hex, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(c.record, want) {
			t.Errorf("%s: got %x, want %x", name, c.record, want)
		}
	}
}

func TestDecodeMalformedRecords(t *testing.T) {
	t.Parallel()
	sealed := func(k kind, count uint32, body string) []byte {
		b := append(make([]byte, headerSize), body...)
		sealRecord(b, k, 1, 1, count)
		return b
	}
	badForm := manifestRecord(sample)
	badForm[headerSize] = 2
	for name, c := range map[string]struct {
		record []byte
		want   string
	}{
		"empty":               {nil, "too short"},
		"half a header":       {epochRecord(1)[:25], "too short"},
		"other format":        {append([]byte{2}, epochRecord(1)[1:]...), "unknown record format 2"},
		"flipped bit":         {append(epochRecord(1)[:9], append([]byte{3}, epochRecord(1)[10:]...)...), "crc"},
		"unknown kind":        {sealed(9, 0, ""), "unknown record kind 9"},
		"fewer events":        {sealed(kindData, 2, "\x01a"), "event lengths"},
		"more bytes":          {sealed(kindData, 1, "\x01ab"), "event lengths"},
		"event too long":      {sealed(kindData, 1, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "event lengths"},
		"endless length":      {sealed(kindData, 1, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), "event lengths"},
		"epoch with a body":   {sealed(kindEpoch, 0, "x"), "epoch record"},
		"short manifest":      {sealed(kindManifest, 1, "x"), "manifest of a wrong size"},
		"chunk without an id": {sealed(kindChunk, 1, "x"), "too short"},
	} {
		if _, err := decodeRecord(c.record); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error is %v, want %q", name, err, c.want)
		}
	}
	if _, err := decodeManifest(badForm[headerSize:]); err == nil || !strings.Contains(err.Error(), "unknown snapshot format 2") {
		t.Errorf("manifest of another form: %v", err)
	}
}

// Whatever decodes is encoded to the same bytes again, and nothing makes the decoder panic.
func FuzzDecodeRecord(f *testing.F) {
	f.Add(dataRecord(1, 2, "a", "", "event"))
	f.Add(dataRecord(1, 2))
	f.Add(epochRecord(77))
	f.Add(manifestRecord(sample))
	f.Add(chunkRecord(1, 2, 0, 1, []byte("state")))
	f.Add([]byte{recordFormat, byte(kindData)})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRecord(b)
		if err != nil {
			return
		}
		again := append(make([]byte, headerSize), r.body...)
		sealRecord(again, r.kind, r.epoch, r.number, r.count)
		if !bytes.Equal(again, b) {
			t.Fatalf("encoded again: %x, was %x", again, b)
		}
		switch r.kind {
		case kindData:
			events := uint32(0)
			if err := r.events(func([]byte) error { events++; return nil }); err != nil || events != r.count {
				t.Fatalf("%d events of %d, error %v", events, r.count, err)
			}
		case kindManifest:
			if m, err := decodeManifest(r.body); err == nil && !bytes.Equal(m.record()[headerSize:], r.body) {
				t.Fatalf("manifest encoded again: %x, was %x", m.record()[headerSize:], r.body)
			}
		}
	})
}

func BenchmarkDecodeRecord(b *testing.B) {
	events := make([]string, 800)
	for i := range events {
		events[i] = strings.Repeat("x", 300)
	}
	rec := dataRecord(1, 1, events...)
	b.SetBytes(int64(len(rec)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decodeRecord(rec); err != nil {
			b.Fatal(err)
		}
	}
}
