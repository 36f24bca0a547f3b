// Package limits holds the numbers that the machine in Go, the machine in Lua and those that read its hash must agree on.
// Each is spelled here once; package lua renders them into the scripts. Those of package store, such as
// [store.MaxNumber], stand there, since they belong to the contract.
//
// Times are integer milliseconds.
package limits

const (
	// Schema is the version of the hash's layout in Redis. A script migrates a lower one and refuses a higher one.
	Schema = 1

	Hour = 3_600_000
	Day  = 24 * Hour

	QuietKept = 50 * 60_000 // how long Redis keeps a breaker to which nothing ever happened, without a report
	QuietSet  = 10 * 60_000 // that time is set again after this

	SliceFor    = 30_000 // the roster counts replicas in slices of time of this length
	TooLate     = 10_000 // a report that was under way for longer is refused: with store.MaxResend it stays within a slice
	ConflictFor = 60_000 // a difference of policies is shown for this long after it was last reported

	HistoryKept    = 50           // entries of the history
	LabelsKept     = 32           // newest failures whose labels are counted
	LabelsShown    = 8            // labels that a snapshot lists
	WitnessesKept  = MaxReporters // replicas behind one kind of adverse outcomes
	WitnessesShown = 8            // replicas that an entry of the history lists

	Buckets      = 10     // parts of a window of time
	RateUnit     = 10_000 // rates are integers: this is 100 %
	MaxDoublings = 27     // of the open time by its backoff: the least open time, 1 ms, reaches the greatest, 24 h

	ResetBelow = 1 // in the place of a closed breaker's end of the open time: a reset below a forced mode closed it

	AskAgain  = 100 // after this time, and the spread, a claim that was refused for want of a place asks again at the latest
	MaxSpread = 50  // the spread is drawn from 0 to this

	// The upper bounds of a policy on which a script's time and memory depend. Package store checks a policy by the same.
	MaxWindowCalls = 10_000
	MaxReporters   = 16
	MaxProbes      = 1000
)
