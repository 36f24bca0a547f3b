package main

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/fallback"
	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/tests/await"
)

// newTestReport is of a process whose own timers are on time.
func newTestReport() *report { return &report{own: &pulse{last: time.Now().Add(time.Hour)}} }

func TestAReportIsKeptOnlyIfEveryPromiseHeld(t *testing.T) {
	r := newTestReport()
	r.promise(true, "one", "seen")
	if !r.kept() {
		t.Error("all held, and it is not kept")
	}
	r.promise(false, "another", "%d of %d", 7, 8)
	r.table("Measured", "", "here", "there")("calls", 5, 40)
	if r.kept() {
		t.Error("one was broken, and it is kept")
	}
	var out bytes.Buffer
	r.print(&out)
	want := `
Measured
         here  there
  calls     5     40

What was promised
  (the latest timer of this run: 0s; from 50ms on, what does not hold is not judged)
  held    one      seen
  BROKEN  another  7 of 8
`
	if out.String() != want {
		t.Errorf("it says\n%s\nwant\n%s", out.String(), want)
	}
}

// A machine that has no time for the fleet breaks promises that the fleet would keep. That was once told as BROKEN.
func TestAPromiseThatIsNotKeptIsExcusedByAMachineThatWasLateThen(t *testing.T) {
	const late = 3 * tardy
	for _, c := range []struct {
		name    string
		story   func(r *report)
		excused bool
	}{
		{"in its scene", func(r *report) {
			r.scene()
			r.note(late)
		}, true},
		{"in the scene before", func(r *report) {
			r.scene()
			r.note(late)
			r.scene()
		}, true},
		{"by too little", func(r *report) {
			r.scene()
			r.note(tardy - 1)
		}, false},
		{"two scenes before", func(r *report) {
			r.scene()
			r.note(late)
			r.scene()
			r.scene()
		}, false},
		{"two scenes before, for the whole half", func(r *report) {
			r.scene()
			r.note(late)
			r.scene()
			r.scene()
			r.whole = true
		}, true},
		{"in the half before", func(r *report) {
			r.scene()
			r.note(late)
			r.whole = true
			r.half()
			r.scene()
		}, false},
		{"by a beat of this process that does not come", func(r *report) {
			r.scene()
			r.own.last = time.Now().Add(-late - beat)
		}, true},
	} {
		r := newTestReport()
		c.story(r)
		r.promise(true, "kept", "seen")
		r.promise(false, "not kept", "seen")
		if r.kept() != c.excused {
			t.Errorf("late %s: kept is %t", c.name, r.kept())
		}
		var out bytes.Buffer
		r.print(&out)
		want := "BROKEN  not kept  seen"
		if c.excused {
			want = "not judged  not kept  this machine was late by 15"
		}
		if !strings.Contains(out.String(), want) || !strings.Contains(out.String(), "  held  ") {
			t.Errorf("late %s: it does not say %q:\n%s", c.name, want, out.String())
		}
		r.law(false, "a law", "seen")
		if r.kept() {
			t.Errorf("late %s: a law that was broken is excused", c.name)
		}
	}
}

func TestAPulseTellsItsLatestBeatOnceAndOneThatIsDueAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPulse()
		at := p.last
		p.beat(at.Add(beat))
		p.beat(at.Add(2*beat + tardy))
		p.beat(at.Add(3*beat + tardy))
		if got := p.take(at.Add(3*beat + tardy)); got != tardy {
			t.Errorf("late by %v; want %v", got, tardy)
		}
		if got := p.take(at.Add(4*beat + tardy)); got != 0 {
			t.Errorf("told once more: %v", got)
		}
		if got := p.take(at.Add(9*beat + tardy)); got != 5*beat {
			t.Errorf("a beat that does not come is late by %v; want %v", got, 5*beat)
		}
		ctx, stop := context.WithCancel(t.Context())
		p = newPulse()
		go p.run(ctx)
		time.Sleep(time.Second)
		if got := p.take(time.Now()); got != 0 {
			t.Errorf("late by %v on a machine whose time is its own", got)
		}
		stop()
		synctest.Wait()
	})
}

