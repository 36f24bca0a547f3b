package breaker

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/store"
)

// wantTurns fails unless the lane turned so since it was asked last.
func (l *testLane) wantTurns(t *testing.T, what string, want ...turn) {
	t.Helper()
	synctest.Wait()
	l.turning.Lock()
	defer l.turning.Unlock()
	if len(l.turns) != len(want) {
		t.Fatalf("%s: it turned %+v, want %+v", what, l.turns, want)
	}
	for i, got := range l.turns {
		if got != want[i] {
			t.Fatalf("%s: it turned %+v, want %+v", what, got, want[i])
		}
	}
	l.turns = nil
}

func TestALaneIsLiveWhileItsStoreAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := laneOf(1)
		defer l.close()
		const stale = 3 * time.Second
		if l.healthy.Load() || l.answers() {
			t.Fatal("it is live before the store has answered")
		}
		l.sent(now())
		time.Sleep(time.Second)
		l.exchanged(now(), nil)
		l.wantTurns(t, "the first answer", turn{changed: true})
		if !l.answers() {
			t.Fatal("after an answer it is not live")
		}
		for range 5 {
			time.Sleep(stale - 1)
			l.exchanged(now(), nil)
		}
		l.wantTurns(t, "further answers")

		time.Sleep(stale - 1)
		l.exchanged(now(), errAway)
		if !l.answers() {
			t.Fatal("it is not live although the last answer is young enough")
		}
		l.wantTurns(t, "an error")
		time.Sleep(time.Nanosecond)
		l.wantTurns(t, "no answer for long", turn{changed: true, lost: true, why: errAway})
		if l.answers() || l.healthy.Load() {
			t.Fatal("it is live although there was no answer for long")
		}
		time.Sleep(10 * stale)
		l.exchanged(now(), errAway)
		l.wantTurns(t, "further errors")

		l.exchanged(now(), nil)
		l.wantTurns(t, "an answer at last", turn{changed: true, back: true})
		time.Sleep(stale)
		l.wantTurns(t, "the next outage", turn{changed: true, lost: true})
	})
}

func TestAnAnswerMakesTheLaneLiveAsOfItsQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := laneOf(1)
		defer l.close()
		l.sent(now())
		asked := now()
		time.Sleep(2 * time.Second)
		l.exchanged(asked, nil)
		l.wantTurns(t, "an answer", turn{changed: true})
		earlier := instant{asked.up - time.Second, asked.wall - time.Second}
		l.exchanged(earlier, nil) // an answer that was overtaken
		time.Sleep(time.Second - 1)
		if !l.answers() {
			t.Error("an answer to an earlier question makes it older")
		}
		time.Sleep(time.Nanosecond)
		if l.answers() {
			t.Error("it is live although the question is older than StaleAfter")
		}
		time.Sleep(3 * time.Second)
		l.wantTurns(t, "the question is too old", turn{changed: true, lost: true})
		l.exchanged(asked, nil)
		l.wantTurns(t, "an answer to a question that is too old")
	})
}

func TestALaneThatWasNeverAnsweredIsLostToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := laneOf(1)
		defer l.close()
		time.Sleep(time.Hour)
		l.wantTurns(t, "nothing was asked")
		l.sent(now())
		time.Sleep(3*time.Second - 1)
		l.wantTurns(t, "an answer is owed")
		time.Sleep(time.Nanosecond)
		l.wantTurns(t, "it is owed for too long", turn{lost: true})
	})
}

func TestAStartThatTookTooLongLosesTheLaneOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := laneOf(1)
		defer l.close()
		l.sent(now())
		l.giveUp()
		l.giveUp()
		time.Sleep(time.Minute)
		l.wantTurns(t, "two starts", turn{lost: true})
	})
}

func TestAnErrorThatTheStoreAnswersIsAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := laneOf(1)
		defer l.close()
		l.sent(now())
		l.exchanged(now(), store.ErrUnknown)
		l.wantTurns(t, "unknown", turn{changed: true})
	})
}

func TestALaneWithoutMembersBeginsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := laneOf(1)
		defer l.close()
		l.sent(now())
		l.exchanged(now(), nil)
		l.wantTurns(t, "the first answer", turn{changed: true})
		if l.members[0].leave() {
			t.Fatal("it was lost")
		}
		time.Sleep(time.Minute)
		l.wantTurns(t, "nobody is there to be told")
		if healthy, last := l.status(); !healthy || !last.isZero() {
			t.Errorf("without members it owes an answer: %v, %v", healthy, last)
		}
		l.join(&member{lane: l.lane, breaker: &coordinator{}})
		if l.answers() {
			t.Fatal("the next member begins with a lane that is live from before")
		}
		time.Sleep(time.Minute)
		l.wantTurns(t, "nothing was asked yet")
		l.sent(now())
		time.Sleep(3 * time.Second)
		l.wantTurns(t, "the new member's question has no answer", turn{lost: true})
	})
}

