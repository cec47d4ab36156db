package diff

import "strings"

// vector is a packet that breaks the protocol, or nearly.
type vector struct {
	name    string
	version byte // that it is for; 0: all, old: 3.1 and 3.1.1
	make    func(prefix string) []byte
}

// fits reports whether the vector is for a version.
func (v *vector) fits(version byte) bool {
	return v.version == 0 || v.version == version || v.version == old && version < v5
}

// old is 3.1 and 3.1.1.
const old = 1

func (v *vector) bytes(prefix string) []byte { return v.make(prefix) }

// fixed is a vector of bytes.
func fixed(name string, version byte, bytes string) vector {
	return vector{name: name, version: version, make: func(string) []byte { return []byte(bytes) }}
}

// pub is a vector of a PUBLISH of QoS 0 below the prefix, with properties for 5.0.
func pub(name string, version byte, suffix string, props ...[]byte) vector {
	return vector{name, version, func(prefix string) []byte {
		return (&publish{topic: prefix + suffix, props: props, payload: "x"}).bytes(version)
	}}
}

// sub is a vector of a SUBSCRIBE; % in the filter stands for the prefix.
func sub(name string, version byte, text string, options byte, props ...[]byte) vector {
	return vector{name, version, func(prefix string) []byte {
		return subscribe(version, 7, props, filter{strings.ReplaceAll(text, "%", prefix), options})
	}}
}

// twice is a property given twice.
func twice(id byte, value ...[]byte) []byte { return join(prop(id, value...), prop(id, value...)) }

// second is the name of a vector.
const second = "second CONNECT"

