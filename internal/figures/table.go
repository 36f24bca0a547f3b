// Package figures is what can be measured of a replica, its breakers and its checks: each metric once, by name, and how it is
// read. The packages that show them, each in its own way, are metrics and oteltrip.
package figures

import "strings"

// Metric describes one metric.
type Metric struct {
	Name   string // as Prometheus spells it, without the prefix
	Kind   Kind
	Join   Join
	Counts string // what one of it is; "" if the name ends in its unit
	Help   string
	Labels []string // the first names the breaker, the check, the chain or the retrier
}

// Prefix stands before each name.
const Prefix = "commontrip_"

// Split gives the name without the ending that tells kind and unit to Prometheus, and the unit by the Unified Code for Units of
// Measure: "s", "1" for a ratio, else what is counted, in braces.
func (m *Metric) Split() (name, unit string) {
	name = strings.TrimSuffix(m.Name, "_total")
	if plain, ok := strings.CutSuffix(name, "_seconds"); ok {
		return plain, "s"
	}
	if plain, ok := strings.CutSuffix(name, "_ratio"); ok {
		return plain, "1"
	}
	return name, "{" + m.Counts + "}"
}

// Kind is how a value moves.
type Kind uint8

// The kinds.
const (
	Gauge Kind = iota
	Counter
	Histogram
)

func (k Kind) String() string { return [...]string{"gauge", "counter", "histogram"}[k] }

// Join is how the replicas' values of one metric are joined.
type Join string

// The joins.
const (
	Each  Join = "-"   // each replica's for itself
	Total Join = "sum" // each did its part
	Same  Join = "max" // all know the same
)

// ExchangeBounds and FallbackBounds are the upper bounds of the buckets of the two histograms, in seconds.
var (
	ExchangeBounds = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1}
	FallbackBounds = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
)

// ID is a metric's place in the table.
type ID int

const (
	ReplicaInfo ID = iota
	Breakers
	BreakersLeftOut
	StoreUp
	StoreSilence
	StoreLosses
	Exchanges
	ExchangeErrors
	ExchangeDuration
	Resyncs
	ConnectionsInUse
	ConnectionsIdle
	ConnectionsMost
	ConnectionWaits

	State
	OwnVerdict
	RetryAfter
	Calls
	SlowCalls
	Refused
	Pending
	Lost
	Transitions
	OwnTrips
	Repairs
	Disowned

	FleetState
	FleetGeneration
	FleetSince
	FleetAge
	FleetReplicas
	FleetWindow
	FleetFailures
	FleetSlow
	FleetStreak
	FleetProbes
	FleetOpenings
	FleetLate
	FleetConflict
	Mode
	CommandSince
	CommandRemaining
	Commands
	PolicyFailures
	PolicySlow
	PolicyStreak
	PolicyMinCalls
	PolicyOpenFor
	PolicyProbes
	PolicyObserve

	HealthState
	HealthSince
	HealthChecked
	HealthTook

	FallbackServed
	FallbackFailed
	FallbackPassed
	FallbackDuration
	Retries
	RetryWaits

	metricCount
)

var perBreaker = []string{"breaker"}

