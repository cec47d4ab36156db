// Package account knows who may manage: administrators with passwords for HTTP Basic, and the bearer token of the gRPC port.
//
// Administrators come from the configuration, or, when it names none, from a file under the data directory: one administrator with a random
// password, of which only the argon2id hash is kept. There is no default password.
//
// It never logs or returns a password, except the generated one, once, to whoever announces it. Where nobody watches the process that one waits in a file
// of mode 0600 (Generated.Keep), never in a log.
package account
