package diff

import (
	"regexp"
	"slices"
)

// all are the three versions, older those without reason codes.
const (
	all   = "345"
	older = "34"
)

// anyWill is the will of a client of a sequence, and nothing else.
const anyWill = `PUBLISH [^;]*"will of [^;]*`

// anyWills is anyWill as mosquitto sends it: once for each of the subscriptions of a client that it matches.
const anyWills = anyWill + `(; ` + anyWill + `)*`

// Table is the list of intended differences. Sections are those of MQTT 5.0 unless another version is named. mosquitto is 2.0.11, as Debian 12 has it.
func Table() []Entry {
	return slices.Concat(accepted(), refusedConnects(), refusedPackets(), taken(), filters(), overlaps(), wills())
}

// each makes one entry for each name.
func each(e Entry, names ...string) []Entry {
	var out []Entry
	for _, n := range names {
		e.Step = regexp.QuoteMeta(n)
		out = append(out, e)
	}
	return out
}

// accepted are differences of what both servers accept.
func accepted() []Entry {
	const ours = `CONNACK 00 present=. \{(0x12="\*",)?0x21=0014,0x22=000a,0x27=00010000\}`
	return []Entry{
		{
			Step: "CONNECT.*", Versions: "5", Role: "self", GoOn: true, Ours: ours, Theirs: `CONNACK 00 present=. \{(0x12="\*",)?0x13=ffff,0x21=0014,0x22=000a,0x27=00010000\}`,
			Why: "§3.1.2.10: a keep-alive of 0 turns it off, which mosquitto replaces by 65535 (§3.2.2.3.14)",
		},
		{
			Step: "CONNECT.*", Versions: "5", Role: "other", Ours: "DISCONNECT 8e", Theirs: "", GoOn: true,
			Why: "MQTT-3.1.4-3: the client whose session is taken over is told; mosquitto only closes",
		},
		{
			Step: "stray PUBREC", Versions: "5", Role: "self", Ours: "PUBREL 92", Theirs: "PUBREL 00", GoOn: true,
			Why: "§3.6.2.1: 0x92 for a packet identifier that is not known; mosquitto releases it as if it were",
		},
		{
			Step: "stray PUBREL", Versions: "5", Role: "self", Ours: "PUBCOMP 999 92", Theirs: "PUBCOMP 999 00", GoOn: true,
			Why: "§3.7.2.1: 0x92 for a packet identifier that is not known; mosquitto confirms it",
		},
		{
			Step: "PUBLISH QoS 2.*, twice", Versions: "5", Role: "self", Ours: `PUBCOMP \d+ 92`, Theirs: `PUBCOMP \d+ 00`, GoOn: true,
			Why: "§3.7.2.1: the second PUBREL of an exchange is about a packet identifier that is not known any more",
		},
		{
			Step: "PUBLISH QoS 2, kept", Versions: "5", Role: "self", Ours: `PUBREC \d+ 10`, Theirs: `PUBREC \d+ 00`, GoOn: true,
			Why: "§3.5.2.1: 0x10 says that there is no subscriber; mosquitto routes at PUBREL and does not know yet (§4.3.3)",
		},
		{
			Step: "PUBLISH QoS 1 .SYS", Versions: "5", Role: "self", Ours: "PUBACK 1 10", Theirs: "PUBACK 1 87", GoOn: true,
			Why: "§4.7.2 leaves $-topics to the server: access rules decide here, mosquitto refuses all of $SYS",
		},
	}
}

