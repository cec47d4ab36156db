package bus

import (
	"fmt"
	"strings"
)

// Subject names a kind of event: tokens of letters, digits, '_' and '-',
// separated by dots.
type Subject string

// The table of subjects. The names of the hook points are those of emq2.md §5.5,
// which web hooks and rules also use.
const (
	ClientConnected     Subject = "client.connected"     // ClientConnected: a CONNECT was decided, accepted or refused.
	ClientDisconnected  Subject = "client.disconnected"  // ClientDisconnected: a connection ended after its CONNECT.
	ClientSubscribe     Subject = "client.subscribe"     // ClientSubscribe: a client asks for subscriptions.
	ClientUnsubscribe   Subject = "client.unsubscribe"   // ClientUnsubscribe: a client gives subscriptions up.
	SessionCreated      Subject = "session.created"      // SessionCreated: a session began.
	SessionSubscribed   Subject = "session.subscribed"   // SessionSubscribed: a subscription is in force.
	SessionUnsubscribed Subject = "session.unsubscribed" // SessionUnsubscribed: a subscription has ended.
	SessionTerminated   Subject = "session.terminated"   // SessionTerminated: a session ended.
	MessagePublish      Subject = "message.publish"      // MessagePublish: a message was accepted for routing.
	MessageDelivered    Subject = "message.delivered"    // MessageDelivered: a message was handed to a client's socket.
	MessageAcked        Subject = "message.acked"        // MessageAcked: a client acknowledged a message.
	AuthChanged         Subject = "auth.changed"         // AuthChanged: users, rules or bans changed; caches may ask again.
	AlarmRaised         Subject = "alarm.raised"         // AlarmRaised: a condition began that an operator should know of; Data is an Alarm.
	AlarmCleared        Subject = "alarm.cleared"        // AlarmCleared: it is over.
	NodeUp              Subject = "node.up"              // NodeUp: a process of the suite serves.
	NodeDown            Subject = "node.down"            // NodeDown: a process of the suite stops.
)

// All matches every event.
const All = ">"

// maxSubject bounds a subject and a pattern in bytes.
const maxSubject = 200

// Trace is the subject of the lines of one trace; the name is one token.
func Trace(name string) Subject { return Subject("trace." + name) }

// Subjects is the table, in its order.
func Subjects() []Subject {
	return []Subject{
		ClientConnected, ClientDisconnected, ClientSubscribe, ClientUnsubscribe,
		SessionCreated, SessionSubscribed, SessionUnsubscribed, SessionTerminated,
		MessagePublish, MessageDelivered, MessageAcked, AuthChanged, AlarmRaised, AlarmCleared, NodeUp, NodeDown,
	}
}

// Validate refuses what is no subject.
func (s Subject) Validate() error {
	if err := validate(string(s), false); err != nil {
		return fmt.Errorf("subject %.40q: %w", string(s), err)
	}
	return nil
}

// ValidatePattern refuses what no subject can match: a pattern is a subject in
// which a token may be '*' (any one token) and the last one '>' (one or more).
func ValidatePattern(p string) error {
	if err := validate(p, true); err != nil {
		return fmt.Errorf("pattern %.40q: %w", p, err)
	}
	return nil
}

func validate(s string, wild bool) error {
	if len(s) > maxSubject {
		return fmt.Errorf("longer than %d bytes", maxSubject)
	}
	tokens := strings.Split(s, ".")
	for i, token := range tokens {
		switch {
		case wild && token == "*", wild && token == ">" && i == len(tokens)-1:
		case !plain(token):
			return fmt.Errorf("token %.40q is empty or has a character other than letters, digits, '_' and '-'", token)
		}
	}
	return nil
}

// plain is true for one or more letters, digits, '_' and '-'.
func plain(token string) bool {
	for _, c := range []byte(token) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-':
		default:
			return false
		}
	}
	return token != ""
}

// Match says whether a valid pattern matches a valid subject.
func Match(pattern string, s Subject) bool {
	rest := string(s)
	for {
		want, morePattern, patternGoesOn := strings.Cut(pattern, ".")
		got, moreSubject, subjectGoesOn := strings.Cut(rest, ".")
		switch {
		case want == ">":
			return true
		case want != "*" && want != got, patternGoesOn != subjectGoesOn:
			return false
		case !patternGoesOn:
			return true
		}
		pattern, rest = morePattern, moreSubject
	}
}

// prefix of all subjects of a cluster on NATS.
func prefix(cluster string) (string, error) {
	if !plain(cluster) || len(cluster) > maxSubject {
		return "", fmt.Errorf("cluster name %.40q: want letters, digits, '_' and '-'", cluster)
	}
	return "pando." + cluster + ".event.", nil
}
