package storetest

import "github.com/commontrip/commontrip/store"

var numberRules = []rule{
	{
		"a new breaker is closed with zero numbers",
		"An absent machine is closed, generation 0, rev 0; making one is no transition.",
		func(w *world) {
			result := w.touch()
			truly(w, "making a machine is no transition", result.Made == nil)
			s := w.read()
			same(w, "state, generation, rev", []any{s.State, s.Generation, s.Rev}, []any{store.Closed, uint64(0), uint64(0)})
			same(w, "history", len(w.history()), 0)
		},
	},
	{
		"a generation is now, or one more than the last",
		"Generation becomes max(previous + 1, now in ms) at each transition.",
		func(w *world) {
			w.touch()
			now := w.clock.millis()
			same(w, "the first", w.do(store.Trip).Snapshot.Generation, now)
			same(w, "the next in the same millisecond", w.do(store.Reset).Snapshot.Generation, now+1)
			same(w, "and the next", w.do(store.Trip).Snapshot.Generation, now+2)
			w.after(hour)
			same(w, "an hour later", w.do(store.Reset).Snapshot.Generation, w.clock.millis())
		},
	},
	{
		"a rev is now, or one more than the last",
		"Rev becomes max(previous + 1, now in ms) at each command that leaves something standing, and at its end.",
		func(w *world) {
			w.touch()
			now := w.clock.millis()
			same(w, "force open", w.do(store.ForceOpen).Snapshot.Rev, now)
			same(w, "force closed", w.do(store.ForceClosed).Snapshot.Rev, now+1)
			same(w, "retune", w.retune(store.FleetPolicy(), 0).Snapshot.Rev, now+2)
			same(w, "restore", w.do(store.Restore).Snapshot.Rev, now+3)
			same(w, "lift", w.do(store.Lift).Snapshot.Rev, now+4)
		},
	},
	{
		"numbers grow through a step back",
		"Both numbers only grow, whatever the clock does.",
		func(w *world) {
			first := w.trip().Snapshot.Generation
			rev := w.do(store.ForceOpen).Snapshot.Rev
			w.after(-hour)
			truly(w, "the generation grew", w.do(store.Reset).Snapshot.Generation > first)
			truly(w, "the rev grew", w.do(store.Lift).Snapshot.Rev > rev)
		},
	},
	{
		"a store that forgot everything uses no number again",
		"Numbers start from the clock, so that a store which forgot everything cannot use one again.",
		func(w *world) {
			before := w.trip().Snapshot.Generation
			w.wipe()
			w.after(ms)
			truly(w, "the new trip's generation is greater", w.trip().Snapshot.Generation > before)
		},
	},
	{
		"only what leaves something standing grows the rev",
		"Rev grows at each command that leaves something standing, when that ends, and when an announced policy replaces the fleet's; a transition or a first policy does not grow it.",
		func(w *world) {
			r := w.report("a", failures(5))
			r.Announce = true
			w.send(r)
			w.do(store.Reset)
			w.do(store.Trip)
			w.do(store.Lift)
			w.do(store.Restore)
			same(w, "Rev", w.read().Rev, uint64(0))
		},
	},
	{
		"totals stop at what a double keeps",
		"Totals and roster counts stop at 2^53 - 1.",
		func(w *world) {
			for range 2 {
				r := w.report("a")
				r.Rejected = store.MaxNumber - 1
				w.send(r)
			}
			same(w, "Rejected", w.read().Totals.Rejected, uint64(store.MaxNumber))
		},
	},
}
