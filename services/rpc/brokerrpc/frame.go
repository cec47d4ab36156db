package brokerrpc

import (
	brokerv1 "github.com/pando-mq/pando/proto/gen/pando/broker/v1"
	"github.com/pando-mq/pando/services/rpc"
)

// EncodeOpened converts the answer to an opening.
func EncodeOpened(o *rpc.Opened) *brokerv1.Opened {
	return &brokerv1.Opened{Failure: rpc.EncodeFailure(o.Err), Epoch: o.Epoch, Credit: EncodeCount(o.Credit)}
}

// Opened reads the answer to an opening.
func (c *Check) Opened(p *brokerv1.Opened) *rpc.Opened {
	return &rpc.Opened{Err: rpc.DecodeFailure(p.GetFailure()), Epoch: p.GetEpoch(), Credit: c.Count(p.GetCredit())}
}

// EncodeEnd converts the last frame of a server.
func EncodeEnd(e *rpc.End) *brokerv1.Closed {
	return &brokerv1.Closed{Failure: rpc.EncodeFailure(e.Err)}
}

// DecodeEnd is the reverse of EncodeEnd.
func DecodeEnd(p *brokerv1.Closed) *rpc.End { return &rpc.End{Err: rpc.DecodeFailure(p.GetFailure())} }

// Nest makes one message of the wire out of several: the first one carries the others.
func Nest[P any](all []*P, carry func(first *P, more []*P)) *P {
	if len(all) == 0 {
		return new(P)
	}
	if len(all) > 1 {
		carry(all[0], all[1:])
	}
	return all[0]
}

// Unnest reads a message of the wire and those that it carries. What those carry themselves is ignored.
func Unnest[P, F any](first *P, more []*P, read func(*P) F) []F {
	frames := make([]F, 0, 1+len(more))
	frames = append(frames, read(first))
	for _, p := range more {
		frames = append(frames, read(p))
	}
	return frames
}
