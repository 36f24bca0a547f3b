package breaker

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// testLane is a lane of a remote store with n members that have no breaker.
type testLane struct {
	*lane
	woken int

	turning sync.Mutex
	turns   []turn
}

func laneOf(n int) *testLane {
	l := &testLane{}
	l.lane = &lane{
		timing: Timing{}.WithDefaults(), remote: true, salt: 12345, stats: &exchangeStats{observe: func(time.Duration) {}}, waiters: map[*member][]chan struct{}{},
		wake: func() { l.woken++ }, turned: func(_ *lane, t turn) {
			l.turning.Lock()
			defer l.turning.Unlock()
			l.turns = append(l.turns, t)
		},
	}
	for range n {
		l.join(&member{lane: l.lane, breaker: &coordinator{}})
	}
	return l
}

// inLane runs a test of a lane of n members in virtual time. The first plan, which compares all that is idle, lies behind it.
func inLane(t *testing.T, n int, f func(t *testing.T, l *testLane)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := laneOf(n)
		defer l.close()
		w, _ := l.plan(uptime())
		if w.start {
			l.sent(now())
			l.finish(&w)
		}
		f(t, l)
	})
}

// planned is what is due now.
func (l *testLane) planned() work {
	w, _ := l.plan(uptime())
	return w
}

// answer carries out work with a store that answers at once.
func (l *testLane) answer(w work) {
	l.sent(now())
	l.ended(now(), nil)
	l.finish(&w)
}

var errAway = errors.New("connection refused")

