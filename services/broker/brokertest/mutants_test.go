package brokertest

import (
	"testing"
	"time"
)

// mutant is a fake that leaves out one check, and a sentence that must fail on it.
type mutant struct{ leavesOut, sentence string }

var mutants = map[string][]mutant{
	"router": {
		{cancelledContext, "KindCanceled: the caller's context ended; the outcome is unknown"},
		{newestPublishStream, "The newest stream of a source replaces older ones, which end with KindStale."},
		{streamNumbers, "number of this stream within the source, rising with every open (rule N4)"},
		{deadSource, "KindStale (source incarnation is dead)"},
		{failsAsAWhole, "It fails as a whole (rule N4): after a refusal nothing later is accepted on it"},
		{syncBound, "still syncing beyond the queue limit"},
		{endsWithPartition, "Epoch is the topic partition epoch this stream is bound to (rule N10). It never changes; when the partition changes hands the stream ends."},
		{waitForDurable, "Acks come in the order of Seq."},
		{ackOrder, "Acks come in the order of Seq."},
		{lastOfBatch, "a QoS 0 publish is answered by the next ack at or above its Seq, and the router acks at least the last publish of each batch"},
		{matchedFlag, "at least one subscriber matched (MQTT 5.0 reason 0x10 otherwise)"},
		{closesUpward, "the router treats one of an older partition epoch than it knows as RETRY (rule N6)"},
		{cumulativeOK, "An ack with Result OK answers all up to No that are still unanswered"},
		{oldAnswers, "the router treats one of an older partition epoch than it knows as RETRY (rule N6)"},
		{dropByVersion, "no subscription matches any more: the route may be removed (rule N6)"},
		{newerVersions, "a later version of the same (filter, group) replaces an earlier one"},
		{originEpoch, "KindStale: the origin's epoch is older than one seen."},
		{foreignFilters, "Exact filters (without wildcard) need ownership of their topic partition: KindNotOwner names none applied of those that are foreign, the rest is applied."},
		{snapshotInstalled, "SnapshotRoutes yields all routes of the origin that q selects, in batches, and then returns the origin with its version at that moment."},
		{onlyThatGroup, "non-nil: route to this one shared group only (redispatch by a home or a gateway)"},
		{connectedFirst, "Candidates are the session partitions and gateways that have members, as the router knows them, connected ones first."},
		{expiredLeftOut, "ReadRetained yields the retained messages that match filter (for an exact filter one at most), expired ones left out"},
		{retainedLimit, "Limit: 0: all"},
		{yieldError, "yield returning an error ends the call with that error."},
		{topicEpoch, "retained partition: A delivery with a topic epoch lower than one seen for that topic partition ends the stream with KindStale (rule N10)."},
		{cursors, "retained partition: what is not above it is a duplicate and is answered OK"},
		{duplicatesWait, "retained partition: but only when the record that moved the cursor is durable (rule N5)."},
		{ackWhenDurable, "and the retained partition of a retained message, holds it durably"},
		{pageBound, "in batches of at most 64 KiB; it reads no further until yield returns, so a slow reader slows nobody else."},
	},
	"sessions": {
		{deadSource, "session partition: from then on that incarnation is refused for ever (rule N9): KindStale: start over with the present one"},
		{topicEpoch, "session partition: A delivery with a topic epoch lower than one seen for that topic partition ends the stream with KindStale (rule N10)."},
		{cursors, "session partition: what is not above it is a duplicate and is answered OK"},
		{duplicatesWait, "session partition: but only when the record that moved the cursor is durable (rule N5)."},
		{ackWhenDurable, "session partition: OK: a durable sink: the record is durable (or nothing had to be recorded)"},
		{snapshotRegisters, "Answering registers q.Router in the same step (rule N1): from then on every subscription of the origin that q selects also waits for that router's ack of its delta"},
		{snapshotSelects, "SnapshotRoutes yields all routes of the origin that q selects, in batches, and then returns the origin with its version at that moment."},
		{goneRouter, "until the origin's own view of the cluster is at or past the registration's revision and shows the registration gone."},
		{flapping, "Delay asks for a pause before CONNACK: the client id is being taken over to and fro (flapping)."},
		{deadGatewayDetached, "closed, kicked, ...: a gateway whose key is gone detaches its connections (rule R6)"},
		{queueSurvives, "Inflight is what the gateway knows of the pushes under way on this live connection (rule R5)."},
		{deadGateway, "KindStale (the gateway's incarnation is not alive in the owner's view, rule R6: wait and retry, or come back as a new one)."},
		{newestSessionStream, "A newer stream of the same pair replaces the older one."},
		{connectionEpoch, "a request with an older epoch than the present attachment's changes nothing and is answered KindStale."},
		{heldPacketIDs, "The gateway keeps every request until its answer and repeats the unanswered ones, in order and with the same ID, on the next stream, after one OpAnnounce per attached client (rule R3)."},
		{publish2Durable, "It fails as a whole (rule N4): a session stream that was closed takes nothing and answers nothing"},
		{releaseFrees, "Requests are handled in order; each is answered exactly once, or the stream ends."},
		{attachRepeats, "a repeat (same incarnation and connection number) gets the same answer"},
		{supersededRefused, "a repeated Attach of a superseded connection is refused, as often as it comes: KindConflict"},
		{cleanStart, "CleanStart: drop an existing session first"},
		{kickPush, "PushKick: end connection Conn: superseded or kicked by management; answer with OpKicked"},
		{attachDurable, "For a persistent or will-carrying client it is sent when the record is durable, for others under a valid lease (rule N12)."},
		{inflightTable, "Inflight is what the gateway knows of the pushes under way on this live connection (rule R5)."},
		{settledPush, "HoldPublishes: an older connection elsewhere is being ended; hold this client's publishes until a Push with Op PushSettled"},
		{settledAtOnce, "HoldPublishes: an older connection elsewhere is being ended; hold this client's publishes until a Push with Op PushSettled"},
		{willDropped, "DropWill: DISCONNECT with reason 0x00 was read, or CONNACK was never sent"},
		{sessionExpiry, "how long the session outlives the connection"},
		{dupFlag, "Dup: what was under way is sent again on the next connection"},
		{window, "Window: how many QoS 1/2 pushes may be unacknowledged (receive maximum and max_inflight), >= 1"},
		{releaseWaits, "AckPubrec: must be durable before PUBREL is sent: the reply is a Push with Op PushRelease"},
		{noSub, "session partition: NoSub: no subscription matches any more: the route may be removed (rule N6)"},
		{noLocal, "NoLocal"},
		{grantedQoS, "Index: queue index, 0 for QoS 0; PacketID: 1 + index mod 65535 (rule R4), 0 for QoS 0"},
		{validFilters, "OpSubscribe, OpUnsubscribe: one per filter, in order"},
		{subackMeansRouted, "OpSubscribe: Subs; answered when routed (rule N8)"},
		{retainFlag, "RetainHandling: 0 send retained, 1 only if new, 2 never"},
		{pageLimit, "Sessions lists persistent sessions ordered by client id; q.Node \"\" lists attached and offline ones alike."},
		{notAttached, "KickClient ends the attachment of a client id wherever it is connected. KindNotFound: not attached."},
		{sessionFailsAsAWhole, "It fails as a whole (rule N4): a session stream that was closed takes nothing and answers nothing"},
	},
	"gateway": {
		{topicEpoch, "gateway: A delivery with a topic epoch lower than one seen for that topic partition ends the stream with KindStale (rule N10)."},
		{cursors, "A gateway keeps the same cursors in memory, so that a router's fail-over repeats nothing."},
		{snapshotRegisters, "Answering registers q.Router in the same step (rule N1): from then on every subscription of the origin that q selects also waits for that router's ack of its delta"},
		{snapshotSelects, "SnapshotRoutes yields all routes of the origin that q selects, in batches, and then returns the origin with its version at that moment."},
		{noSub, "gateway: NoSub: no subscription matches any more: the route may be removed (rule N6)"},
		{subackMeansRouted, "routes of its clean sessions"},
		{pageLimit, "Clients lists connections, ordered by client id, after q.After, at most q.Limit (default 100, at most 1000)."},
		{notAttached, "Kick ends the connection of a client id. KindNotFound: it is not connected here."},
		{oneMember, "A gateway that gets a copy picks a member itself and ignores them."},
		{injectACL, "through hooks, quotas and (unless as.Superuser) the ACL"},
		{injectWaits, "Inject publishes as if a client of that id had"},
	},
	"auth": {
		{cancelledContext, "KindCanceled: the caller's context ended; the outcome is unknown"},
		{generationRises, "WatchRules calls fn with the present generation of the rules and again, in order, whenever it rises, until ctx ends."},
		{failsClosed, "It fails closed: an error of any kind means no. KindUnavailable and KindBusy: it could not be decided now."},
		{barredClients, "KindDenied: known, but not allowed in."},
		{passwords, "KindUnauthenticated: wrong or missing credentials."},
		{proofs, "KindUnauthenticated: a wrong proof, somebody unknown or without what the method needs, or a message that is none of the method"},
		{superusers, "Superusers are not asked about by callers, and always allowed when they are."},
		{createRefuses, "Create: refuse with KindConflict if it exists"},
		{passwordsHashed, "Users: without passwords"},
		{ruleAccess, "For ActionSubscribe topics are inner filters."},
		{ruleConditions, "PutRule: Index -1 appends"},
		{ruleIndex, "PutRule: Index -1 appends"},
		{brokenFileKeeps, "ReloadACL reads the ACL file again, on every authsvc; a broken file keeps the old rules and is the error"},
		{decisionOrder, "the answer has one Decision per topic, in order."},
	},
}

