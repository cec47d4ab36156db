package topic

// Match reports whether an inner filter matches a name (MQTT 5.0 §4.7.1.2, §4.7.1.3, §4.7.2). Both must be valid. A filter that begins with a wildcard
// never matches a name that begins with $. It allocates nothing.
func Match(filter, name string) bool {
	if len(filter) == 0 || len(name) == 0 {
		return false
	}
	if name[0] == '$' && (filter[0] == '+' || filter[0] == '#') {
		return false
	}
	f, n := 0, 0
	for {
		if f < len(filter) && filter[f] == '#' {
			return true
		}
		fEnd, nEnd := levelEnd(filter, f), levelEnd(name, n)
		if fEnd-f != 1 || filter[f] != '+' {
			if filter[f:fEnd] != name[n:nEnd] {
				return false
			}
		}
		if nEnd == len(name) {
			// "a/#" matches "a" too
			return fEnd == len(filter) || filter[fEnd:] == "/#"
		}
		if fEnd == len(filter) {
			return false
		}
		f, n = fEnd+1, nEnd+1
	}
}

// levelEnd is where the level that begins at i ends.
func levelEnd(s string, i int) int {
	for i < len(s) && s[i] != '/' {
		i++
	}
	return i
}
