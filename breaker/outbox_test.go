package breaker

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/commontrip/commontrip/store"
)

const stale = 3 * time.Second

// failures are n failures of generation 1 that ended at that time.
func failures(n int, up time.Duration) run {
	return run{generation: 1, at: at(up), since: up, count: n, outcome: Failure, label: "timeout"}
}

func successes(n int, up time.Duration) run {
	return run{generation: 1, at: at(up), since: up, count: n, outcome: Success}
}

// counts are those of runs, in order.
func counts(runs []run) (n []int) {
	for _, r := range runs {
		n = append(n, r.count)
	}
	return n
}

// waiting are the runs that wait.
func (o *outbox) waiting() []run {
	if o.kept == nil {
		return nil
	}
	return o.kept.runs
}

func TestEqualOutcomesWithinAMomentAreOneRun(t *testing.T) {
	for name, row := range map[string]struct {
		second run
		merged bool
	}{
		"an equal one":                    {failures(2, t0+time.Millisecond), true},
		"an equal one just in time":       {failures(2, t0+mergeIn-1), true},
		"an equal one too late":           {failures(2, t0+mergeIn), false},
		"another outcome":                 {run{generation: 1, at: at(t0), since: t0, count: 2, outcome: Ignored, label: "timeout"}, false},
		"a slow one":                      {run{generation: 1, at: at(t0), since: t0, count: 2, outcome: Failure, label: "timeout", slow: true}, false},
		"another label":                   {run{generation: 1, at: at(t0), since: t0, count: 2, outcome: Failure, label: "refused"}, false},
		"another generation":              {run{generation: 2, at: at(t0), since: t0, count: 2, outcome: Failure, label: "timeout"}, false},
		"as many as a run may hold":       {failures(store.MaxCount-1, t0), true},
		"one more than a run may hold":    {failures(store.MaxCount, t0), false},
		"a success in a row of failures":  {successes(2, t0), false},
		"an equal one that began earlier": {run{generation: 1, at: at(t0 + time.Millisecond), since: t0 - time.Hour, count: 2, outcome: Failure, label: "timeout"}, true},
	} {
		var o outbox
		o.append(failures(1, t0))
		o.append(row.second)
		want := []int{1, row.second.count}
		if row.merged {
			want = []int{1 + row.second.count}
		}
		if got := counts(o.waiting()); !slices.Equal(got, want) {
			t.Errorf("%s: the runs are %v long, want %v", name, got, want)
		}
		if last := o.waiting()[len(o.waiting())-1]; last.at != row.second.at || row.merged && last.since != t0 {
			t.Errorf("%s: the run lasts from %v to %v", name, last.since-t0, last.at.up-t0)
		}
		if o.pending() != 1+row.second.count || o.entered() != uint64(o.pending()) {
			t.Errorf("%s: %d outcomes wait of %d", name, o.pending(), o.entered())
		}
	}
}

func TestTheOldestEighthIsLostIfTooManyRunsWait(t *testing.T) {
	var o outbox
	for i := range maxRuns {
		o.append(failures(1, t0+time.Duration(i)*time.Second))
	}
	if _, lost := o.counted(); lost != 0 || o.waitingRuns() != maxRuns {
		t.Fatalf("%d runs wait and %d outcomes are lost; want %d and none", o.waitingRuns(), lost, maxRuns)
	}
	o.append(failures(1, t0+maxRuns*time.Second))
	if _, lost := o.counted(); lost != maxRuns/8 || o.waitingRuns() != maxRuns-maxRuns/8+1 {
		t.Errorf("%d runs wait and %d outcomes are lost", o.waitingRuns(), lost)
	}
	if first := o.waiting()[0]; first.since != t0+maxRuns/8*time.Second {
		t.Errorf("the first run that waits is of %v; want the oldest to be lost", first.since-t0)
	}
	if totals, _ := o.counted(); totals.Failures != maxRuns+1 {
		t.Errorf("%d failures are counted; want also those that are lost", totals.Failures)
	}
}

