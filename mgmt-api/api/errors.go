package api

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pando-mq/pando/services/broker"
)

// statusOf is the one place where a Kind becomes a gRPC status.
func statusOf(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	return status.Error(codeOf(err), err.Error())
}

func codeOf(err error) codes.Code {
	switch broker.KindOf(err) {
	case broker.KindInvalid:
		return codes.InvalidArgument
	case broker.KindUnauthenticated:
		return codes.Unauthenticated
	case broker.KindDenied:
		return codes.PermissionDenied
	case broker.KindNotFound:
		return codes.NotFound
	case broker.KindConflict:
		return codes.AlreadyExists
	case broker.KindBusy, broker.KindQuota, broker.KindTooLarge:
		return codes.ResourceExhausted
	case broker.KindNotOwner, broker.KindStale, broker.KindUnavailable:
		return codes.Unavailable
	case broker.KindCanceled:
		if errors.Is(err, context.DeadlineExceeded) {
			return codes.DeadlineExceeded
		}
		return codes.Canceled
	}
	return codes.Internal
}
