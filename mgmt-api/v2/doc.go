// Package v2 is the REST API under /api/v2 in the form that EMQ 2.x has, with /status and / beside it.
//
// Every answer under /api/v2 has HTTP status 200 and is an envelope: {"code":0,"result":X}, or {"code":1xx,"message":".."} (code.go). An answer that lacks
// the part of some service says so in "missing", a list of texts that is absent otherwise. Exceptions: 401 without a body (not an administrator), 404 without
// a body (no such path, or a handler that broke), 413 (body too large), 503 (too many requests at once).
//
// Variables of a path are URL-decoded, so a / in a topic or client id is written %2F. Lists take curr_page (from 1) and page_size (20).
// A list is counted by reading it, in pages of 1000 rows; that of clients is counted by the gateways.
//
// What names Erlang carries the nearest thing there is:
//
//	otp_release         Go release
//	process_used        goroutines of the node
//	process_available   2147483647: there is no limit
//	acceptors           as the listener has them
package v2
