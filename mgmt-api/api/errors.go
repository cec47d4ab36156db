package api

import (
	"errors"

	"google.golang.org/grpc/status"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/rpc"
)

// maxText bounds the text of an error, bytes.
const maxText = 4096

// statusOf is the status that services/rpc gives an error (its table of kinds and codes), with the whole cause in its message: what reads it here is a
// person, or a program that knows nothing of our details.
func statusOf(err error) error {
	if err == nil {
		return nil
	}
	p := status.Convert(rpc.ToStatus(err)).Proto()
	p.Message = rpc.Text(message(err))
	return status.FromProto(p).Err()
}

// message is the text without the kind, which the code says.
func message(err error) string {
	text := err.Error()
	var e *broker.Error
	if errors.As(err, &e) && error(e) == err {
		text = e.Op
		if e.Err != nil {
			text += ": " + e.Err.Error()
		}
	}
	return text[:min(len(text), maxText)]
}