func TestNewsSaysWhichReplicasWereToldAndWhen(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	opened := store.Transition{Name: payments, Generation: 7, To: store.Open, At: at.Add(time.Hour)}
	f := &fleet{stage: &stage{shared: &sharedStore{ahead: time.Hour}}, members: make([]*member, 3)}
	for _, ms := range []time.Duration{5, 3, 9} {
		f.learn(heard{at.Add(ms * time.Millisecond), opened})
	}
	closed := opened
	closed.Generation, closed.From, closed.To = 8, store.Open, store.Closed
	f.learn(heard{at.Add(time.Minute), closed})
	n, all := f.told(t.Context(), into(payments, store.Open))
	if !all || len(f.transitions()) != 2 {
		t.Errorf("%d were told of the first of %d transitions; want 3 of the first of two", n.heard, len(f.transitions()))
	}
	if n.first != 3*time.Millisecond || n.last != 9*time.Millisecond {
		t.Errorf("told after %v to %v; want 3ms to 9ms, by a store's clock that is an hour ahead", n.first, n.last)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if n, all := f.told(gone, into(payments, store.Closed)); all || n.heard != 1 {
		t.Errorf("all were told of what one was: %+v", n)
	}
}

func TestCallsAreCountedByWhatCameOfThem(t *testing.T) {
	b, err := breaker.New("tier", breaker.WithPolicy(store.Policy{ConsecutiveFailures: 3, OpenFor: time.Hour}))
	if err != nil {
		t.Fatal(err)
	}
	w := &way{n: newCount(), recent: map[string]int{}}
	var answer error
	w.chain, err = fallback.New([]fallback.Tier[string, string]{{
		Name: "tier", Guards: []fallback.Guard{gauge{b, w}},
		Call: func(context.Context, string) (string, error) { return "", answer },
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, answer = range []error{nil, errLost, nil, statusError(503), context.DeadlineExceeded, errLost, nil} {
		w.ask(t.Context()) // the last is refused
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	w.ask(gone)
	n := w.read(true)
	if n.Calls != 7 || n.Burnt != 2 || n.Refused != 1 || n.Foreign != 0 {
		t.Errorf("counted %+v; want 7 calls, 2 of them burnt, 1 refused", n)
	}
	if n.Served["tier"] != 2 || n.Served[nobody] != 5 || n.Recent["tier"] != 2 || n.Recent[nobody] != 5 {
		t.Errorf("served %v, recently %v", n.Served, n.Recent)
	}
	if !strings.HasPrefix(n.Error, "ask again in ") {
		t.Errorf("the error of a request that was refused is %q", n.Error)
	}
	w.ask(t.Context())
	if n := w.read(true); n.Calls != 8 || n.Recent[nobody] != 1 || n.Served[nobody] != 6 {
		t.Errorf("after a census it counted %+v; want 8 calls, one of them recent", n)
	}
	w.settle(t.Context(), count{}, errors.New("a bug"), nil)
	if n := w.read(false); n.Foreign != 1 || n.Wait != 0 {
		t.Errorf("an error of the breaker's own is counted as %+v", n)
	}
}

func TestATierFailsInEachOfItsWaysAndCounts(t *testing.T) {
	tier, err := openTier("127.0.0.1:0", payments)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tier.server.Close)
	control := httptest.NewServer(http.HandlerFunc(tier.takeMode))
	t.Cleanup(control.Close)
	call := func(ctx context.Context) error {
		_, err := fetch(ctx, tier.server.URL()+"/way", "")
		return err
	}
	for _, c := range []struct {
		mode     string
		taken    bool
		answered bool // after that
	}{
		{"503", true, false}, {"nonsense", false, false}, {"well", true, true}, {"refuse", true, false}, {"503", true, false}, {"well", true, true},
	} {
		_, err := fetch(t.Context(), control.URL, c.mode)
		if (err == nil) != c.taken {
			t.Errorf("mode %q: %v", c.mode, err)
		}
		if err := call(t.Context()); (err == nil) != c.answered {
			t.Errorf("after mode %q the tier answers %v", c.mode, err)
		}
	}
	if err := tier.become(hangs); err != nil {
		t.Fatal(err)
	}
	hung, giveUp := context.WithCancel(t.Context())
	defer giveUp()
	ended := make(chan error, 1)
	go func() { ended <- call(hung) }()
	await.Until(t, "the call reaches the tier that hangs", func() bool { return tier.Counts()["way"].Calls == 6 })
	giveUp()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("a tier that hangs: %v", err)
	}
	if n := tier.Counts()["way"]; n.Dead != 4 {
		t.Errorf("it counted %+v; want 4 calls while dead", n)
	}
}

// safeBuffer is a terminal that keeps what it was told.
type safeBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func TestATerminalShowsTheStoryAndWhatTheReplicasHold(t *testing.T) {
	out := &safeBuffer{}
	s := openScreen(out, true, "http://page/")
	s.scene("The tier %s", "dies")
	s.note("%d opened", 8)
	s.pin(func() []string { return []string{"payments ○ ○ ○"} })
	await.Until(t, "what the replicas hold is drawn", func() bool { return strings.Contains(out.String(), "payments ○ ○ ○") })
	s.note("the last note")
	s.close()
	for _, want := range []string{"The tier dies", "8 opened", "the last note", "http://page/"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it does not show %q: %q", want, out.String())
		}
	}
}