// refusedConnects are CONNECTs that both refuse, and Pando with a reason.
func refusedConnects() []Entry {
	e := Entry{Versions: "5", Role: "self", Theirs: "", Why: "§4.13.1: a CONNACK with the reason before the close; mosquitto only closes"}
	with := func(code string, names ...string) []Entry {
		e.Ours = "CONNACK " + code + " present=0"
		return each(e, names...)
	}
	return slices.Concat(
		with("81", "CONNECT bytes behind", "CONNECT id NUL", "CONNECT id bad UTF-8", "CONNECT property length", "CONNECT reserved flag", "CONNECT topic alias",
			"CONNECT unknown property", "CONNECT user name missing", "CONNECT will QoS 3", "CONNECT will QoS without will", "CONNECT will retain without will",
			"CONNECT will topic alias", "CONNECT will topic bad UTF-8"),
		with("82", "CONNECT expiry twice", "CONNECT maximum packet size 0", "CONNECT problem information 2", "CONNECT receive maximum 0", "CONNECT response information 2"),
		with("90", "CONNECT will topic #", "CONNECT will topic empty"),
		with("01", "CONNECT level 0x85"),
		[]Entry{
			{
				Step: "CONNECT level 6", Versions: "4", Role: "self", Ours: "CONNACK 84 present=0", Theirs: "CONNACK 01 present=0",
				Why: "MQTT-3.1.2-2: a level above 5 is answered as 5.0 says; mosquitto answers as 3.1.1 does",
			},
			{
				Step: "CONNECT authentication data only", Versions: "5", Role: "self", Ours: "CONNACK 82 present=0; END", Theirs: "CONNACK 00 .*",
				Why: "§3.1.2.11.10: data without a method is a protocol error; mosquitto lets it pass",
			},
		},
	)
}

// refusedPackets are packets that both refuse, with another reason or none.
func refusedPackets() []Entry {
	silent := func(code string, names ...string) []Entry {
		return each(Entry{Versions: "5", Role: "self", Ours: "DISCONNECT " + code, Why: "§4.13.1: a DISCONNECT with the reason before the close; mosquitto only closes"}, names...)
	}
	other := func(ours, theirs, why string, names ...string) []Entry {
		return each(Entry{Versions: "5", Role: "self", Ours: "DISCONNECT " + ours, Theirs: "DISCONNECT " + theirs, Why: why}, names...)
	}
	return slices.Concat(
		silent("81", "AUTH flags", "CONNACK", "DISCONNECT flags", "PUBACK short", "PUBLISH content type bad UTF-8", "PUBLISH user property NUL", "PUBREL flags 0",
			"UNSUBACK", "length of 5 bytes"),
		silent("8[12]", "SUBACK"),
		silent("82", "CONNACK 5", "DISCONNECT expiry twice", "DISCONNECT unknown reason", "PUBACK id 0", "PUBLISH alias twice", "PUBLISH expiry twice",
			"PUBLISH payload format twice", "PUBREL id 0", "SUBSCRIBE subscription id twice", "second CONNECT"),
		silent("8[2c]", "AUTH"),
		other("90", "82", "§3.3.2.1 and §4.13: 0x90 is the code of an invalid topic name", "PUBLISH #", "PUBLISH +", "PUBLISH a+"),
		other("94", "81", "MQTT-3.3.2-8 and §3.3.2.3.4: a topic alias of 0 is answered with 0x94", "PUBLISH alias 0"),
		other("82", "81", "§2.2.1, §3.8.3, §3.8.2.1.2: these are protocol errors, 0x82; mosquitto says malformed", "SUBSCRIBE QoS 3", "SUBSCRIBE id 0", "SUBSCRIBE nothing",
			"SUBSCRIBE retain handling 3", "SUBSCRIBE subscription id 0", "UNSUBSCRIBE id 0", "UNSUBSCRIBE nothing"),
		other("81", "82", "§2.1.2: type 0 is reserved, a packet of that type malformed", "type 0"),
	)
}

