package storetest

import "github.com/commontrip/commontrip/store"

var numberRules = []rule{
	{
		"a new breaker is closed with zero numbers",
		"An absent machine is closed, generation 0, rev 0; making one is no transition.",
		func(f *fixture) {
			result := f.touch()
			truly(f, "making a machine is no transition", result.Made == nil)
			s := f.read()
			same(f, "state, generation, rev", []any{s.State, s.Generation, s.Rev}, []any{store.Closed, uint64(0), uint64(0)})
			same(f, "history", len(f.history()), 0)
		},
	},
	{
		"a generation is now, or one more than the last",
		"Generation becomes max(previous + 1, now in ms) at each transition.",
		func(f *fixture) {
			f.touch()
			now := f.clock.millis()
			same(f, "the first", f.do(store.Trip).Snapshot.Generation, now)
			same(f, "the next in the same millisecond", f.do(store.Reset).Snapshot.Generation, now+1)
			same(f, "and the next", f.do(store.Trip).Snapshot.Generation, now+2)
			f.after(hour)
			same(f, "an hour later", f.do(store.Reset).Snapshot.Generation, f.clock.millis())
		},
	},
	{
		"a rev is now, or one more than the last",
		"Rev becomes max(previous + 1, now in ms) at each command that leaves something standing, and at its end.",
		func(f *fixture) {
			f.touch()
			now := f.clock.millis()
			same(f, "force open", f.do(store.ForceOpen).Snapshot.Rev, now)
			same(f, "force closed", f.do(store.ForceClosed).Snapshot.Rev, now+1)
			same(f, "retune", f.retune(store.FleetPolicy(), 0).Snapshot.Rev, now+2)
			same(f, "restore", f.do(store.Restore).Snapshot.Rev, now+3)
			same(f, "lift", f.do(store.Lift).Snapshot.Rev, now+4)
		},
	},
	{
		"numbers grow through a step back",
		"Both numbers only grow, whatever the clock does.",
		func(f *fixture) {
			first := f.trip().Snapshot.Generation
			rev := f.do(store.ForceOpen).Snapshot.Rev
			f.after(-hour)
			truly(f, "the generation grew", f.do(store.Reset).Snapshot.Generation > first)
			truly(f, "the rev grew", f.do(store.Lift).Snapshot.Rev > rev)
		},
	},
	{
		"a store that forgot everything uses no number again",
		"Numbers start from the clock, so that a store which forgot everything cannot use one again.",
		func(f *fixture) {
			before := f.trip().Snapshot.Generation
			f.wipe()
			f.after(ms)
			truly(f, "the new trip's generation is greater", f.trip().Snapshot.Generation > before)
		},
	},
	{
		"only what leaves something standing grows the rev",
		"Rev grows at each command that leaves something standing, when that ends, and when an announced policy replaces the fleet's; a transition or a first policy does not grow it.",
		func(f *fixture) {
			r := f.report("a", failures(5))
			r.Announce = true
			f.send(r)
			f.do(store.Reset)
			f.do(store.Trip)
			f.do(store.Lift)
			f.do(store.Restore)
			same(f, "Rev", f.read().Rev, uint64(0))
		},
	},
	{
		"totals stop at what a double keeps",
		"Totals and roster counts stop at 2^53 - 1.",
		func(f *fixture) {
			for range 2 {
				r := f.report("a")
				r.Rejected = store.MaxNumber - 1
				f.send(r)
			}
			same(f, "Rejected", f.read().Totals.Rejected, uint64(store.MaxNumber))
		},
	},
}
