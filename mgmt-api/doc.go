// Package mgmtapi is described in README.md.
package mgmtapi
