package process

import (
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Machine is what a table of figures must say of where they come from.
type Machine struct {
	When   time.Time `json:"when"`
	CPU    string    `json:"cpu"`
	Cores  int       `json:"cores"`
	Memory int64     `json:"memory_bytes"`
	Kernel string    `json:"kernel"`
	System string    `json:"system"`
	Go     string    `json:"go"`
	Load   string    `json:"load"` // 1, 5 and 15 minutes, before the run
	Files  uint64    `json:"open_files"`
}

// Describe describes this machine now.
func Describe() Machine {
	m := Machine{When: time.Now(), Cores: runtime.NumCPU(), Go: runtime.Version(), Load: Load()}
	m.CPU = setting("/proc/cpuinfo", "model name", ":")
	m.System = strings.Trim(setting("/etc/os-release", "PRETTY_NAME", "="), `"`)
	m.Memory, _ = field("/proc/meminfo", "MemTotal:")
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	m.Files, _ = RaiseFiles()
	return m
}

// Load is the load average: how many processes want to run, over 1, 5 and 15 minutes.
func Load() string {
	text, _ := os.ReadFile("/proc/loadavg")
	if f := strings.Fields(string(text)); len(f) >= 3 {
		return strings.Join(f[:3], " ")
	}
	return "unknown"
}

// setting is the value of the first line "name<separator>value" of a file.
func setting(file, name, separator string) string {
	text, _ := os.ReadFile(file)
	for line := range strings.Lines(string(text)) {
		key, value, ok := strings.Cut(line, separator)
		if ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}
