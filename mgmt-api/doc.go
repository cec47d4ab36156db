// Package mgmtapi is the management service: what people and tools ask of a running suite.
//
// It owns no state of the suite. It asks every service in the cluster's view at the same time, each within a deadline, merges the sorted pages they
// answer, and names those that did not answer: a dead service makes a partial answer, never an error page. The one thing it keeps is its own
// administrators: a file with password hashes under the data directory.
//
// # Parts
//
//	fleet/      asks the services and merges; plain Go types, no protocol
//	account/    administrators and the token of the gRPC port
//	v2/         REST /api/v2 in the seed's form, /status
//	api/        gRPC pando.mgmt.v1, on a socket in the data directory and on the service's port
//	api/ctl/    pandoctl
//
// # Doors
//
//	REST   mgmt.listen (127.0.0.1:8080)       HTTP Basic with an administrator; /status and / need none
//	gRPC   <data_dir>/pandoctl.sock           whoever may open the file: mode 0600
//	gRPC   the service's port (9700)          bearer token of <data_dir>/pandoctl.token; closed in the all-in-one process
package mgmtapi
