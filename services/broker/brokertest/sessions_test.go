package brokertest

import "testing"

// sessionsHarness is a Sessions that publishes to an Upstream.
func sessionsHarness(f flaws) func(T) SessionsHarness {
	return func(t T) SessionsHarness {
		u := NewUpstream()
		s := newSessions(SessionsConfig{Router: u, Node: u}, f)
		t.Cleanup(s.Close)
		return SessionsHarness{
			Sessions: s, Admin: s, Upstream: u, Partition: s.Partition, TopicPartition: s.TopicPartition,
			StartGateway: s.StartGateway, StopGateway: s.StopGateway, StartRouter: s.StartRouter, StopRouter: s.StopRouter, MovePartition: s.MovePartition, HoldLog: s.HoldLog,
		}
	}
}

func TestSessionsFake(t *testing.T) {
	t.Parallel()
	open := sessionsHarness(nil)
	TestSessions(t, func(t *testing.T) SessionsHarness { return open(tested{t}) })
}
