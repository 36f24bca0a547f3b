// Package storetest is the conformance suite of package store: numbered laws that every store obeys, or is no store.
//
// A store's own test gives it a [Harness] and calls [Run]:
//
//	func TestConformance(t *testing.T) {
//		storetest.RunParallel(t, func(t testing.TB) storetest.Harness {
//			shared := newSharedState(t)
//			return storetest.Harness{
//				Open: func(t testing.TB, now func() time.Time) store.Store { return shared.open(now) },
//				Wipe: func(t testing.TB) { shared.forgetEverything() },
//			}
//		})
//	}
//
// The laws hold what docs/machine.md says line by line. Each is a subtest with a harness of its own, and says in one
// sentence what it holds; a law that is broken prints that sentence. The laws stand in files by topic; one law more runs each scenario of testdata, a dialogue in plain text
// with the answers that every store gives; the last ones run random histories through the store and through the pure
// state machine beside it, and print the shortest history on which the two differ as such a scenario.
//
// How many random histories these run is a matter of rapid's flags, such as -rapid.checks=10000; the default is 100, and
// 20 with -short.
package storetest

import (
	"fmt"
	"runtime/debug"
	"testing"
	"time"

	"github.com/commontrip/commontrip/store"
)

// Harness gives the suite access to one state of the store under test, empty at first.
type Harness struct {
	// Open gives another replica's handle on the same state. The store's clock is now, on every handle. The suite closes
	// what it opened. A store without handles may give the same value each time; laws about closing one of several then
	// have nothing to look at (InProcess gives handles to such a store).
	Open func(t testing.TB, now func() time.Time) store.Store
	// Wipe makes the store forget everything, as a FLUSHALL or a failover to an empty node would. Handles stay open, or,
	// if a store can only begin again, the next Open gives one on the new state.
	Wipe func(t testing.TB)

	// The rest may be nil. The laws that ask for it then have nothing to look at.

	// OpenReal gives a handle on the store's own clock, such as a server's, on this state or on another one.
	OpenReal func(t testing.TB) store.Store
	// Names is how many names take room in the state, those that nothing shows included.
	Names func(t testing.TB) int
	// Freeze lets a client of the store begin a request about a breaker and never go on, as a process does that was stopped. It
	// returns once the client holds what it holds in such a request. The suite waits 10 s for the store to get over it.
	Freeze func(t testing.TB, name string)
	// Cut ends the connections on which Watches stand, as a server does that starts again. Later ones work.
	Cut func(t testing.TB)
	// Silence makes the connections on which Watches stand carry nothing any more, without ending them. Later ones work. The
	// suite waits 10 s for the store to notice.
	Silence func(t testing.TB)
}

// Law is one thing that holds for every store.
type Law struct {
	Name  string // its number and what it says in short
	Why   string // the sentence that a store breaks when Check fails; Check logs it
	Check func(t testing.TB, h Harness)
}

// Run checks every law in a subtest named after it, each on a harness of its own.
func Run(t *testing.T, harness func(t testing.TB) Harness) {
	for _, law := range Laws() {
		t.Run(law.Name, func(t *testing.T) { law.Check(t, harness(t)) })
	}
}

// RunParallel is Run with laws side by side. Each harness must then have a state of its own.
func RunParallel(t *testing.T, harness func(t testing.TB) Harness) {
	for _, law := range Laws() {
		t.Run(law.Name, func(t *testing.T) {
			t.Parallel()
			law.Check(t, harness(t))
		})
	}
}

// Laws lists every law, by number. Numbers are stable: new laws are added at the end of their topic.
func Laws() []Law {
	var all []Law
	for i, topic := range [][]rule{
		timeRules, numberRules, repeatRules, repairRules, policyRules, outcomeRules, windowRules, judgingRules,
		quorumRules, openingRules, claimRules, settleRules, commandRules, endRules, tombstoneRules, readRules,
		contractRules, watchRules, concurrencyRules, scenarioRules(), propertyRules,
	} {
		for j, r := range topic {
			all = append(all, r.law(fmt.Sprintf("%d.%02d", i+1, j+1)))
		}
	}
	return all
}

// rule is a law as the files of this package write it down.
type rule struct {
	name  string
	why   string
	check func(f *fixture)
}

func (r rule) law(number string) Law {
	return Law{
		Name: number + " " + r.name,
		Why:  r.why,
		Check: func(t testing.TB, h Harness) {
			f := newFixture(t, h)
			defer func() {
				if r := recover(); r != nil { // such as an answer without the transition that a law goes on to look at
					t.Errorf("panic: %v\n%s", r, debug.Stack())
				}
				switch {
				case *f.cause != "":
					t.Logf("law %s could not be looked at: %s", number, *f.cause)
				case t.Failed():
					t.Logf("law %s is broken: %s", number, r.why)
				}
			}()
			r.check(f)
		},
	}
}
