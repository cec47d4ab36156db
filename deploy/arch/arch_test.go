package arch_test

import (
	"testing"

	"github.com/pando-mq/pando/deploy/arch"
)

// TestHouse is the check of the real tree. Run it with -count=1: the test
// cache does not see the files of the other modules.
func TestHouse(t *testing.T) {
	t.Parallel()
	tree, err := arch.Find(".")
	if err != nil {
		t.Fatal(err)
	}
	found, err := tree.Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range found {
		t.Error(v)
	}
}
