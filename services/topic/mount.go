package topic

import "strings"

// Mount puts a mount point in front of the inner part of a full filter: Mount("dev/", "$share/g/a/+") is "$share/g/dev/a/+".
// Names have no prefixes: for them write prefix + name. Whether the result is still valid (length) is for the caller to check. A malformed prefix is left to [Parse]:
// such a filter is returned with the mount point in front of what follows the last well-formed prefix.
func Mount(prefix, full string) string {
	if prefix == "" {
		return full
	}
	p, _ := split(full)
	head := full[:len(full)-len(p.Filter)]
	return head + prefix + p.Filter
}

// Unmount takes a mount point off a name, or off the inner part of a full filter. What does not have it comes back unchanged.
func Unmount(prefix, full string) string {
	if prefix == "" {
		return full
	}
	if rest, ok := strings.CutPrefix(full, prefix); ok {
		return rest
	}
	p, _ := split(full)
	rest, ok := strings.CutPrefix(p.Filter, prefix)
	if !ok {
		return full
	}
	return full[:len(full)-len(p.Filter)] + rest
}