// suites runs a suite on a fake with flaws.
var suites = map[string]func(T, flaws){
	"router":   func(t T, f flaws) { routerSuite(t, routerHarness(f)) },
	"sessions": func(t T, f flaws) { sessionsSuite(t, sessionsHarness(f)) },
	"gateway":  func(t T, f flaws) { gatewaySuite(t, gatewayHarness(f)) },
	"auth":     func(t T, f flaws) { authSuite(t, authHarness(f)) },
}

// TestSuitesFailOnMutants shows that each suite notices when a check is missing, and that the same sentence holds when it is there.
func TestSuitesFailOnMutants(t *testing.T) {
	t.Parallel()
	for suite, list := range mutants {
		for _, m := range list {
			t.Run(suite+" without: "+m.leavesOut, func(t *testing.T) {
				t.Parallel()
				broken := newRecorder(suite, m.sentence, 200*time.Millisecond)
				suites[suite](broken, flaws{m.leavesOut: true})
				if len(broken.subs) != 1 {
					t.Fatalf("%d sentences are named %q", len(broken.subs), m.sentence)
				}
				if len(broken.failed()) == 0 {
					t.Errorf("nobody notices; this should fail: %s", m.sentence)
				}
				whole := newRecorder(suite, m.sentence, patience)
				suites[suite](whole, nil)
				for _, x := range whole.failed() {
					t.Errorf("it fails without the flaw too: %s", x)
				}
			})
		}
	}
}