// vectors are for open connections.
var vectors = []vector{
	fixed("type 0", 0, "\x00\x00"),
	fixed("AUTH flags", 0, "\xf1\x00"),
	fixed("AUTH", v5, "\xf0\x00"),
	fixed("type 15", old, "\xf0\x00"),
	fixed("CONNACK", 0, "\x20\x02\x00\x00"),
	fixed("CONNACK 5", v5, "\x20\x03\x00\x00\x00"),
	fixed("SUBACK", 0, "\x90\x03\x00\x01\x00"),
	fixed("SUBACK 5", v5, "\x90\x04\x00\x01\x00\x00"),
	fixed("UNSUBACK", 0, "\xb0\x02\x00\x01"),
	fixed("PINGRESP", 0, "\xd0\x00"),
	fixed("PINGREQ flags", 0, "\xc1\x00"),
	fixed("PINGREQ body", 0, "\xc0\x01\x00"),
	fixed("DISCONNECT flags", 0, "\xe1\x00"),
	fixed("DISCONNECT body", old, "\xe0\x01\x00"),
	fixed("DISCONNECT unknown reason", v5, "\xe0\x01\x7f"),
	fixed("length of 5 bytes", 0, "\x30\xff\xff\xff\xff\x01"),
	fixed("length not minimal", 0, "\xc0\x80\x00"),
	fixed("PUBLISH QoS 3", 0, "\x36\x05\x00\x01a\x00\x01"),
	fixed("PUBLISH QoS 0 DUP", 0, "\x38\x04\x00\x01a\x00"),
	fixed("PUBLISH id 0", old, "\x32\x06\x00\x01a\x00\x00x"),
	fixed("PUBLISH id 0", v5, "\x32\x07\x00\x01a\x00\x00\x00x"),
	fixed("PUBLISH without id", 0, "\x32\x03\x00\x01a"),
	fixed("PUBLISH topic too long", 0, "\x30\x03\x00\x09a"),
	fixed("PUBLISH without topic", 0, "\x30\x00"),
	fixed("PUBLISH empty topic", old, "\x30\x03\x00\x00x"),
	fixed("PUBLISH empty topic", v5, "\x30\x04\x00\x00\x00x"),
	fixed("PUBLISH property length", v5, "\x30\x04\x00\x01a\x7f"),
	pub("PUBLISH #", old, "/#"), pub("PUBLISH #", v5, "/#"),
	pub("PUBLISH +", old, "/+/a"), pub("PUBLISH +", v5, "/+/a"), pub("PUBLISH a+", v5, "/a+"),
	pub("PUBLISH NUL", old, "/\x00"), pub("PUBLISH NUL", v5, "/\x00"),
	pub("PUBLISH surrogate", old, "/\xed\xa0\x80"), pub("PUBLISH surrogate", v5, "/\xed\xa0\x80"),
	pub("PUBLISH overlong", old, "/\xc0\xaf"), pub("PUBLISH overlong", v5, "/\xc0\xaf"),
	pub("PUBLISH control character", old, "/\x01"), pub("PUBLISH control character", v5, "/\x01"),
	pub("PUBLISH C1 control", old, "/\xc2\x85"), pub("PUBLISH C1 control", v5, "/\xc2\x85"),
	pub("PUBLISH non-character", old, "/\xef\xbf\xbf"), pub("PUBLISH non-character", v5, "/\xef\xbf\xbf"),
	pub("PUBLISH U+FDD0", v5, "/\xef\xb7\x90"),
	pub("PUBLISH alias 0", v5, "/a", prop(0x23, u16(0))),
	pub("PUBLISH alias 11", v5, "/a", prop(0x23, u16(11))),
	pub("PUBLISH alias twice", v5, "/a", twice(0x23, u16(1))),
	fixed("PUBLISH unknown alias", v5, "\x30\x07\x00\x00\x03\x23\x00\x09x"),
	pub("PUBLISH subscription id", v5, "/a", prop(0x0b, []byte{1})),
	pub("PUBLISH session expiry", v5, "/a", prop(0x11, u32(1))),
	pub("PUBLISH unknown property", v5, "/a", prop(0x7f, []byte{1})),
	pub("PUBLISH payload format 2", v5, "/a", prop(0x01, []byte{2})),
	pub("PUBLISH payload format twice", v5, "/a", twice(0x01, []byte{1})),
	pub("PUBLISH expiry twice", v5, "/a", twice(0x02, u32(9))),
	pub("PUBLISH response topic #", v5, "/a", prop(0x08, text("a/#"))),
	pub("PUBLISH response topic empty", v5, "/a", prop(0x08, text(""))),
	pub("PUBLISH user property NUL", v5, "/a", prop(0x26, text("a\x00"), text("b"))),
	pub("PUBLISH content type bad UTF-8", v5, "/a", prop(0x03, text("\xff"))),
	pub("PUBLISH property cut", v5, "/a", []byte{0x02, 0}),
	fixed("PUBLISH $SYS", old, "\x30\x08\x00\x06$SYS/x"), fixed("PUBLISH $SYS", v5, "\x30\x09\x00\x06$SYS/x\x00"),
	fixed("PUBLISH $share", v5, "\x30\x0d\x00\x0a$share/g/t\x00"),
	fixed("PUBLISH QoS 1 $SYS", v5, "\x32\x0b\x00\x06$SYS/x\x00\x01\x00"),
	fixed("SUBSCRIBE flags 0", 0, "\x80\x07\x00\x01\x00\x00\x01a\x00"),
	fixed("SUBSCRIBE nothing", old, "\x82\x02\x00\x01"), fixed("SUBSCRIBE nothing", v5, "\x82\x03\x00\x01\x00"),
	fixed("SUBSCRIBE id 0", old, "\x82\x06\x00\x00\x00\x01a\x00"), fixed("SUBSCRIBE id 0", v5, "\x82\x07\x00\x00\x00\x00\x01a\x00"),
	fixed("SUBSCRIBE cut", old, "\x82\x05\x00\x01\x00\x01a"), fixed("SUBSCRIBE cut", v5, "\x82\x06\x00\x01\x00\x00\x01a"),
	sub("SUBSCRIBE empty filter", old, "", 0), sub("SUBSCRIBE empty filter", v5, "", 0),
	sub("SUBSCRIBE a/#/b", old, "%/#/b", 0), sub("SUBSCRIBE a/#/b", v5, "%/#/b", 0),
	sub("SUBSCRIBE a#", old, "%/a#", 0), sub("SUBSCRIBE a#", v5, "%/a#", 0),
	sub("SUBSCRIBE +a", old, "%/+a", 0), sub("SUBSCRIBE +a", v5, "%/+a", 0),
	sub("SUBSCRIBE NUL", old, "%/\x00", 0), sub("SUBSCRIBE NUL", v5, "%/\x00", 0),
	sub("SUBSCRIBE bad UTF-8", v5, "%/\xff", 0),
	sub("SUBSCRIBE QoS 3", old, "%/a", 3), sub("SUBSCRIBE QoS 3", v5, "%/a", 3),
	sub("SUBSCRIBE reserved bits", old, "%/a", 0x40), sub("SUBSCRIBE reserved bits", v5, "%/a", 0x40),
	sub("SUBSCRIBE no local", old, "%/a", 0x04),
	sub("SUBSCRIBE retain handling 3", v5, "%/a", 0x30),
	sub("SUBSCRIBE shared, no local", v5, "$share/g/%/a", 0x04),
	sub("SUBSCRIBE $share//t", v5, "$share//%", 0), sub("SUBSCRIBE $share//t", old, "$share//%", 0),
	sub("SUBSCRIBE $share/g", v5, "$share/g", 0), sub("SUBSCRIBE $share/g/", v5, "$share/g/", 0), sub("SUBSCRIBE $share/g", old, "$share/g", 0),
	sub("SUBSCRIBE $share/a+b/t", v5, "$share/a+b/%", 0),
	sub("SUBSCRIBE subscription id 0", v5, "%/a", 0, prop(0x0b, []byte{0})),
	sub("SUBSCRIBE subscription id twice", v5, "%/a", 0, twice(0x0b, []byte{1})),
	sub("SUBSCRIBE message expiry", v5, "%/a", 0, prop(0x02, u32(1))),
	fixed("UNSUBSCRIBE flags 0", 0, "\xa0\x06\x00\x01\x00\x00\x01a"),
	fixed("UNSUBSCRIBE nothing", old, "\xa2\x02\x00\x01"), fixed("UNSUBSCRIBE nothing", v5, "\xa2\x03\x00\x01\x00"),
	fixed("UNSUBSCRIBE id 0", old, "\xa2\x05\x00\x00\x00\x01a"), fixed("UNSUBSCRIBE id 0", v5, "\xa2\x06\x00\x00\x00\x00\x01a"),
	fixed("UNSUBSCRIBE empty filter", old, "\xa2\x04\x00\x01\x00\x00"), fixed("UNSUBSCRIBE empty filter", v5, "\xa2\x05\x00\x01\x00\x00\x00"),
	fixed("UNSUBSCRIBE a#", old, "\xa2\x06\x00\x01\x00\x02a#"), fixed("UNSUBSCRIBE a#", v5, "\xa2\x07\x00\x01\x00\x00\x02a#"),
	fixed("PUBACK flags", 0, "\x41\x02\x00\x01"), fixed("PUBREC flags", 0, "\x52\x02\x00\x01"),
	fixed("PUBREL flags 0", 0, "\x60\x02\x00\x01"), fixed("PUBCOMP flags", 0, "\x71\x02\x00\x01"),
	fixed("PUBACK id 0", 0, "\x40\x02\x00\x00"), fixed("PUBREL id 0", 0, "\x62\x02\x00\x00"),
	fixed("PUBACK short", 0, "\x40\x01\x00"), fixed("PUBACK long", old, "\x40\x03\x00\x01\x00"),
	fixed("PUBACK unknown reason", v5, "\x40\x03\x00\x01\x7f"), fixed("PUBREL unknown reason", v5, "\x62\x03\x00\x01\x7f"),
	vector{second, 0, func(p string) []byte { return (&connect{version: v311, id: p + "-s", clean: true}).bytes() }},
	vector{"DISCONNECT expiry twice", v5, func(string) []byte { return frame(firstDisconnect, []byte{0}, block(v5, twice(0x11, u32(0)))) }},
	vector{"21 of QoS 2", v5, func(p string) []byte {
		var b []byte
		for i := range uint16(21) {
			b = append(b, (&publish{topic: p + "/q", qos: 2, id: 100 + i, payload: "x"}).bytes(v5)...)
		}
		return b
	}},
}

