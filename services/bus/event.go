package bus

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// MaxEvent is the largest encoded event in bytes.
const MaxEvent = 64 << 10

// ErrTooLarge refuses an event above MaxEvent.
var ErrTooLarge = errors.New("event is too large")

// Event is something that happened. It is immutable once it was published.
type Event struct {
	Subject Subject   `json:"subject"`         // Subject: what kind of event.
	Time    time.Time `json:"time"`            // Time it happened, by the clock of its node.
	Node    string    `json:"node"`            // Node it happened on, name@host.
	Tenant  string    `json:"tenant,omitzero"` // Tenant of the client; empty for the default tenant.
	// ClientID of the device it is about; empty if it is about none.
	ClientID string `json:"clientid,omitzero"`
	// Data is a JSON value with what else is known; each publisher of a
	// subject documents its own. Empty for none.
	Data json.RawMessage `json:"data,omitzero"`
}

// Encode makes the JSON object that goes over the wire.
func Encode(e Event) ([]byte, error) {
	if err := e.Subject.Validate(); err != nil {
		return nil, err
	}
	b, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode event %s: %w", e.Subject, err)
	}
	if len(b) > MaxEvent {
		return nil, fmt.Errorf("encode event %s: %w: %d bytes, at most %d", e.Subject, ErrTooLarge, len(b), MaxEvent)
	}
	return b, nil
}

// Decode reads what Encode made. Fields of later versions are ignored.
func Decode(b []byte) (Event, error) {
	if len(b) > MaxEvent {
		return Event{}, fmt.Errorf("decode event: %w", ErrTooLarge)
	}
	var e Event
	if err := json.Unmarshal(b, &e); err != nil {
		return Event{}, fmt.Errorf("decode event: %w", err)
	}
	if err := e.Subject.Validate(); err != nil {
		return Event{}, fmt.Errorf("decode event: %w", err)
	}
	if bytes.Equal(e.Data, []byte("null")) {
		e.Data = nil
	}
	return e, nil
}
