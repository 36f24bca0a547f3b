package breaker

import "github.com/commontrip/commontrip/store"

// The nouns of package store that a user of breakers needs, so that a single node imports one package. Their fields,
// methods and ranges stand there.
type (
	Policy   = store.Policy
	State    = store.State
	Mode     = store.Mode
	Outcome  = store.Outcome
	Snapshot = store.Snapshot
	Command  = store.Command
	Action   = store.Action
	Reason   = store.Reason
)

// States; see [store.State].
const (
	Closed   = store.Closed
	Open     = store.Open
	HalfOpen = store.HalfOpen
)

// Modes; see [store.Mode].
const (
	Auto         = store.Auto
	ForcedOpen   = store.ForcedOpen
	ForcedClosed = store.ForcedClosed
)

// Outcomes; see [store.Outcome].
const (
	Success = store.Success
	Failure = store.Failure
	Ignored = store.Ignored
)

// Actions; see [store.Action].
const (
	ForceOpen   = store.ForceOpen
	ForceClosed = store.ForceClosed
	Lift        = store.Lift
	Trip        = store.Trip
	Reset       = store.Reset
	Retune      = store.Retune
	Restore     = store.Restore
)

// Reasons; see [store.Reason].
const (
	ByConsecutiveFailures = store.ByConsecutiveFailures
	ByFailureRate         = store.ByFailureRate
	BySlowCallRate        = store.BySlowCallRate
	ByProbeFailure        = store.ByProbeFailure
	ByProbeSuccesses      = store.ByProbeSuccesses
	ByTime                = store.ByTime
	ByOperator            = store.ByOperator
	ByRepair              = store.ByRepair
)

// DefaultPolicy is the default of [New] and of a Manager on a local store; see [store.DefaultPolicy].
func DefaultPolicy() Policy { return store.DefaultPolicy() }

// FleetPolicy is the default of a Manager on a remote store; see [store.FleetPolicy].
func FleetPolicy() Policy { return store.FleetPolicy() }
