package sessionstore

import "github.com/pando-mq/pando/services/session"

// State is the snapshot that a partition would write now, nil if it is not served or not all of it is durable.
func (s *Store) State(partition int) []byte {
	p, err := s.partition(partition, "test")
	if err != nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.durable != p.appended {
		return nil
	}
	return p.st.append(nil)
}

// Snapshot has a partition write a snapshot now.
func (s *Store) Snapshot(partition int) {
	p, err := s.partition(partition, "test")
	if err != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.log.Snapshot(p.st.append(nil))
}

// Decode reads a snapshot and writes it again.
func Decode(b []byte, topics int) ([]byte, error) {
	st, err := decodeState(b, topics)
	if err != nil {
		return nil, err
	}
	return st.append(nil), nil
}

// Machine is a state that events are applied to, without a partition around it.
type Machine struct{ st *state }

// NewMachine makes an empty one.
func NewMachine(c session.Config, topics int) *Machine {
	set, err := session.Prepare(c)
	if err != nil {
		panic(err)
	}
	return &Machine{newState(set, topics)}
}

// Restore implements journal.Machine.
func (m *Machine) Restore(b []byte) error {
	st, err := decodeState(b, m.st.topics)
	if err == nil {
		m.st = st
	}
	return err
}

// Apply implements journal.Machine.
func (m *Machine) Apply(b []byte) error {
	e, err := decodeEvent(b)
	if err == nil {
		e.apply(m.st)
	}
	return err
}

// State is its snapshot.
func (m *Machine) State() []byte { return m.st.append(nil) }

// Recode decodes an event and writes it again.
func Recode(b []byte) ([]byte, error) {
	e, err := decodeEvent(b)
	if err != nil {
		return nil, err
	}
	return appendEvent(nil, e), nil
}
