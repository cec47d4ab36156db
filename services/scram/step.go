package scram

import (
	"fmt"

	"github.com/pando-mq/pando/services/broker"
)

// Step takes one step of an exchange. data is the client's message, state what the step before left, empty at the first. keys finds what is kept of a user's
// password for the method: for somebody unknown, or who has none, a Decoy, so that nobody learns who is known. The last step gives the user, the others "".
// Errors: those of keys, ErrMethod, ErrMalformed, ErrBinding, ErrProof, ErrKeys.
func Step(method string, data, state []byte, keys func(user string) (broker.SCRAM, error)) (answer, next []byte, user string, err error) {
	switch {
	case !Known(method):
		return nil, nil, "", fmt.Errorf("%q: %w", method, ErrMethod)
	case len(state) > 0:
		answer, user, err = finish(data, state, keys)
		return answer, nil, user, err
	case len(data) == 0: // the client waits for the server to begin (RFC 4422 §3): it is asked for its first message
		return nil, nil, "", nil
	}
	first, err := ParseFirst(data)
	if err != nil {
		return nil, nil, "", err
	}
	k, err := keys(first.User)
	if err != nil {
		return nil, nil, "", err
	}
	answer, next = first.Challenge(k)
	return answer, next, "", nil
}

func finish(data, state []byte, keys func(user string) (broker.SCRAM, error)) (answer []byte, user string, err error) {
	if user, err = UserOf(state); err != nil {
		return nil, "", err
	}
	k, err := keys(user)
	if err != nil {
		return nil, "", err
	}
	if answer, err = Finish(k, state, data); err != nil {
		return nil, "", err
	}
	return answer, user, nil
}