// Table describes all metrics. docs/metrics.md is made of it.
var Table = [metricCount]Metric{
	ReplicaInfo:      {"replica_info", Gauge, Each, "replica", "Always 1; replica is the name under which the fleet knows this process.", []string{"replica"}},
	Breakers:         {"breakers", Gauge, Each, "breaker", "Breakers registered here.", nil},
	BreakersLeftOut:  {"breakers_left_out", Gauge, Each, "breaker", "Breakers registered here that are not shown, since they are too many.", nil},
	StoreUp:          {"store_up", Gauge, Each, "store", "1 while every part of the store answers; 0 once one has been silent for StaleAfter.", nil},
	StoreSilence:     {"store_silence_seconds", Gauge, Each, "", "Time since the last exchange that the store answered was sent.", nil},
	StoreLosses:      {"store_losses_total", Counter, Total, "loss", "How often the store was lost.", nil},
	Exchanges:        {"exchanges_total", Counter, Total, "exchange", "Exchanges with the store, of any kind.", nil},
	ExchangeErrors:   {"exchange_errors_total", Counter, Total, "exchange", "Exchanges that the store did not answer, or answered with a failure of its own.", nil},
	ExchangeDuration: {"exchange_duration_seconds", Histogram, Total, "", "How long exchanges with a remote store took, failed ones included.", nil},
	Resyncs:          {"resyncs_total", Counter, Total, "resync", "How often pushes may have been missed, so that this replica read again; once at its start.", nil},
	ConnectionsInUse: {"store_connections_in_use", Gauge, Total, "connection", "Connections of the store's pool that carry an exchange (PostgreSQL).", nil},
	ConnectionsIdle:  {"store_connections_idle", Gauge, Total, "connection", "Connections of the store's pool that wait for one (PostgreSQL).", nil},
	ConnectionsMost:  {"store_connections_max", Gauge, Total, "connection", "Connections that the pool may have (PostgreSQL).", nil},
	ConnectionWaits:  {"store_connection_waits_total", Counter, Total, "exchange", "Exchanges that waited until a connection was free or made (PostgreSQL).", nil},

	State:       {"state", Gauge, Each, "breaker", "1 for the state that rules calls here and now: mode, dry run and own verdict included.", []string{"breaker", "state"}},
	OwnVerdict:  {"own_verdict", Gauge, Each, "breaker", "1 while this replica's own verdict rules its calls, not the fleet's.", perBreaker},
	RetryAfter:  {"retry_after_seconds", Gauge, Each, "", "How long calls are still refused here; 0 if they are admitted.", perBreaker},
	Calls:       {"calls_total", Counter, Total, "call", "Calls that ended, by outcome.", []string{"breaker", "outcome"}},
	SlowCalls:   {"slow_calls_total", Counter, Total, "call", "Calls that took longer than SlowCallAfter, whatever their outcome.", perBreaker},
	Refused:     {"refused_total", Counter, Total, "call", "Calls that were refused, by what refused them.", []string{"breaker", "refusal"}},
	Pending:     {"pending_outcomes", Gauge, Total, "outcome", "Outcomes that wait to be reported to the store.", perBreaker},
	Lost:        {"lost_outcomes_total", Counter, Total, "outcome", "Outcomes that could not be reported in time: the fleet never judged them.", perBreaker},
	Transitions: {"transitions_total", Counter, Total, "transition", "Changes of the fleet's state that this replica's reports and probes made.", []string{"breaker", "to", "reason"}},
	OwnTrips:    {"own_trips_total", Counter, Total, "trip", "How often this replica's own verdict opened.", perBreaker},
	Repairs:     {"repairs_total", Counter, Total, "repair", "How often this replica gave the store back a verdict that it had lost, and heard of it.", perBreaker},
	Disowned:    {"disowned_total", Counter, Total, "verdict", "How often this replica dropped what it knew of the fleet, since the store had refused it for 15 s.", perBreaker},

	FleetState:       {"fleet_state", Gauge, Same, "breaker", "1 for the fleet's state, as last heard.", []string{"breaker", "state"}},
	FleetGeneration:  {"fleet_generation", Gauge, Same, "generation", "The number of the fleet's state, as last heard; it only grows.", perBreaker},
	FleetSince:       {"fleet_state_since_timestamp_seconds", Gauge, Same, "", "When the fleet's state began, by the store's clock; 0 if no store has said.", perBreaker},
	FleetAge:         {"fleet_age_seconds", Gauge, Each, "", "How old what this replica knows of the fleet is; idle breakers are asked about every 10 s.", perBreaker},
	FleetReplicas:    {"fleet_replicas", Gauge, Same, "replica", "Replicas that reported on the breaker lately.", perBreaker},
	FleetWindow:      {"fleet_window_calls", Gauge, Same, "call", "Calls in the fleet's window.", perBreaker},
	FleetFailures:    {"fleet_failure_ratio", Gauge, Same, "", "Share of failures in the fleet's window; 0 if it is empty.", perBreaker},
	FleetSlow:        {"fleet_slow_ratio", Gauge, Same, "", "Share of slow calls in the fleet's window; 0 if it is empty.", perBreaker},
	FleetStreak:      {"fleet_consecutive_failures", Gauge, Same, "call", "The fleet's failures in a row.", perBreaker},
	FleetProbes:      {"fleet_probes", Gauge, Same, "probe", "Probes on their way in the whole fleet, and leases that nobody settled.", perBreaker},
	FleetOpenings:    {"fleet_openings", Gauge, Same, "opening", "Openings in a row without a lasting close: each doubles the open time, up to its maximum.", perBreaker},
	FleetLate:        {"fleet_late_outcomes_total", Counter, Same, "outcome", "Outcomes that reached the store too late to be judged.", perBreaker},
	FleetConflict:    {"fleet_policy_conflict", Gauge, Same, "breaker", "1 while replicas report different policies.", perBreaker},
	Mode:             {"mode", Gauge, Same, "breaker", "1 for the operators' mode.", []string{"breaker", "mode"}},
	CommandSince:     {"command_since_timestamp_seconds", Gauge, Same, "", "Since when a forced mode (\"mode\") or a retuned policy (\"policy\") stands, by the store's clock; 0 = none does.", []string{"breaker", "command"}},
	CommandRemaining: {"command_remaining_seconds", Gauge, Same, "", "How long it will still stand; +Inf = until lifted, 0 = none does.", []string{"breaker", "command"}},
	Commands:         {"commands_total", Counter, Same, "command", "Operators' commands that this replica heard of.", []string{"breaker", "action"}},
	PolicyFailures:   {"policy_failure_ratio", Gauge, Same, "", "The failure rate that opens, in force; 0 = no such rule.", perBreaker},
	PolicySlow:       {"policy_slow_ratio", Gauge, Same, "", "The slow-call rate that opens, in force; 0 = no such rule.", perBreaker},
	PolicyStreak:     {"policy_consecutive_failures", Gauge, Same, "call", "The failures in a row that open, in force; 0 = no such rule.", perBreaker},
	PolicyMinCalls:   {"policy_min_calls", Gauge, Same, "call", "The calls from which on rates are judged.", perBreaker},
	PolicyOpenFor:    {"policy_open_seconds", Gauge, Same, "", "How long the first opening lasts.", perBreaker},
	PolicyProbes:     {"policy_probes", Gauge, Same, "probe", "Probes that may be on their way at once in the whole fleet.", perBreaker},
	PolicyObserve:    {"policy_observe", Gauge, Same, "breaker", "1 for a dry run: the state changes, nobody is refused.", perBreaker},

	HealthState:   {"health", Gauge, Each, "check", "1 for the health that active checks found.", []string{"check", "health"}},
	HealthSince:   {"health_since_timestamp_seconds", Gauge, Each, "", "When that health began.", []string{"check"}},
	HealthChecked: {"health_checked_timestamp_seconds", Gauge, Each, "", "When the last check ended; 0 = never.", []string{"check"}},
	HealthTook:    {"health_check_duration_seconds", Gauge, Each, "", "How long the last check took.", []string{"check"}},

	FallbackServed:   {"fallback_served_total", Counter, Total, "request", "Requests that a tier of a chain served.", []string{"chain", "tier"}},
	FallbackFailed:   {"fallback_failed_total", Counter, Total, "request", "Requests that no tier of a chain served.", []string{"chain"}},
	FallbackPassed:   {"fallback_passed_total", Counter, Total, "tier", "Tiers that were asked and did not serve: a guard refused (skipped), or the call failed.", []string{"chain", "tier", "why"}},
	FallbackDuration: {"fallback_duration_seconds", Histogram, Total, "", "How long requests took through all of a chain.", []string{"chain"}},
	Retries:          {"retries_total", Counter, Total, "attempt", "Attempts after which another followed.", []string{"retrier"}},
	RetryWaits:       {"retry_waits_seconds_total", Counter, Total, "", "Time waited between attempts.", []string{"retrier"}},
}