func TestALostLaneIsLostNoMoreWhenItsLastMemberLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := laneOf(2)
		defer l.close()
		l.sent(now())
		time.Sleep(3 * time.Second)
		l.wantTurns(t, "no answer", turn{lost: true})
		members := l.memberList()
		if members[0].leave() {
			t.Error("it is lost no more although a member is left")
		}
		if !members[1].leave() {
			t.Error("it is lost still although no member is left")
		}
		if members[1].leave() {
			t.Error("it is found again twice")
		}
		l.exchanged(now(), nil)
		l.wantTurns(t, "an answer for nobody", turn{changed: true})
	})
}

func TestAClosedLaneTurnsNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		live, unanswered := laneOf(1), laneOf(1)
		for _, l := range []*testLane{live, unanswered} {
			l.sent(now())
		}
		live.exchanged(now(), nil)
		live.wantTurns(t, "the first answer", turn{changed: true})
		live.close()
		unanswered.close()
		time.Sleep(time.Minute)
		live.exchanged(now(), errAway)
		unanswered.giveUp()
		unanswered.exchanged(now(), nil)
		live.wantTurns(t, "closed while it was live")
		unanswered.wantTurns(t, "closed while it owed an answer")
		if m := live.members[0]; !closedNow(m.requestSync()) {
			t.Error("a caller that asks for an exchange is not told that there will be none")
		}
	})
}

func TestOneBreakersLivenessLastsFromTheLastAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const stale = 3 * time.Second
		var l liveness
		if live, until := l.lasts(uptime(), stale, &lane{}); !live || until != 0 {
			t.Fatal("before an error it ends")
		}
		laneGood := now()
		time.Sleep(time.Second)
		l.failed(now(), laneGood)
		time.Sleep(time.Second)
		l.failed(now(), now()) // further errors move no end
		if live, until := l.lasts(uptime(), stale, &lane{}); !live || until != laneGood.up+stale {
			t.Fatalf("live %v, until %v after the lane's last answer", live, until-laneGood.up)
		}
		time.Sleep(time.Second - 1)
		if live, _ := l.lasts(uptime(), stale, &lane{}); !live {
			t.Error("it ends too early")
		}
		time.Sleep(time.Nanosecond)
		if live, _ := l.lasts(uptime(), stale, &lane{}); live {
			t.Error("it does not end")
		}
		l.succeeded()
		if live, until := l.lasts(uptime(), stale, &lane{}); !live || until != 0 {
			t.Error("after an answer it ends")
		}
		sent := now()
		l.failed(sent, instant{})
		if _, until := l.lasts(uptime(), stale, &lane{}); until != sent.up+stale {
			t.Error("if the lane had no answer it does not last from its own question")
		}
	})
}

func TestListenersHearOnceThatTheStoreFailsForOneBreaker(t *testing.T) {
	var l liveness
	why := func() error { return errAway }
	hear := func(live, alone bool) EventKind {
		if e := l.turn(live, alone, why); e != nil {
			if e.Kind == StoreLost && e.Err != errAway {
				t.Errorf("the reason is %v", e.Err)
			}
			return e.Kind
		}
		return 0
	}
	if hear(false, true) != 0 {
		t.Error("they hear of it before an error")
	}
	l.failed(at(t0), instant{})
	for i, row := range []struct {
		live, alone bool
		want        EventKind
	}{
		{true, false, 0}, {false, false, 0}, // the lane is lost: it says so itself
		{false, true, StoreLost}, {false, true, 0}, {false, false, 0}, {true, false, StoreBack}, {true, false, 0}, {false, true, StoreLost},
	} {
		if got := hear(row.live, row.alone); got != row.want {
			t.Errorf("step %d: they hear %v, want %v", i, got, row.want)
		}
	}
	l.succeeded() // and fails again before they heard that it was back
	l.failed(at(t0), instant{})
	if got := hear(false, true); got != 0 {
		t.Errorf("they hear %v although they know it", got)
	}
	l.succeeded()
	if got := hear(true, false); got != StoreBack {
		t.Errorf("they hear %v, want that the store is back", got)
	}
}
