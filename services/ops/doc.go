// Package ops is the admin port of a process: whether it lives, whether it is
// ready, its metrics and its profiles.
//
//	GET /healthz        200 while the process answers
//	GET /readyz         200 when every named check passes, else 503; a JSON object either way
//	GET /metrics        Prometheus exposition of the injected registry
//	GET /debug/pprof/   profiles of the Go runtime
//
// It has no authentication, so it listens on loopback and refuses any other
// address unless the configuration says allow_remote. On loopback it also
// refuses requests whose Host is a domain name other than localhost, which is
// how a web page would reach it through a rebound name.
//
// Liveness never looks at the cluster: the health of others must not restart
// this process.
package ops