// taken are packets that one of the two refuses.
func taken() []Entry {
	lax := func(versions, ours, theirs, why string, names ...string) []Entry {
		return each(Entry{Versions: versions, Role: "self", Ours: ours, Theirs: theirs, Why: why}, names...)
	}
	const flags = "MQTT-2.1.3-1 (3.1.1: MQTT-2.2.2-2): reserved flag bits; mosquitto does not look at them"
	const body = "§3.12 and 3.1.1 §3.4: there is nothing behind the last field; mosquitto ignores it"
	const foreign = "§4.13, 3.1.1 §4.8: only servers send these; mosquitto ignores them"
	return slices.Concat(
		lax(older, "END", "", flags, "PINGREQ flags", "PUBACK flags", "PUBREC flags", "PUBCOMP flags"),
		lax("5", "DISCONNECT 81; END", "", flags, "PINGREQ flags", "PUBACK flags", "PUBREC flags", "PUBCOMP flags"),
		lax(all, "", "PUBREL 00", flags, "PUBREC flags"),
		lax(older, "END", "", body, "PINGREQ body", "PUBACK long"), lax("5", "DISCONNECT 81; END", "", body, "PINGREQ body"),
		lax(older, "END", "", foreign, "PINGRESP", "SUBACK", "UNSUBACK"), lax("5", "DISCONNECT 82; END", "", foreign, "PINGRESP", "SUBACK 5"),
		lax(older, "END", "", "MQTT-3.3.1-2: DUP with QoS 0", "PUBLISH QoS 0 DUP"), lax("5", "DISCONNECT 81; END", "", "MQTT-3.3.1-2: DUP with QoS 0", "PUBLISH QoS 0 DUP"),
		lax(older, "END", "", "§1.5.5 and MQTT-1.5.5-1: the shortest form", "length not minimal"),
		lax("5", "DISCONNECT 81; END", "", "§1.5.5 and MQTT-1.5.5-1: the shortest form", "length not minimal"),
		lax("5", "DISCONNECT 82; END", "", "§3.4.2.1: not a reason code of this packet", "PUBACK unknown reason"),
		lax("5", "DISCONNECT 82; END", "PUBCOMP 1 00", "§3.6.2.1: not a reason code of this packet", "PUBREL unknown reason"),
		lax("5", "DISCONNECT 82; END", "", "§3.3.2.3.2, §3.3.2.3.5, MQTT-3.3.2-14, MQTT-3.3.4-6: protocol errors that mosquitto delivers",
			"PUBLISH payload format 2", "PUBLISH response topic #", "PUBLISH response topic empty", "PUBLISH subscription id"),
		lax("5", "DISCONNECT 93; END", "PUBCOMP .*", "MQTT-3.3.4-9: more unacknowledged messages than the receive maximum, which mosquitto does not count", "21 of QoS 2"),
		control(),
	)
}

// control are characters that should not be in topics.
func control() []Entry {
	e := Entry{Role: "self", Why: "§1.5.4: control characters should not be there, a receiver may refuse them; Pando does not"}
	e.Versions, e.Theirs = older, "END"
	out := each(e, "PUBLISH control character", "PUBLISH C1 control")
	e.Versions, e.Theirs = "5", "DISCONNECT 81; END"
	out = append(out, each(e, "PUBLISH control character", "PUBLISH C1 control")...)
	e.Versions, e.Role, e.Ours, e.Theirs = all, "observer|other|self", `PUBLISH [^;]*"x"[^;]*`, "("+anyWill+")?"
	return append(out, each(e, "PUBLISH control character", "PUBLISH C1 control")...)
}

// filters are about topic filters.
func filters() []Entry {
	entry := func(versions, ours, theirs, why string, names ...string) []Entry {
		return each(Entry{Versions: versions, Role: "self", Ours: ours, Theirs: theirs, Why: why}, names...)
	}
	const share = "MQTT-4.8.2-1, MQTT-4.8.2-2: a share name of at least one character, without / + #, and a filter behind it"
	return slices.Concat(
		entry(older, "END", "SUBACK 7 00", share, "SUBSCRIBE $share//t", "SUBSCRIBE $share/g"),
		entry("5", "SUBACK 7 8f", "SUBACK 7 00", share, "SUBSCRIBE $share//t", "SUBSCRIBE $share/g", "SUBSCRIBE $share/g/"),
		entry("5", "SUBACK 7 8f", "DISCONNECT 81; END", share, "SUBSCRIBE $share/a+b/t"),
		entry("5", "SUBACK 7 8f", "DISCONNECT 81; END", "§3.9.3: 0x8F is the code of an invalid filter; mosquitto closes", "SUBSCRIBE +a", "SUBSCRIBE a#", "SUBSCRIBE a/#/b"),
		entry("5", "", `PUBLISH [^;]* retain=1 [^;]*(; PUBLISH [^;]* retain=1 [^;]*)*`, "MQTT-3.8.3-3: no local is about retained messages, too; a bridge of MQTT 3 has it by its bit", "SUBSCRIBE, no local"),
		entry(older, "", `PUBLISH [^;]* retain=1 [^;]*(; PUBLISH [^;]* retain=1 [^;]*)*`, "MQTT-3.8.3-3: no local is about retained messages, too; a bridge of MQTT 3 has it by its bit", "SUBSCRIBE, no local"),
		entry("5", "UNSUBACK 1 8f", "DISCONNECT 81; END", "§3.11.3: 0x8F is the code of an invalid filter; mosquitto closes", "UNSUBSCRIBE a#"),
		entry("5", "DISCONNECT 82; END", "SUBACK 7 00", "MQTT-3.8.3-4: no local with a shared subscription", "SUBSCRIBE shared, no local"),
		entry("3", "END", "SUBACK 1", "3.1 §3.8: a list of topic names; mosquitto accepts an empty one", "SUBSCRIBE nothing"),
		entry("3", "END", "UNSUBACK 1", "3.1 §3.10: a list of topic names; mosquitto accepts an empty one", "UNSUBSCRIBE nothing"),
		[]Entry{
			{
				Step: "SUBSCRIBE, shared|SUBSCRIBE (shared, no local|.share//t)", Versions: all, Role: "self", Ours: "", Theirs: `PUBLISH [^;]* retain=1 .*`,
				Why: "§4.8.2: a shared subscription gets no retained messages",
			},
		},
	)
}

