package rpc

import (
	"context"
	"errors"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	brokerv1 "github.com/pando-mq/pando/proto/gen/pando/broker/v1"
	"github.com/pando-mq/pando/services/broker"
)

// kindCodes is the table of kinds and status codes. The kind itself travels in a detail, so two kinds may share a code.
var kindCodes = [...]codes.Code{
	broker.KindInternal:        codes.Internal,
	broker.KindInvalid:         codes.InvalidArgument,
	broker.KindUnauthenticated: codes.Unauthenticated,
	broker.KindDenied:          codes.PermissionDenied,
	broker.KindNotFound:        codes.NotFound,
	broker.KindConflict:        codes.AlreadyExists,
	broker.KindNotOwner:        codes.FailedPrecondition,
	broker.KindStale:           codes.Aborted,
	broker.KindBusy:            codes.ResourceExhausted,
	broker.KindUnavailable:     codes.Unavailable,
	broker.KindQuota:           codes.ResourceExhausted,
	broker.KindTooLarge:        codes.OutOfRange,
	broker.KindCanceled:        codes.Canceled,
}

// bareKind is the kind of a status without our detail: gRPC itself made it. It uses ResourceExhausted for messages above the size limit.
func bareKind(c codes.Code) broker.Kind {
	switch c {
	case codes.ResourceExhausted:
		return broker.KindTooLarge
	case codes.DeadlineExceeded:
		return broker.KindCanceled
	case codes.Unimplemented:
		return broker.KindInvalid
	}
	for k, code := range kindCodes {
		if code == c {
			return broker.Kind(k)
		}
	}
	return broker.KindInternal
}

// maxFailureText bounds each text of an error on the wire.
const maxFailureText = 1024

// EncodeFailure is the wire form of an error; nil for nil.
func EncodeFailure(err error) *brokerv1.Failure {
	if err == nil {
		return nil
	}
	f := &brokerv1.Failure{Kind: uint32(broker.KindOf(err)), Text: err.Error()}
	var e *broker.Error
	if errors.As(err, &e) && error(e) == err { // the kind is not repeated in the text
		f.Text = e.Op
		if e.Err != nil {
			f.Cause = e.Err.Error()
		}
	}
	f.Text, f.Cause = Text(cut(f.Text)), Text(cut(f.Cause))
	return f
}

func cut(s string) string { return s[:min(len(s), maxFailureText)] }

// DecodeFailure is the *broker.Error of a failure; nil for nil. A kind that this version does not know is internal.
func DecodeFailure(f *brokerv1.Failure) error {
	if f == nil {
		return nil
	}
	var cause error
	if text := cut(f.GetCause()); text != "" {
		cause = errors.New(text)
	}
	return broker.E(decodeKind(f), cut(f.GetText()), cause)
}

// ToStatus turns an error of an implementation into what a gRPC handler returns. An error that has a status already keeps it.
func ToStatus(err error) error {
	if err == nil {
		return nil
	}
	var e *broker.Error
	if _, ok := status.FromError(err); ok && !errors.As(err, &e) {
		return err
	}
	f := EncodeFailure(err)
	st := status.New(kindCodes[decodeKind(f)], f.GetText())
	if with, err := st.WithDetails(f); err == nil {
		st = with
	}
	return st.Err()
}

// decodeKind is the kind of a failure, internal for an unknown one.
func decodeKind(f *brokerv1.Failure) broker.Kind {
	if f.GetKind() < uint32(len(kindCodes)) {
		return broker.Kind(f.GetKind())
	}
	return broker.KindInternal
}

// FromStatus turns what a gRPC call returned into a *broker.Error; an error that has no status passes as it is.
func FromStatus(err error) error {
	if err == nil {
		return nil
	}
	var e *broker.Error
	if errors.As(err, &e) {
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return broker.E(broker.KindCanceled, "call", err)
	}
	st, ok := status.FromError(err)
	if !ok {
		return err
	}
	for _, d := range st.Details() {
		if f, ok := d.(*brokerv1.Failure); ok {
			return DecodeFailure(f)
		}
	}
	return broker.E(bareKind(st.Code()), st.Message(), nil)
}

// Text makes a string fit for protobuf, which refuses a whole message for one string that is not UTF-8. Each bad byte becomes '?', so lengths stay: credits
// are counted by them. What comes from a device is checked long before; names of certificates and texts of errors are not.
func Text(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	b := []byte(s)
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			b[i] = '?'
		}
		i += n
	}
	return string(b)
}
