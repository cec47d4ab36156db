// Package e2e holds the end-to-end tests: one body of tests over Env, which is the suite as its users have it. PANDO_E2E says which one is started:
// allinone is one process of bin/pando, procs is the cluster of separate processes that `make cluster` starts. No test knows which one it has; with both
// the same number of tests runs.
//
// Clients are programs of other people: mosquitto_pub and mosquitto_sub, the two Eclipse Paho clients for Go (MQTT 3.1, 3.1.1 and 5.0), and MQTT.js over
// WebSocket. Where a test must do what no polite client does, it writes packets with the codec of Paho.
//
// PANDO_BIN is the directory of the binaries (`make build`), by default bin at the top of the tree. `make e2e ENV=allinone` sets both.
package e2e
