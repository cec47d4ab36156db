// Package acl decides whether a client may publish to a topic or subscribe to
// a filter, by an ordered list of rules: the acl.conf of the seed (EMQ 2.x
// reference §6.12) or rows of a table (§6.8). It owns the grammar, the
// matching and the reload of a rule file; it knows no chain of sources, no
// cache and no default for "no rule matched" (that answer is [Ignore]).
//
// # Promises
//
//   - The first rule that matches decides; later ones are not looked at.
//   - Nothing that is broken ever allows: a file that is empty, unreadable,
//     half written or starts with a byte order mark is an error, and a
//     [Holder] keeps the rules it had. No rules at all (a nil [Rules]) deny.
//   - A client cannot widen a rule by the name it chose. %u and %c stand for
//     one whole level and are compared, never pasted into a pattern: an
//     identity that is empty or holds '+', '#', '/', a control character or
//     broken UTF-8, or starts with '$' where it would be the first level, makes
//     that rule not match. [Decision.Skipped] says that this happened.
//   - Decide allocates nothing, uses no regular expression and costs one map
//     probe for all the rules that name other users or clients.
//
// # What a rule's topic matches
//
//	rule         publish topic                  subscription filter
//	a/b          a/b                            a/b
//	a/+          a/b, a/                        a/b, a/+      not a/#
//	a/#          a, a/b, a/b/c                  a, a/b, a/+, a/+/c, a/#
//	(all)        all but $SYS and below it      all       {allow, all}; {deny, all} is about $SYS too
//	+/#  and #   all but those starting with $  all but those starting with $
//	{eq, "#"}    (nothing)                      # literally, not +/#
//	x/%u         x/<user name>                  x/<user name>
//
// A rule matches a subscription when it covers it: every topic the
// subscription can receive is one the rule names. A deny rule for secret/#
// therefore does not stop a later allow rule from granting the wider filter
// +/#; deployments that mix denials with wide grants have the decision taken
// again per topic at delivery, or deny the wide filters by {eq, ...}.
//
// # Grammar (Erlang terms, § 6.12)
//
//	file   = { rule "." }                                 each "." is followed by a blank, a comment or the end
//	rule   = "{" effect "," "all" "}"
//	       | "{" effect "," who "," access "," "[" topic { "," topic } "]" "}"
//	effect = "allow" | "deny"
//	access = "subscribe" | "publish" | "pubsub"
//	who    = "all" | binary                               a bare binary is a user name
//	       | "{" "user" "," name "}" | "{" "client" "," name "}"     name = text | "all"
//	       | "{" "ipaddr" "," text "}"                    an address or a CIDR block, IPv4 or IPv6
//	       | "{" "and" "," "[" who { "," who } "]" "}" | "{" "or" ... "}"
//	topic  = text | "{" "eq" "," text "}"
//	text   = '"' ... '"' | binary       binary = '<<"' ... '">>'       % starts a comment, to the end of the line
package acl
