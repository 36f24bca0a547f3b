package breaker

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/commontrip/commontrip/store"
)

// hearing is a delivery with a listener that only gathers: it counts as running, so that nothing calls its function.
func hearing() (*delivery, *listener) {
	l := &listener{running: true}
	return &delivery{audience: &audience{"web-1", []*listener{l}}}, l
}

// heard gives the numbers of the transitions that were heard, as generation and rev.
func (l *listener) heard() (numbers [][2]uint64) {
	for _, e := range l.queue {
		numbers = append(numbers, [2]uint64{e.Transition.Generation, e.Transition.Rev})
	}
	return numbers
}

func (l *listener) kinds() (kinds []EventKind) {
	for _, e := range l.queue {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

// moves is the transition from the generation before to that one, at that rev.
func moves(generation, rev uint64) *store.Transition {
	return &store.Transition{
		Name: "tier", From: Closed, To: Open, Prev: generation - 1, Generation: generation, Rev: rev, Reason: ByFailureRate,
		Cause: "web-2", At: time.UnixMilli(int64(1000*generation + rev)),
	}
}

// answer is the news of a reply: the numbers after it, and what it made.
func answer(generation, rev uint64, made *store.Transition) news {
	return news{transition: made, after: told(generation, rev)}
}

func push(t *store.Transition) news {
	return news{transition: t, after: told(t.Generation, t.Rev), pushed: true}
}

func wantHeard(t *testing.T, l *listener, want ...[2]uint64) {
	t.Helper()
	if got := l.heard(); !slices.Equal(got, want) {
		t.Fatalf("heard were %v, want %v", got, want)
	}
}

func TestDeliveryBeginsWithTheFirstAnswer(t *testing.T) {
	d, l := hearing()
	d.observe("tier", 0, push(moves(3, 1)))
	d.observe("tier", 0, news{})
	d.miss()
	if d.began || d.gap {
		t.Fatal("a push begins it, or something is missed before it began")
	}
	d.observe("tier", 5, answer(5, 2, nil))
	if !d.began || d.gap {
		t.Fatal("an answer does not begin it")
	}
	wantHeard(t, l)
	d.observe("tier", 6, answer(6, 2, moves(6, 2)))
	wantHeard(t, l, [2]uint64{6, 2})
}

func TestTheFirstAnswerTellsOfTheTransitionThatItMade(t *testing.T) {
	d, l := hearing()
	d.observe("tier", 5, answer(5, 2, moves(5, 2)))
	wantHeard(t, l, [2]uint64{5, 2})
	other := moves(6, 2)
	other.Name = "other"
	d, l = hearing()
	d.observe("tier", 6, answer(6, 2, other))
	wantHeard(t, l)
}

// begun is a delivery that stands at generation 5, rev 2.
func begun() (*delivery, *listener) {
	d, l := hearing()
	d.observe("tier", 5, answer(5, 2, nil))
	return d, l
}

func TestATransitionIsDeliveredIfItIsTheNextOne(t *testing.T) {
	stranger := moves(6, 2)
	stranger.Name = "other"
	for name, row := range map[string]struct {
		news  news
		heard bool
		gap   bool
	}{
		"the next one, by an answer":              {answer(6, 2, moves(6, 2)), true, false},
		"the next one, by a push":                 {push(moves(6, 2)), true, false},
		"one that was delivered, by an answer":    {answer(5, 2, moves(5, 2)), false, false},
		"one that was delivered, by a push":       {push(moves(5, 2)), false, false},
		"an older one, by a push":                 {push(moves(4, 2)), false, false},
		"the one after the next, by an answer":    {answer(7, 2, moves(7, 2)), false, true},
		"the one after the next, by a push":       {push(moves(7, 2)), false, true},
		"one after a command, by an answer":       {answer(6, 3, moves(6, 3)), false, true},
		"a command, by a push":                    {push(moves(5, 3)), false, true},
		"another breaker's":                       {push(stranger), false, false},
		"none, and the generation is another one": {answer(6, 2, nil), false, true},
		"none, and the rev is another one":        {answer(5, 3, nil), false, true},
		"none, and nothing is new":                {answer(5, 2, nil), false, false},
		"the next one, and one after it":          {answer(7, 2, moves(6, 2)), true, true},
	} {
		d, l := begun()
		d.observe("tier", max(5, row.news.after.Generation), row.news)
		if heard := len(l.queue) == 1; heard != row.heard || d.gap != row.gap {
			t.Errorf("%s: heard %v, gap %v; want %v, %v", name, heard, d.gap, row.heard, row.gap)
		}
	}
}

func TestNothingIsDeliveredPastAGap(t *testing.T) {
	d, l := begun()
	d.miss()
	d.observe("tier", 6, push(moves(6, 2)))
	d.observe("tier", 6, answer(6, 2, moves(6, 2)))
	wantHeard(t, l)
	if !d.gap {
		t.Error("the gap is forgotten")
	}
}

func TestTheHistoryFillsAGapInOrder(t *testing.T) {
	d, l := begun()
	d.observe("tier", 8, push(moves(8, 3)))
	stranger := moves(7, 3)
	stranger.Name = "other"
	command := moves(7, 3)
	command.Prev, command.Action, command.From, command.To = 7, store.Retune, Closed, Closed
	history := []store.Transition{*moves(8, 3), *command, *stranger, *moves(7, 2), *moves(6, 2), *moves(5, 2), *moves(4, 1)}

	d.fill("tier", history[1:], store.Version{Generation: 7, Rev: 3}, store.Version{Generation: 8, Rev: 3})
	wantHeard(t, l, [2]uint64{6, 2}, [2]uint64{7, 2}, [2]uint64{7, 3})
	if !d.gap {
		t.Fatal("the gap is closed although the fleet state moved while the history was read")
	}
	d.fill("tier", history, store.Version{Generation: 8, Rev: 3}, store.Version{Generation: 8, Rev: 3})
	wantHeard(t, l, [2]uint64{6, 2}, [2]uint64{7, 2}, [2]uint64{7, 3}, [2]uint64{8, 3})
	if d.gap {
		t.Fatal("the gap stays although all was read")
	}
	if kinds := l.kinds(); !slices.Equal(kinds, []EventKind{Transitioned, Transitioned, Commanded, Transitioned}) {
		t.Errorf("heard were %v", kinds)
	}
	d.observe("tier", 9, push(moves(9, 3)))
	wantHeard(t, l, [2]uint64{6, 2}, [2]uint64{7, 2}, [2]uint64{7, 3}, [2]uint64{8, 3}, [2]uint64{9, 3})
}

// A history is short, and what is older than it stays unheard: then the next transition is heard all the same.
func TestAHistoryThatIsTooShortEndsTheGap(t *testing.T) {
	d, l := begun()
	d.observe("tier", 8, answer(8, 2, nil))
	d.fill("tier", nil, store.Version{Generation: 8, Rev: 2}, store.Version{Generation: 8, Rev: 2})
	d.observe("tier", 9, push(moves(9, 2)))
	wantHeard(t, l, [2]uint64{9, 2})
}

func TestARepairIsToldOnce(t *testing.T) {
	repair := moves(5, 2)
	repair.Reason, repair.From, repair.To = store.ByRepair, Open, Open
	d, l := begun()
	d.observe("tier", 5, push(repair))
	d.observe("tier", 5, push(repair))
	d.fill("tier", []store.Transition{*repair}, store.Version{Generation: 5, Rev: 2}, store.Version{Generation: 5, Rev: 2})
	if kinds := l.kinds(); !slices.Equal(kinds, []EventKind{Repaired}) {
		t.Fatalf("heard were %v, want one repair", kinds)
	}
	earlier, later := *repair, *repair
	earlier.At, later.At = repair.At.Add(-time.Millisecond), repair.At.Add(time.Millisecond)
	d.observe("tier", 5, push(&earlier))
	d.observe("tier", 5, push(&later))
	if kinds := l.kinds(); !slices.Equal(kinds, []EventKind{Repaired, Repaired}) {
		t.Fatalf("heard were %v, want the second repair and not one from before the first", kinds)
	}
	d.fill("tier", []store.Transition{*moves(5, 2)}, store.Version{Generation: 5, Rev: 2}, store.Version{Generation: 5, Rev: 2})
	old := *repair
	old.Generation, old.At = 4, repair.At.Add(time.Hour)
	d.observe("tier", 5, push(&old))
	if n := len(l.queue); n != 2 {
		t.Errorf("%d events were heard; want no repair of an older generation, and no other transition again", n)
	}
}

func TestARepairIsToldAgainAfterWhatWasKnownWasDropped(t *testing.T) {
	repair := moves(5, 2)
	repair.Reason, repair.From, repair.To = store.ByRepair, Open, Open
	d, l := begun()
	d.observe("tier", 5, push(repair))
	d.startAnew("tier", errAway)
	d.observe("tier", 5, answer(5, 2, nil))
	earlier := *repair // by a clock that was set right
	earlier.At = repair.At.Add(-time.Second)
	d.observe("tier", 5, push(&earlier))
	if kinds := l.kinds(); !slices.Equal(kinds, []EventKind{Repaired, Disowned, Repaired}) {
		t.Fatalf("heard were %v, want a repair before and one after", kinds)
	}
}

func TestAConflictOfPoliciesIsToldWhenItBegins(t *testing.T) {
	d, l := begun()
	say := func(conflict bool) {
		n := answer(5, 2, nil)
		n.after.PolicyConflict = conflict
		d.observe("tier", 5, n)
	}
	for _, conflict := range []bool{true, true, false, false, true} {
		say(conflict)
	}
	if kinds := l.kinds(); !slices.Equal(kinds, []EventKind{PolicyConflict, PolicyConflict}) {
		t.Errorf("heard were %v, want the begin of two conflicts", kinds)
	}
}

func TestEventsAreCountedByTheirClass(t *testing.T) {
	d, _ := begun()
	own := moves(6, 2)
	own.Cause = "web-1"
	d.observe("tier", 6, push(own))
	d.observe("tier", 7, push(moves(7, 2)))
	d.deliver("tier", Event{Kind: OwnTripped})
	for class, want := range map[EventClass]uint64{
		{Kind: Transitioned, Here: true, From: Closed, To: Open, Reason: ByFailureRate}: 1,
		{Kind: Transitioned, From: Closed, To: Open, Reason: ByFailureRate}:             1,
		{Kind: OwnTripped, Here: true}:                                                  1,
	} {
		if d.counts()[class] != want {
			t.Errorf("%+v is counted %d times in %v", class, d.counts()[class], d.counts())
		}
	}
}

// Answers and pushes may be lost, late, twice and out of order: whoever asks for the history if something is missed hears
// every transition once, in order.
func TestEveryTransitionIsHeardOnceAndInOrder(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 3))
		d, l := begun()
		const last = 40
		var want [][2]uint64
		var history, told []store.Transition // newest first; what may be told again
		rev := uint64(2)
		for generation := uint64(6); generation <= last; generation++ {
			if rng.IntN(5) == 0 {
				rev++ // a command came before, and is in no history of this test
			}
			next := *moves(generation, rev)
			want = append(want, [2]uint64{generation, rev})
			history, told = slices.Insert(history, 0, next), append(told, next)
			for range rng.IntN(3) {
				again := told[len(told)-1-rng.IntN(min(len(told), 4))]
				if rng.IntN(2) == 0 {
					d.observe("tier", generation, push(&again))
				} else {
					d.observe("tier", generation, answer(generation, rev, &again))
				}
			}
			if d.gap && rng.IntN(2) == 0 {
				now := store.Version{Generation: generation, Rev: rev}
				d.fill("tier", history, now, now)
			}
		}
		now := store.Version{Generation: last, Rev: rev}
		d.observe("tier", last, answer(last, rev, nil))
		if d.gap {
			d.fill("tier", history, now, now)
		}
		if got := l.heard(); !slices.Equal(got, want) || d.gap {
			t.Fatalf("seed %d: heard were\n%v, want\n%v; gap %v", seed, got, want, d.gap)
		}
	}
}
