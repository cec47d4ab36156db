// Package proxy reads the header that a proxy puts before the bytes of the
// connection it forwards: the PROXY protocol, versions 1 (a line of text) and 2
// (binary, with fields of type, length and value).
//
// It is pure: Parse looks at bytes that somebody else has read. It allocates
// nothing of a declared length, takes time linear in the header, and refuses a
// header as soon as it is known to be wrong or longer than MaxHeader. Whether
// the sender may be believed is not decided here.
package proxy
