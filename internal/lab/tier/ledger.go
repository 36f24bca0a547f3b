package tier

import (
	"slices"
	"time"
)

// Call is one call that reached the tier.
type Call struct {
	Caller
	Start, End time.Time // End is zero while it runs
	Failed     bool
}

// Ledger is calls that reached the tier.
type Ledger []Call

// Where gives the calls of which keep is true.
func (l Ledger) Where(keep func(Call) bool) Ledger {
	var kept Ledger
	for _, c := range l {
		if keep(c) {
			kept = append(kept, c)
		}
	}
	return kept
}

// Probes gives the calls that were probes.
func (l Ledger) Probes() Ledger { return l.Where(func(c Call) bool { return c.Probe }) }

// Failed gives the calls that the tier failed.
func (l Ledger) Failed() Ledger { return l.Where(func(c Call) bool { return c.Failed }) }

// Of gives the calls of one replica.
func (l Ledger) Of(replica string) Ledger {
	return l.Where(func(c Call) bool { return c.Replica == replica })
}

// Since gives the calls that started at that time or later.
func (l Ledger) Since(at time.Time) Ledger {
	return l.Where(func(c Call) bool { return !c.Start.Before(at) })
}

// MostAtOnce is the greatest number of calls that ran at one time. Of two at the same time an end comes before a start.
func (l Ledger) MostAtOnce() int {
	type edge struct {
		at   time.Time
		step int
	}
	var edges []edge
	for _, c := range l {
		edges = append(edges, edge{c.Start, 1})
		if !c.End.IsZero() {
			edges = append(edges, edge{c.End, -1})
		}
	}
	slices.SortFunc(edges, func(a, b edge) int {
		if order := a.at.Compare(b.at); order != 0 {
			return order
		}
		return a.step - b.step
	})
	running, most := 0, 0
	for _, e := range edges {
		running += e.step
		most = max(most, running)
	}
	return most
}
