package cluster_test

import (
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"pgregory.net/rapid"

	"github.com/pando-mq/pando/services/cluster"
)

// The numbers are part of the stored data's layout: if this test fails, the code is wrong, not the numbers.
func TestPartitionGolden(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		tenant, key string
		n, want     int
	}{} {
		if got := cluster.Partition(tt.tenant, tt.key, tt.n); got != tt.want {
			t.Errorf("Partition(%q, %q, %d) = %d, want %d", tt.tenant, tt.key, tt.n, got, tt.want)
		}
	}
}

func TestPartitionIsTheDocumentedHash(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tenant, key := rapid.String().Draw(t, "tenant"), rapid.StringN(0, -1, 400).Draw(t, "key")
		n := rapid.IntRange(1, 4096).Draw(t, "n")
		want := int(xxhash.Sum64String(tenant+"\x00"+key) % uint64(n))
		if got := cluster.Partition(tenant, key, n); got != want {
			t.Fatalf("got %d, want %d", got, want)
		}
	})
}

func TestPartitionAllocatesNothing(t *testing.T) {
	for _, length := range []int{30, 500} {
		key := strings.Repeat("x", length)
		if n := testing.AllocsPerRun(100, func() { cluster.Partition("default", key, 64) }); n != 0 {
			t.Errorf("%v allocations for %d bytes", n, length)
		}
	}
}

func TestPartitionPanicsWithoutPartitions(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	cluster.Partition("", "", 0)
}

func BenchmarkPartition(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		cluster.Partition("default", "building/7/floor/3/room/12/temperature", 64)
	}
}
