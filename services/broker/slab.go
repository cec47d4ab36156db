package broker

// Slab is memory for many short-lived messages: one allocation serves hundreds. It belongs to one goroutine at a time. The zero value is ready.
//
// A message made here has Slab set. As long as somebody has it, all that was made with it stays in memory too: who keeps one for longer than it takes to
// pass it on keeps what [Message.Own] returns.
type Slab struct {
	messages []Message
	payloads []byte
}

const (
	slabMessages = 512
	slabBytes    = 128 << 10

	// SlabPayload is the longest payload, in bytes, that fits into a Slab.
	SlabPayload = slabBytes / 128
)

// New makes a message with a copy of payload, which has at most SlabPayload bytes.
func (s *Slab) New(payload []byte) *Message {
	if len(s.messages) == 0 {
		s.messages = make([]Message, slabMessages)
	}
	if len(s.payloads) < len(payload) {
		s.payloads = make([]byte, slabBytes)
	}
	m := &s.messages[0]
	s.messages = s.messages[1:]
	n := copy(s.payloads, payload)
	m.Payload, m.Slab = s.payloads[:n:n], true
	s.payloads = s.payloads[n:]
	return m
}

// Own is the message itself, or a copy of one that was made in a Slab, with memory of its own.
func (m *Message) Own() *Message {
	if !m.Slab {
		return m
	}
	own := NewMessage(m.Payload)
	payload := own.Payload
	*own = *m
	own.Payload, own.Slab = payload, false
	return own
}

// The sizes of payloads that have their memory in one piece with the message.
const (
	shortPayload = 64
	usualPayload = 256
)

// NewMessage makes a message with a copy of payload, in one allocation if it is not long.
func NewMessage(payload []byte) *Message {
	var m *Message
	var room []byte
	switch n := len(payload); {
	case n <= shortPayload:
		b := new(struct {
			m    Message
			room [shortPayload]byte
		})
		m, room = &b.m, b.room[:n:n]
	case n <= usualPayload:
		b := new(struct {
			m    Message
			room [usualPayload]byte
		})
		m, room = &b.m, b.room[:n:n]
	default:
		m, room = new(Message), make([]byte, n)
	}
	copy(room, payload)
	m.Payload = room
	return m
}
