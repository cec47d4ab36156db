package run

import (
	"runtime/debug"
	"strings"
)

// version is set by the linker: -X github.com/pando-mq/pando/services/run.version=v1.2.3
var version string

// shortRevision is how many characters of a revision are shown.
const shortRevision = 12

// Version says what this binary was built from: the version given to the linker;
// else the main module's version when it was installed by path and version; else
// "devel" with the revision, and "+dirty" when the tree had changes.
func Version() string {
	info, _ := debug.ReadBuildInfo()
	return describe(version, info)
}

func describe(linked string, info *debug.BuildInfo) string {
	if linked != "" {
		return linked
	}
	if info == nil {
		return "devel"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	parts := []string{"devel"}
	if r := settings["vcs.revision"]; r != "" {
		parts = append(parts, r[:min(len(r), shortRevision)])
	}
	v := strings.Join(parts, "-")
	if settings["vcs.modified"] == "true" {
		v += "+dirty"
	}
	return v
}
