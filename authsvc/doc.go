// Package authsvc says who may connect and what they may do: it is broker.Auth
// for the gateways and broker.AuthAdmin for the management.
//
// # What it owns
//
// The built-in users, client ids and access rules are events of one journal,
// "AU". One authsvc owns it (partition 0 of the space "auth") and writes; every
// authsvc, the owner too, follows the journal into a SQLite file of its own,
// from which it answers. The file can be deleted at any time. Looking up and
// deciding is local; a change goes to the owner, through any of them.
//
//	PutUser ─► hash the password ─► owner: plan, number, append, apply, compile ─► nil
//	                                          │
//	             every replica: Follow ◄──────┘  within 200 ms ─► SQLite ─► compiled rules ─► WatchRules
//
// # Promises
//
//   - A change that returned nil is durable at the journal's level, in force at the
//     owner, and in force at every replica that reaches the journal within a
//     second. One whose error is KindUnavailable or KindCanceled may have happened.
//   - Changes are planned one after the other on what was there before: of two that
//     create one name, one gets KindConflict.
//   - It fails closed. Whatever cannot be decided is refused: the users are not read
//     yet, the projection is damaged, too many wait for a password computation.
//   - A replica never answers from half a projection: while it is filled again,
//     clients are refused and the rules last compiled stay in force.
//   - An unknown user costs what a wrong password costs. No password leaves the
//     process that was given it: its hash does.
//
// It asks no external database, keeps no connection of a client, and never
// decides by itself to end one.
//
// # Authenticate (§6.1)
//
// The authenticators of auth.chain are asked in order. The first that knows the
// name decides: right password, in; wrong or missing password, refused at once.
// None knows it: auth.allow_anonymous decides. Unset, it means: on listeners
// bound to loopback, as long as there is no user and no client id, neither in the
// journal nor in the configuration. A client that came in by its client id keeps
// the user name it gave only if no built-in user has that name.
//
// # Exchange
//
// MQTT 5.0 clients may prove a built-in user's password by SCRAM-SHA-256 or SCRAM-SHA-512 (services/scram), if auth.chain has "user". Salted keys are derived
// whenever a password is set, by the process that was given it, and stand in the journal beside the hash; an imported hash brings none. Nothing is kept between the
// steps: the gateway carries the challenge, so that any replica can check the proof. Unknown users and those without keys get a challenge
// like everybody, made of a secret that the first user with keys puts into the journal (scram_seed): all replicas make the same one, and the
// refusal at the end is that of a wrong proof. The metrics and a debug line tell a user without keys. The proven name is the user name of the identity,
// whatever CONNECT says. A client id with a password of its own that the chain asks first cannot be used this way.
//
// # Authorize
//
// Superusers may do everything. For the others: built-in rules in their order,
// the rule file (without one the rules of the seed), then auth.acl_nomatch.
// Publishing into $SYS needs a rule that names it: neither {allow, all} nor
// acl_nomatch = allow is about it. No change of a user changes a decision: whether somebody is a superuser is part of
// the Identity, found out at CONNECT.
//
// # Generations
//
// The generation of the rules is 1 + the sequence number of the last event in AU
// that changes rules: a rule put, deleted or moved, or an acl_reload. Every
// replica numbers the same history, so generations compare across replicas:
// whoever says g has applied all changes that g stands for, whoever says less has
// not yet. A gateway that moves to a replica behind its former one sees a lower
// number, never an old decision under a new one; it asks again, and for 200 ms
// may get an answer it has to take for stale. Rules are compiled before their
// generation is shown, and read after it was noted: what is decided under g is
// never older than g.
//
// The rule file lies outside the journal. Reloading it is an event of the journal
// (acl_reload, with a digest of the file and of acl_nomatch), on which every
// replica reads its own file: the event is the counter. A replica that starts with
// a file of another digest than the last acl_reload says has one written, so
// that decisions taken under the former file become stale. Between its start
// and that event, and for as long as the files of two hosts differ, two replicas may
// decide differently under one generation: distribute the file first, then reload.
// A replica whose file is broken at that moment keeps its old rules, logs it and
// counts it (pando_auth_failures_total{step="acl_file"}).
//
// If the journal is replaced by a shorter one (restored from a backup), sequence
// numbers go back; a running replica then goes on upwards by one at each
// change, so that what it says never sinks. Such numbers do not compare: restart
// the authsvc processes and the gateways after such a repair.
//
// # The projection
//
// Three parties fill it: Follow, the owner's replay, and the owner's own changes.
// They need no order among them, because events are numbered and each counts once.
// A reading that finds another event under the last number applied, or a journal
// that ends before it, empties the projection and it is filled anew: the file came
// from another cluster, or a power loss took events away.
//
// # Locks
//
// signal.mu and owner.mu are leaves; owner.mu is held across nothing that waits but
// the end of a log that is not used.
package authsvc
