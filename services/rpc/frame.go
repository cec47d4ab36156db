package rpc

import (
	"context"

	"google.golang.org/grpc"
)

const (
	maxFrameItems = 256
	maxFrameBytes = 64 << 10
)

// Frame is what passes on one channel in one direction at one moment; several of them go into one gRPC message. O is what is said first (a request to open,
// or Opened), T the items that follow. The steps of a Frame are taken in the order of its fields.
type Frame[O, T any] struct {
	Channel uint32
	Open    *O
	Items   []T
	Credit  int   // bytes given back; from the server only
	End     *End  // last frame of the channel
	Bad     error // it could not be decoded: the channel ends
}

// End ends a channel. Err is nil when its opener closes it.
type End struct{ Err error }

// Opened answers the opening of a channel. With Err there is no channel.
type Opened struct {
	Err    error
	Epoch  uint64
	Credit int // bytes that may be sent at first
}

// Wire is a physical stream seen from one end. Send and Recv may run at the same time, each in one goroutine. A Frame passed to Send is not kept.
type Wire[Out, In any] interface {
	Send([]Out) error
	Recv() ([]In, error)
}

// Protocol is one hot hop as its adapter describes it. O is what opens a channel, I its items, A its answers.
type Protocol[O, I, A any] struct {
	Name       string       // in metrics: "publish", "deliver", "session"
	ItemSize   func(*I) int // bytes an item counts; the same for an item before encoding and after decoding
	AnswerSize func(*A) int
	// Dial opens the physical stream; unused by servers.
	Dial func(context.Context, grpc.ClientConnInterface) (Wire[Frame[O, I], Frame[Opened, A]], error)
}

// duplex is what both kinds of generated bidirectional streams are.
type duplex[Out, In any] interface {
	Send(*Out) error
	Recv() (*In, error)
}

// wire is a Wire over a generated stream.
type wire[POut, PIn, Out, In any] struct {
	stream duplex[POut, PIn]
	encode func([]Out) *POut
	decode func(*PIn) []In
}

// NewWire makes a Wire of a generated stream and of the conversions of its frames. decode reports what it cannot read as Frame.Bad.
func NewWire[POut, PIn, Out, In any](stream duplex[POut, PIn], encode func([]Out) *POut, decode func(*PIn) []In) Wire[Out, In] {
	return &wire[POut, PIn, Out, In]{stream: stream, encode: encode, decode: decode}
}

func (w *wire[POut, PIn, Out, In]) Send(frames []Out) error { return w.stream.Send(w.encode(frames)) }

func (w *wire[POut, PIn, Out, In]) Recv() ([]In, error) {
	m, err := w.stream.Recv()
	if err != nil {
		return nil, err
	}
	return w.decode(m), nil
}
