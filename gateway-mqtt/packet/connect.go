package packet

// Connect opens a connection (MQTT 5.0 §3.1).
//
//	+---------------------------+
//	| protocol name             |  "MQTT", in 3.1 "MQIsdp", with its length
//	| protocol level            |  3, 4, 5; | 0x80 from a bridge, 3 and 4 only
//	| connect flags             |  1 byte
//	| keep alive                |  2 bytes, seconds
//	| v5: properties            |
//	| client identifier         |  2 + n bytes
//	| v5: will properties       |  with W
//	| will topic                |  with W, 2 + n bytes
//	| will payload              |  with W, 2 + n bytes
//	| user name                 |  with U, 2 + n bytes
//	| password                  |  with P, 2 + n bytes
//	+---------------------------+
//
//	  7   6   5   4   3   2   1   0
//	+---+---+---+-------+---+---+---+
//	| U | P |WR | WQoS  | W | C | 0 |   WR, WQoS: of the will; C: clean start
//	+---+---+---+-------+---+---+---+
type Connect struct {
	Version    Version
	Bridge     bool // 3.1, 3.1.1: the sender is a bridge
	CleanStart bool // "clean session" below 5.0
	KeepAlive  uint16
	ClientID   string
	Will       *Will // nil: none
	Username   Opt[string]
	Password   Opt[[]byte] // aliases the input
	Properties Properties  // 5.0
}

// Will is the message that the server publishes when the connection ends
// without DISCONNECT (MQTT 5.0 §3.1.2.5).
type Will struct {
	Topic      string // a topic name, not empty
	Payload    []byte // aliases the input; at most 65535 bytes
	QoS        byte
	Retain     bool
	Properties Properties // 5.0: the will properties
}

// PayloadValid is Publish.PayloadValid for the will (§3.1.3.2.3).
func (w *Will) PayloadValid() bool {
	return validPayload(w.Properties.PayloadFormat, w.Payload)
}

// Bits of the connect flags (§3.1.2.3).
const (
	connectReserved   = 0x01
	connectClean      = 0x02
	connectWill       = 0x04
	connectWillQoS    = 0x18
	connectWillRetain = 0x20
	connectPassword   = 0x40
	connectUsername   = 0x80

	connectWillShift = 3
)

// PacketType is TypeConnect.
func (c *Connect) PacketType() Type { return TypeConnect }

func decodeConnect(r *reader, lim *Limits) (*Connect, error) {
	c := new(Connect)
	c.decodeProtocol(r)
	flags := r.u8()
	if r.err == nil {
		if e := checkConnectFlags(flags, c.Version); e != nil {
			r.fail(e)
		}
	}
	c.CleanStart = flags&connectClean != 0
	c.KeepAlive = r.u16()
	if c.Version >= V5 {
		c.Properties.decode(r, TypeConnect, lim)
	}
	c.ClientID = r.string16()
	if flags&connectWill != 0 {
		c.decodeWill(r, flags, lim)
	}
	c.decodeCredentials(r, flags)
	return c, r.end()
}

// decodeProtocol reads name and level. Any pair but the five known ones is an
// unsupported version (MQTT-3.1.2-1, MQTT-3.1.2-2).
func (c *Connect) decodeProtocol(r *reader) {
	name, level := r.bytes16(), r.u8()
	if r.err != nil {
		return
	}
	c.Version = Version(level)
	if level == byte(V31)|bridgeBit || level == byte(V311)|bridgeBit {
		c.Version, c.Bridge = Version(level&^bridgeBit), true
	}
	if !c.Version.Valid() || string(name) != c.Version.protocolName() {
		r.fail(&Error{Reason: UnsupportedVersion, Kind: "unknown protocol name or level"})
	}
}

// checkConnectFlags refuses flags that contradict each other (§3.1.2.3 to
// §3.1.2.9). 3.1 does not use bit 0, so its value does not matter there.
func checkConnectFlags(f byte, v Version) *Error {
	switch {
	case f&connectReserved != 0 && v != V31:
		return malformed("reserved connect flag") // MQTT-3.1.2-3
	case f&connectWillQoS == connectWillQoS:
		return malformed("will QoS 3") // MQTT-3.1.2-12
	case f&connectWill == 0 && f&(connectWillQoS|connectWillRetain) != 0:
		return malformed("will QoS or will retain without will") // MQTT-3.1.2-11, -13
	case f&connectPassword != 0 && f&connectUsername == 0 && v < V5:
		return malformed("password without user name") // MQTT-3.1.2-22 of 3.1.1
	}
	return nil
}

func (c *Connect) decodeWill(r *reader, flags byte, lim *Limits) {
	w := &Will{
		QoS:    flags & connectWillQoS >> connectWillShift,
		Retain: flags&connectWillRetain != 0,
	}
	if c.Version >= V5 {
		w.Properties.decode(r, typeWill, lim)
	}
	topic := r.text16()
	w.Payload = r.bytes16()
	if r.err != nil {
		return
	}
	w.Topic = string(topic)
	if e := checkWillTopic(topic, c.Version); e != nil {
		r.fail(e)
	}
	c.Will = w
}

// checkWillTopic wants a topic name (§3.1.3.3, §4.7).
func checkWillTopic(topic []byte, v Version) *Error {
	if len(topic) == 0 {
		return badTopic(v, "empty will topic")
	}
	if hasWildcard(topic) {
		return badTopic(v, "wildcard in will topic")
	}
	return nil
}

// decodeCredentials reads user name and password. In 3.1 the remaining length
// wins over the flags: a field that is announced may be missing at the end
// (MQTT 3.1 §3.1, user name and password flags).
func (c *Connect) decodeCredentials(r *reader, flags byte) {
	missing := func() bool { return c.Version == V31 && r.left() == 0 }
	if flags&connectUsername != 0 && !missing() {
		c.Username = Some(r.string16())
	}
	if flags&connectPassword != 0 && !missing() {
		c.Password = Some(r.bytes16())
	}
}