// con is a vector of a CONNECT.
func con(name string, version byte, change func(c *connect)) vector {
	return vector{name, version, func(prefix string) []byte {
		c := connect{version: version, id: prefix + "-v", clean: true, keep: 60}
		change(&c)
		if c.will != nil {
			c.will.topic = strings.ReplaceAll(c.will.topic, "%", prefix)
		}
		return c.bytes()
	}}
}

// patched is a good CONNECT with one byte changed: 0 is the first byte of the packet.
func patched(name string, version byte, at int, value byte) vector {
	v := con(name, version, func(*connect) {})
	return vector{name, version, func(prefix string) []byte {
		b := v.make(prefix)
		b[at] = value
		return b
	}}
}

// vectorsOfConnect are for connections of their own.
var vectorsOfConnect = []vector{
	fixed("first PINGREQ", v311, "\xc0\x00"), fixed("first PUBLISH", v311, "\x30\x03\x00\x01a"), fixed("first CONNACK", v311, "\x20\x02\x00\x00"),
	fixed("first AUTH", v5, "\xf0\x00"), fixed("first DISCONNECT", v311, "\xe0\x00"), fixed("first type 0", v311, "\x00\x00"),
	fixed("first SUBACK", v311, "\x90\x03\x00\x01\x00"), fixed("first PUBACK", v311, "\x40\x02\x00\x01"),
	fixed("CONNECT of 256 MB not CONNECT", v311, "\x30\xff\xff\xff\x7f"),
	patched("CONNECT flags 1", v311, 0, 0x11), patched("CONNECT flags 1", v5, 0, 0x11),
	patched("CONNECT level 6", v311, 8, 6), patched("CONNECT level 0", v311, 8, 0), patched("CONNECT level 3 of MQTT", v311, 8, 3),
	patched("CONNECT level 0x85", v5, 8, 0x85), patched("CONNECT level 4 of MQIsdp", v31, 10, 4), patched("CONNECT name MQTX", v311, 7, 'X'),
	patched("CONNECT reserved flag", v311, 9, 0x03), patched("CONNECT reserved flag", v5, 9, 0x03), patched("CONNECT reserved flag", v31, 11, 0x03),
	patched("CONNECT will QoS without will", v311, 9, 0x0a), patched("CONNECT will QoS without will", v5, 9, 0x0a),
	patched("CONNECT will retain without will", v311, 9, 0x22), patched("CONNECT will retain without will", v5, 9, 0x22),
	patched("CONNECT will missing", v311, 9, 0x06), patched("CONNECT user name missing", v311, 9, 0x82), patched("CONNECT user name missing", v5, 9, 0x82),
	patched("CONNECT password without user name", v311, 9, 0x42),
	patched("CONNECT id too long", v311, 13, 0xff),
	patched("CONNECT property length", v5, 12, 0x7f),
	con("CONNECT will QoS 3", v311, func(c *connect) { c.will = &will{topic: "%/w", qos: 3} }),
	con("CONNECT will QoS 3", v5, func(c *connect) { c.will = &will{topic: "%/w", qos: 3} }),
	con("CONNECT will topic empty", v311, func(c *connect) { c.will = &will{} }), con("CONNECT will topic empty", v5, func(c *connect) { c.will = &will{} }),
	con("CONNECT will topic #", v311, func(c *connect) { c.will = &will{topic: "%/#"} }), con("CONNECT will topic #", v5, func(c *connect) { c.will = &will{topic: "%/#"} }),
	con("CONNECT will topic NUL", v311, func(c *connect) { c.will = &will{topic: "%/\x00"} }),
	con("CONNECT will topic bad UTF-8", v5, func(c *connect) { c.will = &will{topic: "%/\xff"} }),
	con("CONNECT will topic $SYS", v311, func(c *connect) { c.will = &will{topic: "$SYS/%/w"} }), con("CONNECT will topic $SYS", v5, func(c *connect) { c.will = &will{topic: "$SYS/%/w"} }),
	con("CONNECT will topic alias", v5, func(c *connect) { c.will = &will{topic: "%/w", props: [][]byte{prop(0x23, u16(1))}} }),
	con("CONNECT id NUL", v311, func(c *connect) { c.id += "\x00" }), con("CONNECT id NUL", v5, func(c *connect) { c.id += "\x00" }),
	con("CONNECT id bad UTF-8", v311, func(c *connect) { c.id += "\xff" }), con("CONNECT id bad UTF-8", v5, func(c *connect) { c.id += "\xff" }),
	con("CONNECT id with blanks", v311, func(c *connect) { c.id += " x " }), con("CONNECT id with #", v5, func(c *connect) { c.id += "/#+" }),
	con("CONNECT id of 100 bytes", v31, func(c *connect) { c.id += strings.Repeat("x", 100) }),
	con("CONNECT expiry twice", v5, func(c *connect) { c.props = [][]byte{twice(0x11, u32(0))} }),
	con("CONNECT receive maximum 0", v5, func(c *connect) { c.props = [][]byte{prop(0x21, u16(0))} }),
	con("CONNECT maximum packet size 0", v5, func(c *connect) { c.props = [][]byte{prop(0x27, u32(0))} }),
	con("CONNECT problem information 2", v5, func(c *connect) { c.props = [][]byte{prop(0x17, []byte{2})} }),
	con("CONNECT response information 2", v5, func(c *connect) { c.props = [][]byte{prop(0x19, []byte{2})} }),
	con("CONNECT topic alias", v5, func(c *connect) { c.props = [][]byte{prop(0x23, u16(1))} }),
	con("CONNECT unknown property", v5, func(c *connect) { c.props = [][]byte{prop(0x7e, []byte{0})} }),
	con("CONNECT authentication method", v5, func(c *connect) { c.props = [][]byte{prop(0x15, text("GS2"))} }),
	con("CONNECT authentication data only", v5, func(c *connect) { c.props = [][]byte{prop(0x16, text("x"))} }),
	vector{"CONNECT bytes behind", v311, func(p string) []byte {
		b := append((&connect{version: v311, id: p + "-v", clean: true}).bytes(), 'x')
		b[1]++
		return b
	}},
	vector{"CONNECT bytes behind", v5, func(p string) []byte {
		b := append((&connect{version: v5, id: p + "-v", clean: true}).bytes(), 'x')
		b[1]++
		return b
	}},
}