func TestAReportHoldsWhatAStoreTakes(t *testing.T) {
	other := failures(3, t0)
	other.generation = 2
	slow := successes(5, t0+time.Minute)
	slow.slow = true
	many := make([]run, store.MaxRuns+2)
	for i := range many {
		many[i] = successes(1, t0+time.Duration(i)*time.Second)
	}
	for name, row := range map[string]struct {
		waits        []run
		sent, remain []int
	}{
		"all if it fits":                        {[]run{successes(9, t0), failures(2, t0)}, []int{9, 2}, nil},
		"late ones of any generations":          {[]run{failures(2, t0), other}, []int{2, 3}, nil},
		"no more runs than a report may have":   {many, counts(many[:store.MaxRuns]), []int{1, 1}},
		"as many failures as a report may have": {[]run{failures(store.MaxAdverse, t0)}, []int{store.MaxAdverse}, nil},
		"a part of too many failures":           {[]run{failures(store.MaxAdverse+7, t0)}, []int{store.MaxAdverse}, []int{7}},
		"a part of a later run": {
			[]run{successes(3, t0), failures(store.MaxAdverse-1, t0), slow},
			[]int{3, store.MaxAdverse - 1, 1},
			[]int{4},
		},
		"nothing of a run for which there is no room": {[]run{failures(store.MaxAdverse, t0), slow}, []int{store.MaxAdverse}, []int{5}},
		"successes however many":                      {[]run{failures(1, t0), successes(store.MaxCount, t0)}, []int{1, store.MaxCount}, nil},
	} {
		var o outbox
		for _, r := range row.waits {
			o.append(r)
		}
		before := o.pending()
		f := o.next(at(t0), 7, 0, false, false)
		if got := counts(f.runs); !slices.Equal(got, row.sent) {
			t.Errorf("%s: runs of %v are sent, want %v", name, got, row.sent)
		}
		if got := counts(o.waiting()); !slices.Equal(got, row.remain) {
			t.Errorf("%s: runs of %v wait on, want %v", name, got, row.remain)
		}
		if f.generation != 1 || o.pending() != before {
			t.Errorf("%s: the report is of generation %d, and %d of %d outcomes are pending", name, f.generation, o.pending(), before)
		}
	}
}

// Late outcomes are many at once, when streams end. They must not hold up those of now, nor wait for ever.
func TestLateOutcomesAndThoseOfNowTakeTurns(t *testing.T) {
	var o outbox
	of := func(generation uint64, n int) run {
		r := failures(n, t0)
		r.generation = generation
		return r
	}
	for generation := range uint64(3) {
		o.append(of(1+generation, 1))
	}
	for turn := range 4 {
		o.append(of(7, 10+turn))
		o.append(of(2, 20+turn))
		f := o.next(at(t0), 7, 0, false, false)
		late := f.generation != 7
		for _, r := range f.runs {
			if late != (r.generation != 7) {
				t.Fatalf("turn %d: a report of generation %d holds %+v", turn, f.generation, r)
			}
		}
		if late != (turn%2 == 0) {
			t.Fatalf("turn %d is of generation %d", turn, f.generation)
		}
		o.acknowledge(f.seq)
	}
}

func TestAnEmptyReportIsMadeOnlyIfAskedFor(t *testing.T) {
	var o outbox
	if f := o.next(at(t0), 7, 0, false, false); f != nil || o.seq != 0 {
		t.Errorf("a report of nothing is made: %+v", f)
	}
	f := o.next(at(t0), 7, 5, true, false)
	if f == nil || f.generation != 7 || f.seq != 1 || f.rejected != 5 || len(f.runs) != 0 {
		t.Fatalf("the empty report is %+v; want one of the present generation with all refusals", f)
	}
	o.acknowledge(1)
	if f := o.next(at(t0), 7, 8, true, false); f.rejected != 3 || f.seq != 2 {
		t.Errorf("the next one has number %d and %d refusals; want 2 and those since", f.seq, f.rejected)
	}
}

func TestAReportThatIsSentAgainKeepsItsNumberAndWhatItHolds(t *testing.T) {
	var o outbox
	o.append(failures(2, t0))
	first := o.next(at(t0), 1, 4, false, false)
	o.append(failures(3, t0))
	again := o.next(at(t0+time.Second), 1, 9, false, false)
	if again != first || again.seq != 1 || !slices.Equal(counts(again.runs), []int{2}) || again.rejected != 4 || again.at != at(t0) {
		t.Errorf("sent again it is %+v", again)
	}
	o.acknowledge(first.seq)
	if next := o.next(at(t0+time.Second), 1, 9, false, false); next.seq != 2 || !slices.Equal(counts(next.runs), []int{3}) || next.rejected != 5 {
		t.Errorf("the next report is %+v", next)
	}
}

