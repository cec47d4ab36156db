// Package api answers the gRPC service pando.mgmt.v1 from a fleet: it converts, bounds and translates errors, and holds no logic of its own.
//
// It is served on two doors: a socket in the data directory, whose file mode says who may call, and, when the process has a port for services, there
// with a bearer token ("authorization: Bearer <token>").
package api
