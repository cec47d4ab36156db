package diff

import (
	"time"
)

const (
	patience = 20 * time.Second       // for what must happen
	silence  = 150 * time.Millisecond // after each step when a sequence is played slowly
)

// play is one sequence on both servers.
type play struct {
	seq          *sequence
	ours, theirs *side
	entries      []Entry
	limit        time.Duration // for Pando to say what mosquitto said
	slow         bool
	versions     [slots]byte
	acted        int // acknowledgements sent to Pando before this step
}

// verdict is what a sequence led to.
type verdict struct {
	failed      []Difference // not in the table
	step        int          // where
	note        string       // what else went wrong
	intended    []*Entry
	comparisons int
}

func (v *verdict) good() bool { return len(v.failed) == 0 && v.note == "" }

// run plays the sequence until its end or to the first difference that may last.
func (p *play) run() (v verdict) {
	defer p.ours.close()
	defer p.theirs.close()
	for i := range p.seq.steps {
		s := &p.seq.steps[i]
		v.step = i
		if s.what != open && !p.theirs.alive(s.slot) {
			continue
		}
		if err := p.do(s); err != nil {
			v.note = err.Error()
			return v
		}
		if p.compare(s, &v); !v.good() || p.over(v.intended) {
			return v
		}
	}
	return v
}

// over reports whether the last entry ends the sequence.
func (p *play) over(es []*Entry) bool {
	for _, e := range es {
		if !e.GoOn {
			return true
		}
	}
	return false
}

// do lets mosquitto act and settle, then Pando.
func (p *play) do(s *step) error {
	if s.what == open {
		p.versions[s.slot] = s.version
	}
	if err := p.theirs.do(s); err != nil {
		return err
	}
	if !p.theirs.settle(patience) {
		return errSilent
	}
	return p.ours.do(s)
}

// do does a step at one server.
func (s *side) do(st *step) error {
	if st.what == open {
		if l := s.links[st.slot]; l != nil {
			l.drop()
		}
		if err := s.open(st.slot, st.version); err != nil {
			return err
		}
	}
	l := s.links[st.slot]
	switch st.what {
	case hold:
		l.hold(true)
	case letGo:
		l.hold(false)
	}
	if len(st.bytes) > 0 {
		l.write(st.bytes)
	}
	if st.what == drop {
		l.drop()
	} else {
		l.ping()
	}
	return nil
}

// compare waits until Pando has said what mosquitto said, or something intended instead, and notes the rest.
func (p *play) compare(s *step, v *verdict) {
	v.comparisons++
	limit := p.limit
	if p.slow {
		p.ours.wait(silence, func() bool { return false })
		p.theirs.settle(patience)
	}
	p.ours.wait(limit, func() bool {
		return p.ours.ponged() && p.explained(p.differences(s))
	})
	if p.acted != p.ours.acted() { // what was acknowledged has to be read before the next step
		p.ours.settle(patience)
		p.acted = p.ours.acted()
	}
	p.ours.mu.Lock()
	ds := p.differences(s)
	if !p.ours.ponged() {
		v.note = "Pando does not answer PINGREQ"
	}
	p.ours.mu.Unlock()
	for i := range ds {
		if e := find(p.entries, &ds[i]); e != nil {
			v.intended = append(v.intended, e)
		} else {
			v.failed = append(v.failed, ds[i])
		}
	}
	p.ours.forget()
	p.theirs.forget()
}

// forget drops the answers of a step.
func (s *side) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.links {
		if l != nil {
			l.answers = nil
		}
	}
}

func (p *play) explained(ds []Difference) bool {
	for i := range ds {
		if find(p.entries, &ds[i]) == nil {
			return false
		}
	}
	return true
}

// differences compares what came since the last step. ours.mu is held.
func (p *play) differences(s *step) []Difference {
	p.theirs.mu.Lock()
	defer p.theirs.mu.Unlock()
	var out []Difference
	for slot := range slots {
		for _, l := range leftovers(p.ours.said(slot), p.theirs.said(slot)) {
			out = append(out, Difference{Step: s.name, Version: p.versions[slot], Role: role(slot, s.slot), Ours: l.ours, Theirs: l.theirs})
		}
	}
	return out
}

// said is what came in a slot.
func (s *side) said(slot int) []answer {
	if s.links[slot] == nil {
		return nil
	}
	return s.links[slot].answers
}

func role(slot, actor int) string {
	switch slot {
	case actor:
		return "self"
	case observer:
		return "observer"
	}
	return "other"
}
