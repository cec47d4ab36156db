package cluster

import "github.com/cespare/xxhash/v2"

// Partition returns the partition, 0..n-1, that a key of a tenant belongs to: xxHash64 with seed 0 over the tenant, one byte 0x00,
// and the key, modulo n. It is part of the stored data's layout and never changes; n is fixed at bootstrap (Meta.Partitions).
// Neither string may contain 0x00 (MQTT 5.0 §1.5.4 forbids it in strings). It allocates nothing and panics if n < 1.
func Partition(tenant, key string, n int) int {
	if n < 1 {
		panic("cluster: partition count below 1")
	}
	// Short keys, nearly all, are hashed in one piece: three times as fast.
	var buf [192]byte
	if len(tenant)+1+len(key) <= len(buf) {
		b := append(append(append(buf[:0], tenant...), 0), key...)
		return int(xxhash.Sum64(b) % uint64(n))
	}
	var d xxhash.Digest
	d.Reset()
	// A Digest's writes never fail.
	_, _ = d.WriteString(tenant)
	_, _ = d.WriteString("\x00")
	_, _ = d.WriteString(key)
	return int(d.Sum64() % uint64(n))
}
