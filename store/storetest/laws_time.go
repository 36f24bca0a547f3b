package storetest

import (
	"time"

	"github.com/commontrip/commontrip/store"
)

var timeRules = []rule{
	{
		"deadlines are the store's clock's",
		"Only the store's clock decides: a state ages and an open time runs out by it.",
		func(w *world) {
			w.trip()
			w.after(20 * sec)
			s := w.read()
			same(w, "Age", s.Age, 20*sec)
			same(w, "RetryIn", s.RetryIn, 40*sec)
			same(w, "Since", s.Since.UnixMilli(), start.UnixMilli())
		},
	},
	{
		"time comes in whole milliseconds",
		"A script's now is integer milliseconds of the store's clock: a fraction is cut.",
		func(w *world) {
			w.after(900 * time.Microsecond)
			w.trip()
			w.after(300 * time.Microsecond)
			s := w.read()
			same(w, "Generation", s.Generation, uint64(start.UnixMilli()))
			same(w, "Age", s.Age, ms)
			same(w, "RetryIn", s.RetryIn, minute-ms)
		},
	},
	{
		"a step back lengthens no deadline",
		"The store's stepping back lengthens no deadline, but by the time in which no script ran.",
		func(w *world) {
			w.trip()
			w.after(-hour)
			w.touch()
			w.after(59_999 * ms)
			same(w, "RetryIn", w.read().RetryIn, ms)
			w.after(ms)
			w.lease("a")
		},
	},
	{
		"a step back costs what no script saw",
		"A clock that steps back is carried on from the last script: what passed since then does not count.",
		func(w *world) {
			w.trip()
			w.after(10 * sec)
			w.touch()
			w.after(10 * sec)
			w.after(-hour)
			same(w, "RetryIn", w.read().RetryIn, 50*sec)
		},
	},
	{
		"many steps back add up",
		"The offset of a clock that steps back twice is the sum of both, and a step forward takes it down again.",
		func(w *world) {
			w.trip()
			for range 3 {
				w.after(-hour)
				w.touch()
				w.after(10 * sec)
				w.touch()
			}
			same(w, "RetryIn after three steps back", w.read().RetryIn, 30*sec)
			w.after(3 * hour)
			same(w, "RetryIn after the step forward", w.read().RetryIn, time.Duration(0))
		},
	},
	{
		"a step forward ends deadlines early",
		"A step forward ends deadlines early, which is accepted; it stops nothing.",
		func(w *world) {
			w.trip()
			w.after(24 * hour)
			w.lease("a")
			w.wantState(store.HalfOpen)
		},
	},
	{
		"a lease survives a step back by no more than its time",
		"Leases end by machine time: a clock that steps back keeps no probe's place taken.",
		func(w *world) {
			w.policy.Probes = 1
			w.probe("a", 1)
			w.after(-hour)
			w.touch()
			w.after(30*sec - ms)
			same(w, "leases just before the end", len(w.claim("b", 1).Leases), 0)
			w.after(ms)
			w.lease("b")
		},
	},
	{
		"times of day are the clock's own",
		"What is shown as a time of day is less the offset: Since plus Age is now, whatever steps the clock took.",
		func(w *world) {
			w.trip()
			w.after(-hour)
			w.force(store.ForceOpen, 0)
			w.after(10 * sec)
			s, now := w.read(), w.clock.Now()
			same(w, "Since + Age", s.Since.Add(s.Age).UnixMilli(), now.UnixMilli())
			same(w, "the note's At", s.ModeNote.At.UnixMilli(), now.Add(-10*sec).UnixMilli())
			history := w.history()
			same(w, "the force's At", history[0].At.UnixMilli(), now.Add(-10*sec).UnixMilli())
			same(w, "the trip's At", history[1].At.UnixMilli(), s.Since.UnixMilli())
		},
	},
	{
		"reading moves no time",
		"Reads compute the same machine time as a script would and write neither it nor the offset.",
		func(w *world) {
			w.trip()
			w.after(30 * sec)
			w.everything()
			w.after(-30 * sec)
			same(w, "RetryIn", w.read().RetryIn, minute)
		},
	},
	{
		"each breaker has a time of its own",
		"Machine time is a breaker's: a step back costs a breaker without scripts more, and no other.",
		func(w *world) {
			w.trip()
			w.after(10 * sec)
			w.send(w.reportOn("other", "a"))
			w.after(-10 * sec)
			same(w, "RetryIn", w.read().RetryIn, minute)
		},
	},
	{
		"a script reads the clock once",
		"Each request is a script of its own with one reading of the store's clock: nothing in its answer is of another time.",
		func(w *world) {
			w.touch()
			w.clock.tick.Store(int64(hour))
			result := w.fail(5)
			w.clock.tick.Store(0)
			made, s := result.Made, result.Snapshot
			same(w, "Age, RetryIn", []time.Duration{s.Age, s.RetryIn}, []time.Duration{0, minute})
			same(w, "generation, Since, At", []int64{int64(s.Generation), s.Since.UnixMilli()}, []int64{made.At.UnixMilli(), made.At.UnixMilli()})
		},
	},
	{
		"a refused request moves no time",
		"A request that is refused stores nothing, the time of its script included.",
		func(w *world) {
			w.trip()
			w.after(10 * sec)
			bad := w.report("a")
			bad.Known.Generation = w.clock.millis() + uint64(2*day.Milliseconds())
			truly(w, "the report is refused", w.sync(bad).Err != nil)
			_, err := w.store.Command(w.ctx, store.Command{Name: tier, Action: store.Trip})
			truly(w, "the command is refused", err != nil)
			w.after(-10 * sec)
			same(w, "RetryIn", w.read().RetryIn, minute)
		},
	},
	{
		"every script carries time on",
		"Each report, claim, settlement and command stores its time, one that changes nothing else too: a later step back does not undo it.",
		func(w *world) {
			w.trip()
			for i, script := range w.idleScripts() {
				w.after(10 * sec)
				script()
				w.after(-10 * sec)
				same(w, "Age", w.read().Age, time.Duration(i+1)*10*sec)
				w.touch() // finds the step back
			}
		},
	},
}

// idleScripts change nothing in an open breaker, or in a tombstone, but its time.
func (w *world) idleScripts() []func() {
	return []func(){
		func() { w.touch() },
		func() { w.claim("a", 1) },
		func() { w.settle("a", store.Lease{Name: tier, ID: "nobody's"}, store.Failure) },
		func() { w.do(store.Lift) },
		func() { w.do(store.Restore) },
	}
}
