package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Alarm is the Data of AlarmRaised; of AlarmCleared only ID and Timestamp are set. A producer raises an alarm when a condition begins and clears it
// when it is over; repeating either changes nothing.
type Alarm struct {
	ID        string `json:"id"`                 // ID of the condition: "queue_high_watermark.<client id>", "journal_full.SS_3", "max_connections".
	Severity  string `json:"severity,omitempty"` // Severity is Warning, Error or Critical.
	Title     string `json:"title,omitempty"`    // Title in a few words.
	Summary   string `json:"summary,omitempty"`  // Summary with the figures.
	Timestamp int64  `json:"timestamp"`          // Timestamp in Unix seconds.
}

// Alarms is the pattern of AlarmRaised and AlarmCleared.
const Alarms = "alarm.*"

// The severities.
const (
	Warning  = "warning"
	Error    = "error"
	Critical = "critical"
)

// RaiseAlarm publishes that a condition of a node began. Without a timestamp it is now.
func RaiseAlarm(ctx context.Context, b Bus, node string, a Alarm) error {
	return publishAlarm(ctx, b, AlarmRaised, node, a)
}

// ClearAlarm publishes that a condition of a node is over.
func ClearAlarm(ctx context.Context, b Bus, node, id string) error {
	return publishAlarm(ctx, b, AlarmCleared, node, Alarm{ID: id})
}

func publishAlarm(ctx context.Context, b Bus, s Subject, node string, a Alarm) error {
	now := time.Now()
	if a.Timestamp == 0 {
		a.Timestamp = now.Unix()
	}
	data, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("alarm %q: %w", a.ID, err)
	}
	return b.Publish(ctx, Event{Subject: s, Time: now, Node: node, Data: data})
}

// DecodeAlarm reads the Data of an alarm event.
func DecodeAlarm(e Event) (Alarm, error) {
	var a Alarm
	if err := json.Unmarshal(e.Data, &a); err != nil {
		return a, fmt.Errorf("alarm event: %w", err)
	}
	if a.ID == "" {
		return a, fmt.Errorf("alarm event: no id")
	}
	return a, nil
}
