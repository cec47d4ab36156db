package broker

import (
	"context"
	"errors"
	"fmt"
)

// Kind says what an error means to the caller. It is attached once, at the border of a service, and translated in one table per protocol.
type Kind uint8

// The kinds. Retryable ones say so.
const (
	KindInternal        Kind = iota // a defect or an unknown failure; the outcome is unknown
	KindInvalid                     // the request can never succeed as it is
	KindUnauthenticated             // the credentials are wrong or missing
	KindDenied                      // the identity may not do this
	KindNotFound                    // the named thing does not exist
	KindConflict                    // the thing exists already, or was superseded
	KindNotOwner                    // another process owns the partition: look it up again, then retry
	KindStale                       // an epoch or incarnation of the request is older than one already seen: start over with the present one
	KindBusy                        // a bound is reached: retry later
	KindUnavailable                 // the service or what it stands on cannot be reached: retry later
	KindQuota                       // a limit that an operator set is reached
	KindTooLarge                    // a size limit is exceeded
	KindCanceled                    // the caller's context ended; the outcome is unknown
)

var kindNames = [...]string{"internal", "invalid", "unauthenticated", "denied", "not found", "conflict", "not owner", "stale", "busy", "unavailable", "quota exceeded", "too large", "canceled"}

// String is the kind in plain words.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Retryable reports whether the same request may succeed later, at this process or at another one.
func (k Kind) Retryable() bool {
	return k == KindNotOwner || k == KindStale || k == KindBusy || k == KindUnavailable
}

// Error carries a Kind across a border. Op names what was tried, in a few lower-case words.
type Error struct {
	Kind Kind
	Op   string
	Err  error
}

// Error joins operation, kind and cause.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Op + ": " + e.Kind.String()
	}
	return e.Op + ": " + e.Kind.String() + ": " + e.Err.Error()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// E makes an *Error; err may be nil.
func E(kind Kind, op string, err error) error { return &Error{Kind: kind, Op: op, Err: err} }

// Errorf makes an *Error from a formatted text.
func Errorf(kind Kind, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	return &Error{Kind: kind, Op: err.Error(), Err: nil}
}

// KindOf finds the Kind of err: the outermost *Error's, KindCanceled for ended contexts, KindInternal otherwise. nil has no kind: do not ask.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return KindCanceled
	}
	return KindInternal
}
