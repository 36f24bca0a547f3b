package metrics

const prefix = "commontrip_"

// metric describes one family. docs/metrics.md is made of them.
type metric struct {
	name   string // without the prefix
	kind   kind
	join   string // over replicas
	help   string
	labels []string
}

type kind uint8

const (
	gauge kind = iota
	counter
	histogram
)

func (k kind) String() string { return [...]string{"gauge", "counter", "histogram"}[k] }

// How the replicas' values of one metric are joined.
const (
	each  = "-"   // each replica's for itself
	total = "sum" // each did its part
	same  = "max" // all know the same
)

// id is a metric's place in the table.
type id int

const (
	replicaInfo id = iota
	breakers
	breakersLeftOut
	storeUp
	storeSilence
	storeLosses
	exchanges
	exchangeErrors
	exchangeDuration
	resyncs
	connections
	connectionsMost
	connectionWaits

	state
	ownVerdict
	retryAfter
	calls
	slowCalls
	refused
	pending
	lost
	transitions
	ownTrips
	repairs
	disowned

	fleetState
	fleetGeneration
	fleetSince
	fleetAge
	fleetReplicas
	fleetWindow
	fleetFailures
	fleetSlow
	fleetStreak
	fleetProbes
	fleetOpenings
	fleetLate
	fleetConflict
	mode
	commandSince
	commandRemaining
	commands
	policyFailures
	policySlow
	policyStreak
	policyMinCalls
	policyOpenFor
	policyProbes
	policyObserve

	healthState
	healthSince
	healthChecked
	healthTook

	fallbackServed
	fallbackFailed
	fallbackPassed
	fallbackDuration
	retries
	retryWaits

	metricCount
)

var perBreaker = []string{"breaker"}

