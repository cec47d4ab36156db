package process_test

import (
	"os"
	"testing"
	"time"

	"github.com/pando-mq/pando/deploy/bench/process"
)

// CPU grows with what a process does, and agrees with what the system says to the process itself.
func TestCPU(t *testing.T) {
	t.Parallel()
	g := process.Group{os.Getpid()}
	before, err := g.CPU()
	own := process.Own()
	if err != nil {
		t.Fatal(err)
	}
	x := 1
	for process.Own()-own < 100*time.Millisecond {
		x = x*31 + 1
	}
	after, err := g.CPU()
	if err != nil {
		t.Fatal(err)
	}
	if spent, said := after-before, process.Own()-own; spent < 70*time.Millisecond || spent > said+30*time.Millisecond {
		t.Errorf("/proc says %s, getrusage %s (%d)", spent, said, x)
	}
	twice, err := append(g, g...).CPU()
	if err != nil || twice < 2*after {
		t.Errorf("two processes: %s, %v; one: %s", twice, err, after)
	}
}

func TestMemory(t *testing.T) {
	t.Parallel()
	g := process.Group{os.Getpid()}
	before, err := g.Memory()
	if err != nil {
		t.Fatal(err)
	}
	block := make([]byte, 64<<20)
	for i := 0; i < len(block); i += 4096 {
		block[i] = 1
	}
	after, err := g.Memory()
	if err != nil || after.RSS-before.RSS < 60<<20 || after.Anonymous-before.Anonymous < 60<<20 || after.PSS == 0 || block[4096] != 1 {
		t.Errorf("64 MiB more: %+v, then %+v, %v", before, after, err)
	}
}

func TestNobodyHasNoFigures(t *testing.T) {
	t.Parallel()
	g := process.Group{1 << 30}
	if _, err := g.CPU(); err == nil {
		t.Error("CPU of a process that does not exist")
	}
	if _, err := g.Memory(); err == nil {
		t.Error("memory of a process that does not exist")
	}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	m := process.Describe()
	if m.Cores < 1 || m.Memory < 1<<20 || m.Kernel == "" || m.Load == "unknown" || m.CPU == "" || m.Files < 64 {
		t.Errorf("%+v", m)
	}
}
