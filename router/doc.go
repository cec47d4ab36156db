// Package router is described in README.md.
package router
