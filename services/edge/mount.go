package edge

import (
	"strings"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/topic"
)

// mountpoint puts client id and user name into a listener's mount point. They come from the client, so they may not look like anything else than one
// ordinary level: with "+" as its client id a client would subscribe to everybody's topics, with "a/b" it would sit inside those of "a".
func mountpoint(pattern string, id *broker.Identity) (string, error) {
	if pattern == "" {
		return "", nil
	}
	m := pattern
	for _, v := range [...]struct{ key, value string }{{"%c", id.ClientID}, {"%u", id.Username}} {
		if !strings.Contains(pattern, v.key) {
			continue
		}
		if v.value == "" || v.value[0] == '$' || strings.ContainsAny(v.value, "+#/%\x00") {
			return "", broker.E(broker.KindDenied, "client id or user name cannot be part of the mount point", nil)
		}
		m = strings.ReplaceAll(m, v.key, v.value)
	}
	if err := topic.ValidateName(m); err != nil {
		return "", broker.E(broker.KindInvalid, "mount point", err)
	}
	return m, nil
}

// checkName checks a topic that is published to against the standard and the limits. mounted is its length with the mount point.
func (e *Edge) checkName(name string, mounted int) error {
	err := topic.ValidateName(name)
	if err == nil {
		err = topic.CheckDelayed(name, e.now())
	}
	if err != nil {
		return broker.E(broker.KindInvalid, "topic", err)
	}
	return e.checkSize(name, mounted)
}

// shallow checks a topic or filter, without the mount point, against the limit that came with the connection.
func (c *Conn) shallow(text string) error {
	if c.levels > 0 && topic.Levels(text) > c.levels {
		return broker.E(broker.KindInvalid, "topic has more levels than the listener takes", nil)
	}
	return nil
}

// checkSize checks a topic or filter against the configured limits.
func (e *Edge) checkSize(text string, mounted int) error {
	switch {
	case mounted > e.cfg.MaxTopicLength:
		return broker.E(broker.KindInvalid, "topic too long", nil)
	case e.cfg.MaxTopicLevels > 0 && topic.Levels(text) > e.cfg.MaxTopicLevels:
		return broker.E(broker.KindInvalid, "topic has too many levels", nil)
	}
	return nil
}
