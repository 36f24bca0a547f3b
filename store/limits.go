package store

import "time"

// The bounds of a request. They bound a script's time and a store's memory, whatever a replica sends.
const (
	MaxName    = 200                 // bytes of a breaker's, replica's or operator's name, of a note, of a claim's id
	MaxLabel   = 64                  // bytes of an error label
	MaxRuns    = 256                 // runs of a report
	MaxCount   = 1_000_000           // outcomes of a run
	MaxAdverse = 4096                // failures and slow calls of a report
	MaxNumber  = 1<<53 - 1           // a generation, rev, seq or total: what a double keeps exactly
	MaxFor     = 30 * 24 * time.Hour // how long a command may stand, unless until lifted
	MaxOpening = 1_000_000           // consecutive openings counted
	MaxResend  = 20 * time.Second    // for how long a report may be sent again: no store forgets its Seq before
)