// overlaps are about subscriptions of one client that match the same message, MQTT-3.3.4-2 and §3.3.4: Pando delivers it once, with the highest QoS and
// with all subscription identifiers; mosquitto for each subscription to 5.0, and for the one it finds first to the others.
func overlaps() []Entry {
	const why = "MQTT-3.3.4-2, §3.3.4: overlapping subscriptions deliver once, with the highest QoS and all identifiers; mosquitto for each, or for one of them"
	const many = `PUBLISH [^;]*(; PUBLISH [^;]*)*`
	return []Entry{
		{Step: ".*", Versions: "5", Role: "other|self", Ours: `PUBLISH [^;]*`, Theirs: many, Why: why},
		{Step: ".*", Versions: all, Role: "other|self", Ours: "", Theirs: `AGAIN PUBLISH [^;]*(; AGAIN PUBLISH [^;]*)*`, Why: why},
		{Step: ".*", Versions: older, Role: "other|self", Ours: `PUBLISH [^;]* qos=[12] [^;]*`, Theirs: `PUBLISH [^;]* qos=[01] [^;]*`, Why: why},
		{
			Step: "PUBLISH .*", Versions: older, Role: "other|self", Ours: `PUBLISH [^;]*`, Theirs: "", GoOn: true,
			Why: "§4.8.2: a shared subscription and one that is not are served apart; mosquitto delivers once to a client of MQTT 3 that has both",
		},
	}
}

// wills are differences that the end of a connection has for others.
func wills() []Entry {
	return []Entry{
		{
			Step: "CONNECT.*", Versions: all, Role: "other|observer|self", Ours: anyWill, Theirs: "",
			Why: "MQTT-3.1.2-8, §3.1.4: the will of a client whose session is taken over is published; mosquitto forgets it",
		},
		{
			Step: "CONNECT.*", Versions: all, Role: "other", Ours: "", Theirs: anyWills,
			Why: "§3.1.4: at a take-over the session belongs to the new connection before the will is published; mosquitto still sends it to the old one",
		},
		{
			Step: "[a-zA-Z0-9$ #+/,-]*", Versions: all, Role: "other|observer", Ours: anyWill, Theirs: "",
			Why: "MQTT-3.1.2-8: the will of a connection that Pando ended after this packet, and mosquitto did not",
		},
		{
			Step: "PUBLISH (C1 control|control character)|UNSUBSCRIBE a#|SUBSCRIBE (.a|a#|a/#/b|.share.*)", Versions: all, Role: "other|observer", Ours: "", Theirs: anyWills,
			Why: "MQTT-3.1.2-8: the will of a connection that mosquitto ended after this packet, and Pando did not",
		},
		{
			Step: "21 of QoS 2", Versions: "5", Role: "self|other|observer", Ours: `(PUBLISH [^;]*"x".*)?`, Theirs: `PUBLISH [^;]*"x".*`,
			Why: "MQTT-3.3.4-9: what mosquitto delivers of more messages than the receive maximum",
		},
		{
			Step: "PUBLISH (payload format 2|response topic (#|empty)|subscription id)", Versions: all, Role: "self|other|observer", Ours: "(" + anyWill + ")?", Theirs: `PUBLISH [^;]*"x".*`,
			Why: "the protocol errors that mosquitto delivers",
		},
	}
}
