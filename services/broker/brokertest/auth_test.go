package brokertest

import "testing"

// authHarness is an Auth with a replica. Nothing is lost at a restart, because there is none.
func authHarness(f flaws) func(T) AuthHarness {
	return func(T) AuthHarness {
		a := newAuth(f)
		other := a.Replica()
		return AuthHarness{
			Auth: a, Admin: a, Other: other, OtherAdmin: other, Restart: func() {}, Break: a.Break, Bar: a.Bar, WriteACL: a.WriteACL, BreakACL: a.BreakACL, LoseRules: a.LoseRules,
		}
	}
}

func TestAuthFake(t *testing.T) {
	t.Parallel()
	open := authHarness(nil)
	TestAuth(t, func(t *testing.T) AuthHarness { return open(tested{t}) })
}
