package sessionstore

import (
	"encoding/json"

	"github.com/pando-mq/pando/services/session"
)

// configured: the settings of sessions from here on. What a session drops depends on them, so each part of the log is replayed under those it was written under.
type configured struct {
	set *session.Settings
}

func (*configured) kind() eventKind { return kindConfigured }

// the section `session` as a JSON object, behind its length
func (e *configured) append(dst []byte) []byte { return appendSettings(dst, e.set) }

func (e *configured) read(r *reader) { e.set = r.settings() }

func (e *configured) apply(st *state) {
	st.set = e.set
	for _, c := range st.clients {
		if c.sess != nil {
			c.sess.Use(e.set)
			st.touch(c)
		}
	}
}

// reconfigure brings a partition to the present settings of the store. A log that is still empty says them with its first event. Called with the lock held.
func (p *partition) reconfigure() {
	set := p.s.set.Load()
	switch {
	case p.dead || !p.serving || sameSettings(p.st.set, set):
	case !p.configured:
		(&configured{set: set}).apply(p.st)
	default:
		p.commit(&configured{set: set})
	}
}

func appendSettings(dst []byte, set *session.Settings) []byte {
	b, err := json.Marshal(set.Config)
	if err != nil {
		panic("sessionstore: settings that were prepared cannot be written: " + err.Error())
	}
	return appendText(dst, string(b))
}

func (r *reader) settings() *session.Settings {
	var c session.Config
	if err := json.Unmarshal(r.take(r.count()), &c); err != nil {
		r.fail()
		return nil
	}
	set, err := session.Prepare(c)
	if err != nil {
		r.fail()
	}
	return set
}

// sameSettings reports whether two settings decide alike.
func sameSettings(a, b *session.Settings) bool {
	return string(appendSettings(nil, a)) == string(appendSettings(nil, b))
}