func TestAnAnswerToAnEarlierReportChangesNothing(t *testing.T) {
	var o outbox
	o.acknowledge(1) // of an outbox that sent nothing
	o.append(failures(2, t0))
	o.expire(at(t0+2*stale), stale) // given up, answered too late
	o.append(failures(3, t0+2*stale))
	first := o.next(at(t0+2*stale), 1, 0, false, false)
	o.acknowledge(first.seq - 1)
	o.acknowledge(first.seq + 1)
	if o.pending() != 3 || o.next(at(t0+2*stale), 1, 0, false, false) != first {
		t.Errorf("%d outcomes are pending, want 3 in the report in flight", o.pending())
	}
	o.acknowledge(first.seq)
	o.acknowledge(first.seq)
	if !o.done(5) || o.done(6) || o.pending() != 0 {
		t.Errorf("%d outcomes are pending; want none, and 5 to be done", o.pending())
	}
}

func TestWhatIsTooOldIsLost(t *testing.T) {
	for name, row := range map[string]struct {
		after time.Duration
		lost  uint64
	}{
		"as old as may be":                          {stale, 0},
		"the report in flight":                      {stale + 1, 1},
		"the report in flight alone":                {stale + time.Second, 1},
		"the first that waits":                      {stale + time.Second + 1, 1 + 2},
		"all":                                       {stale + 2*time.Second + 1, 1 + 2 + 4},
		"all, since the machine slept meanwhile":    {0, 1 + 2 + 4},
		"nothing, although the wall clock was late": {-time.Hour, 0},
	} {
		var o outbox
		o.append(failures(1, t0))
		o.next(at(t0), 1, 0, false, false)
		o.append(failures(2, t0+time.Second))
		o.append(successes(4, t0+2*time.Second))
		now := at(t0 + row.after)
		switch {
		case row.after == 0: // monotonic time stood still
			now.wall += time.Hour
		case row.after < 0:
			now.up = t0 + time.Second
		}
		o.expire(now, stale)
		if _, lost := o.counted(); lost != row.lost || o.pending() != int(7-row.lost) {
			t.Errorf("%s: %d outcomes are lost and %d pending; want %d lost", name, lost, o.pending(), row.lost)
		}
		if !o.done(row.lost) || o.done(row.lost+1) {
			t.Errorf("%s: what is lost is not done, or more is", name)
		}
	}
}

func TestAClosedOutboxCountsAndTakesNothing(t *testing.T) {
	var o outbox
	o.append(failures(1, t0))
	o.next(at(t0), 1, 0, false, false)
	o.append(failures(2, t0+time.Hour))
	o.append(failures(4, t0+2*time.Hour))
	o.expire(at(t0+time.Minute), stale) // one is lost before it is closed
	o.close()
	o.append(failures(8, t0+2*time.Hour))
	if totals, _ := o.counted(); totals.Calls != 15 || o.pending() != 6 || o.entered() != 7 {
		t.Fatalf("%d calls are counted, %d entered and %d are pending; want 15, 7 and 6", totals.Calls, o.entered(), o.pending())
	}
	o.expire(at(t0+time.Hour+time.Minute), stale) // two are lost since
	if lost := o.abandon(); lost != 6 {
		t.Errorf("%d outcomes were lost since it was closed; want 6", lost)
	}
	if _, lost := o.counted(); lost != 7 || o.pending() != 0 || !o.done(7) {
		t.Errorf("%d outcomes are lost and %d pending, want 7 and none", lost, o.pending())
	}
	var empty outbox
	empty.close()
	if lost := empty.abandon(); lost != 0 || !empty.closed {
		t.Errorf("an empty outbox lost %d", lost)
	}
}

func TestWhatIsNotCountedAsACallIsCountedApart(t *testing.T) {
	var o outbox
	o.append(run{outcome: Ignored, count: 3})
	o.append(run{outcome: Success, slow: true, count: 2})
	o.append(failures(1, t0))
	o.count(Failure, true, 4) // settled probes: counted here, reported by their settlement
	if totals, _ := o.counted(); totals != (store.Totals{Calls: 7, Failures: 5, Slow: 6, Ignored: 3}) || o.entered() != 6 {
		t.Errorf("%+v are counted and %d entered", totals, o.entered())
	}
}

