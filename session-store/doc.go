// Package sessionstore is described in README.md.
package sessionstore