var table = [metricCount]metric{
	replicaInfo:      {"replica_info", gauge, each, "Always 1; replica is the name under which the fleet knows this process.", []string{"replica"}},
	breakers:         {"breakers", gauge, each, "Breakers registered here.", nil},
	breakersLeftOut:  {"breakers_left_out", gauge, each, "Breakers registered here that are not shown, since they are too many.", nil},
	storeUp:          {"store_up", gauge, each, "1 while every part of the store answers; 0 once one has been silent for StaleAfter.", nil},
	storeSilence:     {"store_silence_seconds", gauge, each, "Time since the last exchange that the store answered was sent.", nil},
	storeLosses:      {"store_losses_total", counter, total, "How often the store was lost.", nil},
	exchanges:        {"exchanges_total", counter, total, "Exchanges with the store, of any kind.", nil},
	exchangeErrors:   {"exchange_errors_total", counter, total, "Exchanges that the store did not answer, or answered with a failure of its own.", nil},
	exchangeDuration: {"exchange_duration_seconds", histogram, total, "How long exchanges with a remote store took, failed ones included.", nil},
	resyncs:          {"resyncs_total", counter, total, "How often pushes may have been missed, so that this replica read again; once at its start.", nil},
	connections:      {"store_connections", gauge, total, "Connections of the store's pool, beside the one that listens (PostgreSQL).", []string{"use"}},
	connectionsMost:  {"store_connections_max", gauge, total, "Connections that the pool may have (PostgreSQL).", nil},
	connectionWaits:  {"store_connection_waits_total", counter, total, "Exchanges that waited until a connection was free or made (PostgreSQL).", nil},

	state:       {"state", gauge, each, "1 for the state that rules calls here and now: mode, dry run and own verdict included.", []string{"breaker", "state"}},
	ownVerdict:  {"own_verdict", gauge, each, "1 while this replica's own verdict rules its calls, not the fleet's.", perBreaker},
	retryAfter:  {"retry_after_seconds", gauge, each, "How long calls are still refused here; 0 if they are admitted.", perBreaker},
	calls:       {"calls_total", counter, total, "Calls that ended, by outcome.", []string{"breaker", "outcome"}},
	slowCalls:   {"slow_calls_total", counter, total, "Calls that took longer than SlowCallAfter, whatever their outcome.", perBreaker},
	refused:     {"refused_total", counter, total, "Calls that were refused, by what refused them.", []string{"breaker", "refusal"}},
	pending:     {"pending_outcomes", gauge, total, "Outcomes that wait to be reported to the store.", perBreaker},
	lost:        {"lost_outcomes_total", counter, total, "Outcomes that could not be reported in time: the fleet never judged them.", perBreaker},
	transitions: {"transitions_total", counter, total, "Changes of the fleet's state that this replica's reports and probes made.", []string{"breaker", "to", "reason"}},
	ownTrips:    {"own_trips_total", counter, total, "How often this replica's own verdict opened.", perBreaker},
	repairs:     {"repairs_total", counter, total, "How often this replica gave the store back a verdict that it had lost, and heard of it.", perBreaker},
	disowned:    {"disowned_total", counter, total, "How often this replica dropped what it knew of the fleet, since the store had refused it for 15 s.", perBreaker},

	fleetState:       {"fleet_state", gauge, same, "1 for the fleet's state, as last heard.", []string{"breaker", "state"}},
	fleetGeneration:  {"fleet_generation", gauge, same, "The number of the fleet's state, as last heard; it only grows.", perBreaker},
	fleetSince:       {"fleet_state_since_timestamp_seconds", gauge, same, "When the fleet's state began, by the store's clock; 0 if no store has said.", perBreaker},
	fleetAge:         {"fleet_age_seconds", gauge, each, "How old what this replica knows of the fleet is; idle breakers are asked about every 10 s.", perBreaker},
	fleetReplicas:    {"fleet_replicas", gauge, same, "Replicas that reported on the breaker lately.", perBreaker},
	fleetWindow:      {"fleet_window_calls", gauge, same, "Calls in the fleet's window.", perBreaker},
	fleetFailures:    {"fleet_failure_ratio", gauge, same, "Share of failures in the fleet's window; 0 if it is empty.", perBreaker},
	fleetSlow:        {"fleet_slow_ratio", gauge, same, "Share of slow calls in the fleet's window; 0 if it is empty.", perBreaker},
	fleetStreak:      {"fleet_consecutive_failures", gauge, same, "The fleet's failures in a row.", perBreaker},
	fleetProbes:      {"fleet_probes", gauge, same, "Probes on their way in the whole fleet, and leases that nobody settled.", perBreaker},
	fleetOpenings:    {"fleet_openings", gauge, same, "Openings in a row without a lasting close: each doubles the open time, up to its maximum.", perBreaker},
	fleetLate:        {"fleet_late_outcomes_total", counter, same, "Outcomes that reached the store too late to be judged.", perBreaker},
	fleetConflict:    {"fleet_policy_conflict", gauge, same, "1 while replicas report different policies.", perBreaker},
	mode:             {"mode", gauge, same, "1 for the operators' mode.", []string{"breaker", "mode"}},
	commandSince:     {"command_since_timestamp_seconds", gauge, same, "Since when a forced mode (\"mode\") or a retuned policy (\"policy\") stands, by the store's clock; 0 = none does.", []string{"breaker", "command"}},
	commandRemaining: {"command_remaining_seconds", gauge, same, "How long it will still stand; +Inf = until lifted, 0 = none does.", []string{"breaker", "command"}},
	commands:         {"commands_total", counter, same, "Operators' commands that this replica heard of.", []string{"breaker", "action"}},
	policyFailures:   {"policy_failure_ratio", gauge, same, "The failure rate that opens, in force; 0 = no such rule.", perBreaker},
	policySlow:       {"policy_slow_ratio", gauge, same, "The slow-call rate that opens, in force; 0 = no such rule.", perBreaker},
	policyStreak:     {"policy_consecutive_failures", gauge, same, "The failures in a row that open, in force; 0 = no such rule.", perBreaker},
	policyMinCalls:   {"policy_min_calls", gauge, same, "The calls from which on rates are judged.", perBreaker},
	policyOpenFor:    {"policy_open_seconds", gauge, same, "How long the first opening lasts.", perBreaker},
	policyProbes:     {"policy_probes", gauge, same, "Probes that may be on their way at once in the whole fleet.", perBreaker},
	policyObserve:    {"policy_observe", gauge, same, "1 for a dry run: the state changes, nobody is refused.", perBreaker},

	healthState:   {"health", gauge, each, "1 for the health that active checks found.", []string{"check", "health"}},
	healthSince:   {"health_since_timestamp_seconds", gauge, each, "When that health began.", []string{"check"}},
	healthChecked: {"health_checked_timestamp_seconds", gauge, each, "When the last check ended; 0 = never.", []string{"check"}},
	healthTook:    {"health_check_duration_seconds", gauge, each, "How long the last check took.", []string{"check"}},

	fallbackServed:   {"fallback_served_total", counter, total, "Requests that a tier of a chain served.", []string{"chain", "tier"}},
	fallbackFailed:   {"fallback_failed_total", counter, total, "Requests that no tier of a chain served.", []string{"chain"}},
	fallbackPassed:   {"fallback_passed_total", counter, total, "Tiers that were asked and did not serve: a guard refused (skipped), or the call failed.", []string{"chain", "tier", "why"}},
	fallbackDuration: {"fallback_duration_seconds", histogram, total, "How long requests took through all of a chain.", []string{"chain"}},
	retries:          {"retries_total", counter, total, "Attempts after which another followed.", []string{"retrier"}},
	retryWaits:       {"retry_waits_seconds_total", counter, total, "Time waited between attempts.", []string{"retrier"}},
}