func TestAnIdleOutboxKeepsNothing(t *testing.T) {
	var o outbox
	f := o.next(at(t0), 1, 0, true, false)
	o.acknowledge(f.seq)
	if o.kept != nil || o.seq != f.seq {
		t.Errorf("it keeps %+v; want its number alone", o.kept)
	}
	o.append(failures(1, t0))
	o.acknowledge(o.next(at(t0), 1, 0, false, false).seq)
	if o.kept == nil {
		t.Error("the totals of a breaker in use are forgotten")
	}
	var probed outbox
	probed.count(Success, false, 1)
	probed.acknowledge(probed.next(at(t0), 1, 0, true, false).seq)
	if probed.kept == nil {
		t.Error("the totals of a breaker whose only call was a probe are forgotten")
	}
}

// What entered has left, or is pending; what has left was answered, or is lost.
func TestNoOutcomeIsForgottenOrCountedTwice(t *testing.T) {
	for seed := range uint64(200) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			var o outbox
			var entered, answered, lost, refused, told uint64
			var inFlight *inFlight
			now := at(t0)
			closed := false
			generation := uint64(1)
			for range 400 {
				now.up += time.Duration(rng.Int64N(int64(200 * time.Millisecond)))
				now.wall = now.up
				switch rng.IntN(12) {
				default:
					r := run{generation: generation, at: now, since: now.up, count: 1, outcome: Outcome(1 + rng.IntN(3)), slow: rng.IntN(4) == 0}
					if rng.IntN(8) == 0 {
						r.count = 1 + rng.IntN(2*store.MaxAdverse)
					}
					o.append(r)
					if !closed {
						entered += uint64(r.count)
					}
				case 0:
					generation++
				case 1, 2:
					refused += rng.Uint64N(5)
					f := o.next(now, generation, refused, rng.IntN(2) == 0, false)
					if f == nil {
						continue
					}
					if inFlight != nil && f != inFlight {
						t.Fatalf("report %d is sent before %d was answered", f.seq, inFlight.seq)
					}
					if inFlight == nil {
						told += f.rejected
					}
					inFlight = f
					wantPermitted(t, f, generation)
				case 3:
					if inFlight != nil {
						answered += inFlight.outcomes()
						o.acknowledge(inFlight.seq)
						inFlight = nil
					}
				case 4:
					if o.seq > 1 {
						o.acknowledge(1 + rng.Uint64N(o.seq-1))
					}
				case 5:
					if rng.IntN(4) == 0 {
						o.expire(now, stale)
						if o.kept != nil && o.kept.inFlight == nil {
							inFlight = nil
						}
					}
				case 6:
					if rng.IntN(100) == 0 {
						o.close()
						closed = true
					}
				}
				_, lost = o.counted()
				left := answered + lost
				if o.entered() != entered || entered != left+uint64(o.pending()) || !o.done(left) || entered > 0 && o.done(left+1) {
					t.Fatalf("%d entered, %d were answered, %d are lost, %d are pending", entered, answered, lost, o.pending())
				}
			}
			if told > refused {
				t.Fatalf("%d refusals were told of %d", told, refused)
			}
			o.abandon()
			if _, lost = o.counted(); entered != answered+lost || o.pending() != 0 {
				t.Fatalf("after the end: %d entered, %d were answered, %d are lost, %d are pending", entered, answered, lost, o.pending())
			}
		})
	}
}

// wantPermitted fails unless a store takes the report.
func wantPermitted(t *testing.T, f *inFlight, present uint64) {
	t.Helper()
	adverse := 0
	for _, r := range f.runs {
		if r.outcome == Failure || r.slow {
			adverse += r.count
		}
		late := f.generation != present && r.generation != present
		if r.generation != f.generation && !late || r.count < 1 || r.count > store.MaxCount {
			t.Fatalf("a report of generation %d holds %+v", f.generation, r)
		}
	}
	if adverse > store.MaxAdverse || len(f.runs) > store.MaxRuns {
		t.Fatalf("a report holds %d runs and %d failures and slow successes", len(f.runs), adverse)
	}
}
