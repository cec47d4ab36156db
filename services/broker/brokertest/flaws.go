package brokertest

// The checks that the fakes make and the tests of the suites switch off, one at a time.
const (
	cancelledContext    = "a call with an ended context does nothing"
	newestPublishStream = "a newer stream of a source ends the older one"
	streamNumbers       = "stream numbers rise"
	deadSource          = "a dead incarnation opens no stream"
	failsAsAWhole       = "a stream that ended accepts nothing"
	syncBound           = "what waits for routes is bounded"
	endsWithPartition   = "streams end when the partition changes hands"
	waitForDurable      = "an ack waits for durable destinations"
	ackOrder            = "acks come in order"
	lastOfBatch         = "the last publish of a batch is acked at QoS 0"
	matchedFlag         = "an ack tells whether anybody matched"
	closesUpward        = "a failed destination ends the streams with something unanswered there"
	cumulativeOK        = "an OK answers everything before it"
	oldAnswers          = "a refusal of an older epoch is no answer"
	dropByVersion       = "a refusal removes only what has not changed since"
	newerVersions       = "an older delta changes nothing"
	originEpoch         = "an origin's older epoch is refused"
	foreignFilters      = "exact filters of other routers are refused"
	snapshotInstalled   = "a snapshot is installed before serving"
	onlyThatGroup       = "a redispatch reaches one group only"
	connectedFirst      = "candidates with connected members come first"
	expiredLeftOut      = "expired retained messages are left out"
	retainedLimit       = "a limit of retained messages holds"
	pageBound           = "a batch of retained messages has 64 KiB at most"
	yieldError          = "an error of yield ends the call"

	topicEpoch     = "an older epoch of a topic partition is refused"
	cursors        = "a cursor per source"
	duplicatesWait = "a duplicate is answered when its record is durable"
	ackWhenDurable = "an answer waits for its record"
)

// The checks of the fake Sessions.
const (
	snapshotRegisters    = "a snapshot registers its router"
	snapshotSelects      = "a snapshot has what was asked for"
	deadGatewayDetached  = "connections of a gateway that is gone are detached"
	queueSurvives        = "a queue survives its owner"
	deadGateway          = "a dead gateway opens no stream"
	newestSessionStream  = "a newer stream of a gateway ends the older one"
	sessionFailsAsAWhole = "a session stream that ended accepts nothing"
	connectionEpoch      = "a request of an older connection changes nothing"
	heldPacketIDs        = "a held packet id is not published again"
	publish2Durable      = "a QoS 2 publish is answered when durable"
	releaseFrees         = "PUBREL frees the packet id"
	attachRepeats        = "a repeated Attach gets the same answer"
	supersededRefused    = "a superseded Attach is refused"
	cleanStart           = "a clean start drops the session"
	kickPush             = "the older connection is kicked"
	attachDurable        = "a persistent Attach is answered when durable"
	inflightTable        = "what the gateway knows to be under way is not pushed again"
	settledPush          = "held publishes are told to go on"
	settledAtOnce        = "the answer to the kick lets held publishes go on"
	willDropped          = "a normal disconnect drops the will"
	sessionExpiry        = "a session expires"
	dupFlag              = "what is sent again says so"
	window               = "the window bounds what is under way"
	releaseWaits         = "PUBREL waits for the record of PUBREC"
	noSub                = "what nobody wants is answered NoSub"
	noLocal              = "No Local"
	grantedQoS           = "the lower QoS is granted"
	validFilters         = "filters are validated"
	subackMeansRouted    = "a subscription is answered when routed"
	retainFlag           = "a retained message says so"
	pageLimit            = "a page has a limit"
	notAttached          = "kicking one who is not there is an error"
)

// The checks of the fake Gateway.
const (
	oneMember   = "a copy for a group reaches one member"
	injectACL   = "an injected message is authorised"
	injectWaits = "an injected message is answered when acknowledged"
)

// The checks of the fake Auth.
const (
	generationRises = "the generation rises with every change"
	failsClosed     = "what cannot be decided is refused"
	barredClients   = "a barred client id is not let in"
	passwords       = "passwords are compared"
	superusers      = "superusers are allowed everything"
	decisionOrder   = "decisions come in the order of the topics"
	createRefuses   = "Create does not replace"
	passwordsHashed = "passwords are not kept"
	ruleAccess      = "a rule is about its access"
	ruleConditions  = "all conditions of a rule must hold"
	ruleIndex       = "a rule is put where its index says"
	brokenFileKeeps = "a broken ACL file changes nothing"
)
