// Package log sets up log/slog for a process: level, format, destination, the
// one list of permitted keys, and warnings that cannot flood.
//
// Everybody else takes a *slog.Logger from its Deps and writes one sentence
// without a final dot; info means that the process changed its state, debug
// means one device. Per-message logging does not exist.
//
// A log file is opened for appending and never rotated here: logrotate with
// copytruncate, or the service manager's journal, does that.
package log
