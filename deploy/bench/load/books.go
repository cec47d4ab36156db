package load

import (
	"github.com/pando-mq/pando/deploy/bench/process"
	"github.com/pando-mq/pando/deploy/bench/tally"
)

// Books is what became of everything since the fleet exists.
type Books struct {
	Clients    int            `json:"clients"`
	Connected  int            `json:"connected"` // now
	Subscribed uint64         `json:"subscribed"`
	Present    int            `json:"sessions_present"` // CONNACKs that said so
	Connect    tally.Summary  `json:"connect"`          // from connect(2) to CONNACK
	Sent       uint64         `json:"sent"`
	Unacked    uint64         `json:"unacked"` // QoS 1 and 2 without acknowledgement at the end
	Refused    uint64         `json:"refused"` // acknowledged with an error
	Delivered  uint64         `json:"delivered"`
	Lost       uint64         `json:"lost"` // copies of what was sent that did not come; of unknown publishers: gaps
	Repeated   uint64         `json:"repeated"`
	Disordered uint64         `json:"disordered"`
	Foreign    uint64         `json:"foreign"` // messages without a stamp of this run
	Held       uint64         `json:"held"`
	Stalls     int            `json:"stalls"`
	Errors     map[string]int `json:"errors,omitempty"`
	FirstError string         `json:"first_error,omitempty"`
}

// Books closes them: call it after the last Run.
func (f *Fleet) Books() Books {
	b := Books{
		Clients: len(f.conns), Connected: f.connected, Subscribed: f.subscribed, Present: f.present, Connect: f.connectTime.Summary(),
		Sent: f.sent, Refused: f.refused, Delivered: f.delivered, Foreign: f.foreign, Held: f.held, Stalls: f.stalls, Errors: f.errors,
	}
	if f.firstError != nil {
		b.FirstError = f.firstError.Error()
	}
	got := map[uint64][]*tally.Inbox{}
	for _, c := range f.conns {
		for key, box := range c.boxes {
			got[key] = append(got[key], box)
			b.Repeated += box.Repeated
		}
	}
	for _, p := range f.publishers {
		key := uint64(f.run)<<32 | uint64(p.stream)
		f.judge(&b, p, got[key])
		delete(got, key)
	}
	for _, boxes := range got {
		for _, box := range boxes {
			b.Lost += box.Gaps()
			b.Disordered += box.Disordered
		}
	}
	return b
}

// judge enters one stream.
func (f *Fleet) judge(b *Books, p *publisher, boxes []*tally.Inbox) {
	unacked, _ := p.under()
	b.Unacked += uint64(max(unacked, 0))
	for _, box := range boxes {
		if !p.spec.AnyOrder {
			b.Disordered += box.Disordered
		}
	}
	if p.spec.Group {
		lost, repeated := tally.Shared(boxes, p.seq)
		for _, box := range boxes {
			repeated -= box.Repeated // is in the books already
		}
		b.Lost += lost
		b.Repeated += repeated
		return
	}
	if p.spec.Copies == 0 {
		return
	}
	missing := int64(p.seq) * int64(p.spec.Copies)
	for _, box := range boxes {
		missing -= int64(box.Received)
	}
	b.Lost += uint64(max(missing, 0))
	b.Repeated += uint64(max(-missing, 0)) // more receivers than were announced
}

// Delivered is the number of different messages that arrived until now.
func (f *Fleet) Delivered() uint64 { return f.delivered }

// Connected is the number of clients that are connected now.
func (f *Fleet) Connected() int { return f.connected }

// Sent is the number of messages published until now.
func (f *Fleet) Sent() uint64 { return f.sent }

// SetBroker says that the broker has other processes now.
func (f *Fleet) SetBroker(g process.Group) { f.options.Broker = g }

// Subscribed is the number of filters that were granted until now.
func (f *Fleet) Subscribed() uint64 { return f.subscribed }
