//go:build !unix

package edge

// maxFiles is how many files the process may have open; not known here.
func maxFiles() uint64 { return 0 }