func closedNow(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

func TestAReportIsDueAtTheNextFlush(t *testing.T) {
	inLane(t, 3, func(t *testing.T, l *testLane) {
		first, second := l.members[0], l.members[1]
		first.flushSoon()
		if w := l.planned(); len(w.syncs) != 0 {
			t.Fatal("it is sent before its flush")
		}
		time.Sleep(l.timing.FlushInterval / 2)
		second.flushSoon()
		if first.due > uptime() && first.due != second.due {
			t.Error("two breakers of one replica do not share a flush")
		}
		if wait := second.due - uptime(); wait <= 0 || wait > l.timing.FlushInterval {
			t.Errorf("it waits %v, want up to a FlushInterval", wait)
		}
		time.Sleep(l.timing.FlushInterval)
		w := l.planned()
		if !w.start || !slices.Contains(w.syncs, first) || !slices.Contains(w.syncs, second) || len(w.reads) != 0 {
			t.Errorf("%d reports are sent", len(w.syncs))
		}
		if again := l.planned(); again.start {
			t.Error("they are sent twice")
		}
	})
}

func TestThePlanSaysWhenToLookAgain(t *testing.T) {
	inLane(t, 1, func(t *testing.T, l *testLane) {
		m := l.members[0]
		m.flushSoon()
		if _, next := l.plan(uptime()); next != m.due {
			t.Errorf("it says in %v, want when the report is due, in %v", next-uptime(), m.due-uptime())
		}
	})
}

func TestReplicasFlushOutOfPhase(t *testing.T) {
	phases := map[time.Duration]bool{}
	for salt := range uint64(50) {
		l := laneOf(1)
		l.salt = salt * 0x9E3779B97F4A7C15
		next := l.nextFlush(l.members[0], t0)
		if wait := next - t0; wait <= 0 || wait > l.timing.FlushInterval {
			t.Fatalf("the next flush is in %v", wait)
		}
		if after := l.nextFlush(l.members[0], next); after != next+l.timing.FlushInterval {
			t.Fatalf("the flush after the next is %v later", after-next)
		}
		phases[next] = true
	}
	if len(phases) < 40 {
		t.Errorf("50 replicas have %d phases", len(phases))
	}
}

func TestOneExchangeALaneIsInFlight(t *testing.T) {
	inLane(t, 2, func(t *testing.T, l *testLane) {
		l.members[0].syncNow()
		w := l.planned()
		if !w.start || len(w.syncs) != 1 {
			t.Fatalf("%d reports are sent, want one", len(w.syncs))
		}
		done := l.members[1].requestSync()
		if second := l.planned(); second.start {
			t.Fatal("a second exchange is started")
		}
		l.answer(w)
		if closedNow(done) {
			t.Fatal("the second one counts as exchanged")
		}
		w = l.planned()
		if len(w.syncs) != 1 || w.syncs[0] != l.members[1] {
			t.Fatalf("after the end %d reports are sent, want the second", len(w.syncs))
		}
		woken := l.woken
		l.answer(w)
		if !closedNow(done) || l.woken == woken {
			t.Error("the caller that waits for the exchange, or the reporter, is not told of its end")
		}
	})
}

func TestAnExchangeHasABound(t *testing.T) {
	inLane(t, batch+1, func(t *testing.T, l *testLane) {
		for _, m := range l.members {
			m.syncNow()
		}
		w := l.planned()
		if len(w.syncs) != batch {
			t.Fatalf("%d reports are sent at once, want %d", len(w.syncs), batch)
		}
		l.answer(w)
		if w = l.planned(); len(w.syncs) != 1 {
			t.Errorf("then %d are sent, want the one that is left", len(w.syncs))
		}
	})
}

func TestAnExchangeBringsFewHistories(t *testing.T) {
	inLane(t, 2*histories+1, func(t *testing.T, l *testLane) {
		for _, m := range l.members {
			m.syncNow()
			m.requestHistory(0)
		}
		w := l.planned()
		if len(w.syncs) != len(l.members) || len(w.histories) != histories {
			t.Fatalf("%d reports and %d histories; want all reports, and %d histories", len(w.syncs), len(w.histories), histories)
		}
		seen := w.histories
		for range 2 {
			l.answer(w)
			w = l.planned()
			if len(w.syncs) != 0 {
				t.Errorf("%d reports are sent again", len(w.syncs))
			}
			seen = append(seen, w.histories...)
		}
		if len(seen) != len(l.members) || len(w.histories) != 1 {
			t.Errorf("%d histories were brought, want one of each of %d", len(seen), len(l.members))
		}
	})
}

func TestAReportIsAComparisonToo(t *testing.T) {
	inLane(t, 1, func(t *testing.T, l *testLane) {
		l.compareAll()
		l.members[0].syncNow()
		if w := l.planned(); len(w.syncs) != 1 || len(w.reads) != 0 {
			t.Errorf("%d reports and %d comparisons", len(w.syncs), len(w.reads))
		}
	})
}

func TestAfterAFailedExchangeTheLaneWaits(t *testing.T) {
	inLane(t, 1, func(t *testing.T, l *testLane) {
		m := l.members[0]
		for fails := 1; fails <= 20; fails++ {
			m.syncNow()
			w := l.planned()
			if !w.start {
				t.Fatalf("after %d failures the report is not sent again", fails-1)
			}
			l.sent(now())
			l.ended(now(), errAway)
			l.finish(&w)
			wait := l.notBefore - uptime()
			most := min(l.timing.FlushInterval<<fails, l.timing.exchange())
			if wait < time.Millisecond || wait > most+time.Millisecond || l.fails != fails {
				t.Fatalf("after %d failures the lane waits %v, want up to %v", fails, wait, most)
			}
			m.syncNow()
			l.refreshAt, l.collectAt = uptime()+time.Hour, uptime()+time.Hour // nothing else is due before
			if w, next := l.plan(uptime()); w.start || next != l.notBefore {
				t.Fatalf("after %d failures an exchange begins at once, or the lane looks again in %v and not in %v", fails, next-uptime(), wait)
			}
			time.Sleep(wait)
		}
		w := l.planned()
		l.answer(w)
		m.syncNow()
		if l.fails != 0 || !l.planned().start {
			t.Error("after an answer the lane waits on")
		}
	})
}

func TestWhatCannotBeSentGetsItsAges(t *testing.T) {
	inLane(t, 2, func(t *testing.T, l *testLane) {
		l.members[0].syncNow()
		l.planned() // in flight from now on
		l.members[1].flushSoon()
		time.Sleep(2 * l.timing.FlushInterval)
		w, next := l.plan(uptime())
		if !slices.Equal(w.collects, l.members[1:]) || w.start {
			t.Fatalf("%d members are collected, want the one that waits", len(w.collects))
		}
		if next > uptime()+l.timing.FlushInterval {
			t.Error("the lane looks again too late")
		}
		if again := l.planned(); len(again.collects) != 0 {
			t.Error("it is collected again before the next flush")
		}
		time.Sleep(l.timing.FlushInterval)
		if again := l.planned(); len(again.collects) != 1 {
			t.Error("at the next flush it is not collected again")
		}
	})
}

func TestAMemberWhoseReportFailedWaitsForItsTurnEvenIfItAsks(t *testing.T) {
	inLane(t, 2, func(t *testing.T, l *testLane) {
		m := l.members[0]
		m.retry(true)
		due := m.due
		if due <= uptime() || due > uptime()+l.timing.exchange()+time.Millisecond {
			t.Fatalf("it is sent again in %v", due-uptime())
		}
		m.syncNow()
		m.flushSoon()
		m.requestHistory(0)
		if m.due != due {
			t.Errorf("a request moves it from %v to %v from now", due-uptime(), m.due-uptime())
		}
		if l.members[1].syncNow(); len(l.planned().syncs) != 1 {
			t.Error("another member is held up with it, or it is not held up itself")
		}
		time.Sleep(due - uptime())
		l.finish(&work{})
		if w := l.planned(); !slices.Equal(w.syncs, []*member{m}) {
			t.Fatal("it is not sent when its turn has come")
		}
		m.reported(0, false, false)
		m.flushSoon()
		m.syncNow()
		if m.due > uptime() {
			t.Error("after an answer it still waits for its turn")
		}
	})
}

func TestAMemberIsSentAgainAtOnceIfTheWholeExchangeFailed(t *testing.T) {
	inLane(t, 1, func(t *testing.T, l *testLane) {
		m := l.members[0]
		m.retry(false)
		if m.due > uptime() || m.retries != 0 {
			t.Errorf("it waits %v beside the lane's own pause", m.due-uptime())
		}
	})
}

func TestTheStoresPatienceIsObeyedWithinBounds(t *testing.T) {
	l := laneOf(1)
	m := l.members[0]
	for again, want := range map[time.Duration]time.Duration{
		-time.Hour: l.timing.FlushInterval, 0: l.timing.FlushInterval, time.Millisecond: l.timing.FlushInterval,
		200 * time.Millisecond: 200 * time.Millisecond, time.Hour: l.timing.exchange(),
	} {
		m.reported(again, false, false)
		if got := l.wait(m); got != want {
			t.Errorf("asked to wait %v it waits %v, want %v", again, got, want)
		}
	}
	m.reported(time.Hour, false, false)
	for stale, want := range map[time.Duration]time.Duration{time.Minute: time.Second, 600 * time.Millisecond: 200 * time.Millisecond} {
		l.timing.StaleAfter = stale // an outcome that waits for longer than a third of it may be too old when it is sent
		if got := l.wait(m); got != want {
			t.Errorf("if outcomes are too old after %v it waits %v, want %v", stale, got, want)
		}
	}
	l.remote = false
	if got := l.wait(m); got != l.timing.RefreshInterval {
		t.Errorf("on a local store it waits %v", got)
	}
}

func TestAnAnswerSaysWhatIsWantedNext(t *testing.T) {
	inLane(t, 1, func(t *testing.T, l *testLane) {
		m := l.members[0]
		m.reported(0, false, false)
		if m.queued {
			t.Fatal("it wants something although nothing waits or is missed")
		}
		m.reported(0, true, false)
		if !m.queued || !m.wantSync || m.wantHistory || m.due <= uptime() {
			t.Fatal("what waits is not reported with the next flush")
		}
		m.reported(0, false, true)
		if !m.wantHistory || m.due > uptime() {
			t.Error("what is missed is not asked for at once")
		}
	})
}

func TestAMemberWithoutCallsSleeps(t *testing.T) {
	inLane(t, 1, func(t *testing.T, l *testLane) {
		m := l.members[0]
		m.useNow()
		l.answer(l.planned())
		slept := func(d time.Duration) bool {
			for range d / (100 * time.Millisecond) {
				time.Sleep(100 * time.Millisecond)
				w := l.planned()
				if w.start {
					l.answer(w)
				}
				if len(w.sleepers) > 0 {
					return w.sleepers[0] == m
				}
			}
			return false
		}
		if slept(inUse - time.Second) {
			t.Fatal("it sleeps too early")
		}
		m.breaker.refused.of(RefusedOpen).add() // a call that is refused is a call
		if slept(inUse - time.Second) {
			t.Fatal("it sleeps although calls are refused")
		}
		if !slept(2 * time.Second) {
			t.Fatal("it does not sleep")
		}
		if slept(time.Minute) || m.isActive || len(l.active) != 0 {
			t.Error("it falls asleep twice, or counts as active")
		}
	})
}

// A member in use is compared each RefreshInterval, an idle one ten times less often, and all give a sign of life.
func TestMembersAreComparedAsOftenAsTheyNeed(t *testing.T) {
	inLane(t, 40, func(t *testing.T, l *testLane) {
		used := l.members[0]
		reads, syncs, exchanges := map[*member]int{}, map[*member]int{}, 0
		const seconds = 60
		for range seconds * 20 {
			time.Sleep(50 * time.Millisecond)
			used.breaker.refused.of(RefusedOpen).add()
			if !used.isActive {
				l.use(used, uptime())
			}
			w := l.planned()
			if !w.start {
				continue
			}
			exchanges++
			for _, m := range w.reads {
				reads[m]++
			}
			for _, m := range w.syncs {
				syncs[m]++
			}
			l.answer(w)
		}
		if n := reads[used] + syncs[used]; n < seconds*8/10 || n > seconds*15/10 {
			t.Errorf("the one in use was compared %d times in %d s", n, seconds)
		}
		for i, m := range l.members[1:] {
			if n := reads[m] + syncs[m]; n < seconds/idleShare-1 || n > seconds/idleShare*2+4 {
				t.Errorf("idle member %d was compared %d times in %d s", i, n, seconds)
			}
			if syncs[m] < seconds/10-1 || syncs[m] > seconds/10+2 {
				t.Errorf("idle member %d gave %d signs of life in %d s", i, syncs[m], seconds)
			}
		}
	})
}

func TestAMemberThatHasLeftIsNotServed(t *testing.T) {
	inLane(t, 2, func(t *testing.T, l *testLane) {
		m := l.members[0]
		m.useNow()
		done := m.requestSync()
		if m.leave() {
			t.Error("a lane that is not lost counts as lost when a member leaves")
		}
		w := l.planned()
		if slices.Contains(w.syncs, m) || slices.Contains(l.active, m) || slices.Contains(l.memberList(), m) {
			t.Error("it is served, or is a member still")
		}
		if !w.start {
			w.release()
		} else {
			l.answer(w)
		}
		if !closedNow(done) {
			t.Error("the caller that waits for its exchange is not told that there will be none")
		}
		if !closedNow(m.requestSync()) {
			t.Error("a caller that asks for an exchange is not told that there will be none")
		}
		if m.syncNow(); m.queued {
			t.Error("it is queued again")
		}
	})
}

func TestTheReporterIsWokenByEachRequest(t *testing.T) {
	inLane(t, 1, func(t *testing.T, l *testLane) {
		m := l.members[0]
		for name, request := range map[string]func(){
			"flush soon": m.flushSoon, "sync now": m.syncNow, "use now": m.useNow, "compare all": l.compareAll,
			"a waiting sync": func() { m.requestSync() }, "a history": func() { m.requestHistory(0) },
		} {
			before := l.woken
			if request(); l.woken == before {
				t.Errorf("%s: it is not woken, and looks again only when something else is due", name)
			}
		}
	})
}

// The methods of a breaker that is in no lane.
func TestABreakerInNoLaneAsksNobody(*testing.T) {
	var none *member
	none.flushSoon()
	none.syncNow()
	none.useNow()
}
