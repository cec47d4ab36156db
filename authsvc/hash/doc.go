// Package hash verifies and creates password hashes: every form that the seed
// (EMQ 2.x reference §6.3) stores, and argon2id for new ones.
//
// # Promises
//
//   - Comparison takes the same time wherever two hashes differ.
//   - An unknown user costs what a wrong password costs: both run the same code
//     on a hash of the same shape ([Verifier.VerifyUnknown]); a wrong password
//     for a cheap imported hash pays the expensive reference on top.
//   - At most [Config.Workers] expensive computations run at once, at most
//     [Config.Queue] callers wait, within [Config.QueueBytes] of passwords; the
//     rest is told [ErrBusy] at once. A caller whose context ends stops waiting.
//   - A stored hash is data, not trust: parameters that would cost more than
//     about a second or 256 MiB are refused ([ErrLimits]), broken ones too
//     ([ErrMalformed]); an empty hash matches no password.
//   - The cache of verified credentials keeps no password and no hash: its keys
//     are HMAC-SHA256 under a random key of the process over the stored hash,
//     its salt and the password. A changed password is another key, so a change
//     takes effect at once. Only successes are cached.
//
// # Cost of one verification (one core of the two-core reference machine)
//
//	argon2id m=19456 KiB t=2 p=1 (the default for new hashes)   23 ms, 19 MiB
//	argon2id m=65536 KiB t=3 p=1                               122 ms, 64 MiB
//	bcrypt cost 10 / 12                                     60 ms / 250 ms
//	cached                                                       2 us
//
// The default is the smallest memory-hard setting that OWASP recommends: a
// storm of devices pays it once each, and each core that may compute does 43 a
// second.
package hash
