// Package authsvc is described in README.md.
package authsvc
