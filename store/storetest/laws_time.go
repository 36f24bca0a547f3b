package storetest

import (
	"fmt"
	"sync"
	"time"

	"github.com/commontrip/commontrip/store"
)

var timeRules = []rule{
	{
		"deadlines are the store's clock's",
		"Only the store's clock decides: a state ages and an open time runs out by it.",
		func(f *fixture) {
			f.trip()
			f.after(20 * sec)
			s := f.read()
			same(f, "Age", s.Age, 20*sec)
			same(f, "RetryIn", s.RetryIn, 40*sec)
			same(f, "Since", s.Since.UnixMilli(), start.UnixMilli())
		},
	},
	{
		"time comes in whole milliseconds",
		"A script's now is integer milliseconds of the store's clock: a fraction is cut.",
		func(f *fixture) {
			f.after(900 * time.Microsecond)
			f.trip()
			f.after(300 * time.Microsecond)
			s := f.read()
			same(f, "Generation", s.Generation, uint64(start.UnixMilli()))
			same(f, "Age", s.Age, ms)
			same(f, "RetryIn", s.RetryIn, minute-ms)
		},
	},
	{
		"a step back lengthens no deadline",
		"The store's stepping back lengthens no deadline, but by the time in which no script ran.",
		func(f *fixture) {
			f.trip()
			f.after(-hour)
			f.touch()
			f.after(59_999 * ms)
			same(f, "RetryIn", f.read().RetryIn, ms)
			f.after(ms)
			f.lease("a")
		},
	},
	{
		"a step back costs what no script saw",
		"A clock that steps back is carried on from the last script: what passed since then does not count.",
		func(f *fixture) {
			f.trip()
			f.after(10 * sec)
			f.touch()
			f.after(10 * sec)
			f.after(-hour)
			same(f, "RetryIn", f.read().RetryIn, 50*sec)
		},
	},
	{
		"many steps back add up",
		"The offset of a clock that steps back twice is the sum of both, and a step forward takes it down again.",
		func(f *fixture) {
			f.trip()
			for range 3 {
				f.after(-hour)
				f.touch()
				f.after(10 * sec)
				f.touch()
			}
			same(f, "RetryIn after three steps back", f.read().RetryIn, 30*sec)
			f.after(3 * hour)
			same(f, "RetryIn after the step forward", f.read().RetryIn, time.Duration(0))
		},
	},
	{
		"a step forward ends deadlines early",
		"A step forward ends deadlines early, which is accepted; it stops nothing.",
		func(f *fixture) {
			f.trip()
			f.after(24 * hour)
			f.lease("a")
			f.wantState(store.HalfOpen)
		},
	},
	{
		"a lease survives a step back by no more than its time",
		"Leases end by machine time: a clock that steps back keeps no probe's place taken.",
		func(f *fixture) {
			f.policy.Probes = 1
			f.probe("a", 1)
			f.after(-hour)
			f.touch()
			f.after(30*sec - ms)
			same(f, "leases just before the end", len(f.claim("b", 1).Leases), 0)
			f.after(ms)
			f.lease("b")
		},
	},
	{
		"times of day are the clock's own",
		"What is shown as a time of day is less the offset: Since plus Age is now, whatever steps the clock took.",
		func(f *fixture) {
			f.trip()
			f.after(-hour)
			f.force(store.ForceOpen, 0)
			f.after(10 * sec)
			s, now := f.read(), f.clock.Now()
			same(f, "Since + Age", s.Since.Add(s.Age).UnixMilli(), now.UnixMilli())
			same(f, "the note's At", s.ModeNote.At.UnixMilli(), now.Add(-10*sec).UnixMilli())
			history := f.history()
			same(f, "the force's At", history[0].At.UnixMilli(), now.Add(-10*sec).UnixMilli())
			same(f, "the trip's At", history[1].At.UnixMilli(), s.Since.UnixMilli())
		},
	},
	{
		"reading moves no time",
		"Reads compute the same machine time as a script would and write neither it nor the offset.",
		func(f *fixture) {
			f.trip()
			f.after(30 * sec)
			f.everything()
			f.after(-30 * sec)
			same(f, "RetryIn", f.read().RetryIn, minute)
		},
	},
	{
		"each breaker has a time of its own",
		"Machine time is a breaker's: a step back costs a breaker without scripts more, and no other.",
		func(f *fixture) {
			f.trip()
			f.after(10 * sec)
			f.send(f.reportOn("other", "a"))
			f.after(-10 * sec)
			same(f, "RetryIn", f.read().RetryIn, minute)
		},
	},
	{
		"a script reads the clock once",
		"Each request is a script of its own with one reading of the store's clock: nothing in its answer is of another time.",
		func(f *fixture) {
			f.touch()
			f.clock.tick.Store(int64(hour))
			result := f.fail(5)
			f.clock.tick.Store(0)
			made, s := result.Made, result.Snapshot
			same(f, "Age, RetryIn", []time.Duration{s.Age, s.RetryIn}, []time.Duration{0, minute})
			same(f, "generation, Since, At", []int64{int64(s.Generation), s.Since.UnixMilli()}, []int64{made.At.UnixMilli(), made.At.UnixMilli()})
		},
	},
	{
		"a refused request moves no time",
		"A request that is refused stores nothing, the time of its script included.",
		func(f *fixture) {
			f.trip()
			f.after(10 * sec)
			bad := f.report("a")
			bad.Known.Generation = f.clock.millis() + uint64(2*day.Milliseconds())
			truly(f, "the report is refused", f.sync(bad).Err != nil)
			_, err := f.store.Command(f.ctx, store.Command{Name: tier, Action: store.Trip})
			truly(f, "the command is refused", err != nil)
			f.after(-10 * sec)
			same(f, "RetryIn", f.read().RetryIn, minute)
		},
	},
	{
		"every script carries time on",
		"Each report, claim, settlement and command stores its time, one that changes nothing else too: a later step back does not undo it.",
		func(f *fixture) {
			f.trip()
			for i, script := range f.idleScripts() {
				f.after(10 * sec)
				script()
				f.after(-10 * sec)
				same(f, "Age", f.read().Age, time.Duration(i+1)*10*sec)
				f.touch() // finds the step back
			}
		},
	},
	{
		"a snapshot tells the store's clock",
		"Since and Age of a snapshot are the store's clock when it was given, steps of the clock or not.",
		func(f *fixture) {
			told := func(what string, s store.Snapshot) {
				same(f, "the clock by "+what, s.Clock().UnixMilli(), int64(f.clock.millis()))
			}
			told("a first report", f.touch().Snapshot)
			for _, step := range []time.Duration{sec, -hour, 5 * ms} {
				f.after(step)
				told("a read", f.read())
				told("a report", f.touch().Snapshot)
				f.after(ms)
				told("a command", f.do(store.Trip).Snapshot)
				f.after(ms)
				told("a claim", f.claim("a", 1).Snapshot)
				told("a settlement", f.settle("a", store.Lease{Name: tier, ID: "none"}, store.Success).Snapshot)
			}
			f.remove()
			f.after(sec)
			told("a tombstone", f.touch().Snapshot)
		},
	},
	{
		"the store's own clock goes as time goes",
		"A store reads its own clock when nothing can come between any more: however many replicas report at once, an open time takes its time.",
		func(f *fixture) {
			if f.h.OpenReal == nil {
				return
			}
			s := f.h.OpenReal(f.TB)
			f.Cleanup(func() { _ = s.Close() })
			own := f.on(s)
			own.policy.OpenFor, own.policy.OpenForMax = hour, hour
			sent := time.Now()
			own.trip()
			answered := time.Now()
			own.crowd(func() bool { return time.Since(answered) >= 300*ms })
			asked := time.Now()
			snapshot := own.read()
			least, most := asked.Sub(answered), time.Since(sent)
			slack := 20*ms + most/10 // two clocks may go a little differently
			truly(f, fmt.Sprintf("after %v to %v the breaker is open for that long (%v)", least, most, snapshot.Age),
				snapshot.Age >= least-slack && snapshot.Age <= most+slack)
			truly(f, fmt.Sprintf("what is left of an hour is the rest (%v)", snapshot.RetryIn),
				snapshot.RetryIn >= hour-most-slack && snapshot.RetryIn <= hour-least+slack)
			truly(f, fmt.Sprintf("the clock is set (%v)", snapshot.Clock()), snapshot.Clock().After(start.AddDate(-3, 0, 0)))
		},
	},
}

// crowd lets 16 replicas report on the tier at once, again and again until it has been enough.
func (f *fixture) crowd(enough func() bool) {
	f.Helper()
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			r := store.Report{Name: tier, Policy: f.policy, Replica: fmt.Sprintf("r%d", i), MaxAge: maxAge, Runs: []store.Run{successes(1)}}
			for n := 0; n < 3 || !enough(); n++ {
				r.Seq++
				if err := f.store.Sync(f.ctx, []store.Report{r})[0].Err; err != nil {
					f.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// idleScripts change nothing in an open breaker, or in a tombstone, but its time.
func (f *fixture) idleScripts() []func() {
	return []func(){
		func() { f.touch() },
		func() { f.claim("a", 1) },
		func() { f.settle("a", store.Lease{Name: tier, ID: "nobody's"}, store.Failure) },
		func() { f.do(store.Lift) },
		func() { f.do(store.Restore) },
	}
}
