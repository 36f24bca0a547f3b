package health_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/health"
	"github.com/commontrip/commontrip/store"
)

var errOpen = errors.New("open")

// fakeBreaker admits or refuses as told and counts what went through it.
type fakeBreaker struct {
	state   store.State
	refuse  bool
	through atomic.Int32
	instead func(ctx context.Context, fn func(context.Context) error) error
}

func (b *fakeBreaker) State() store.State { return b.state }

func (b *fakeBreaker) Run(ctx context.Context, fn func(context.Context) error) error {
	if b.instead != nil {
		return b.instead(ctx, fn)
	}
	if b.refuse {
		return errOpen
	}
	b.through.Add(1)
	return fn(ctx)
}

func TestTheFeedSaysWhichChecksGoThroughTheBreaker(t *testing.T) {
	for _, tc := range []struct {
		feed    health.Feed
		state   store.State
		through int32
	}{
		{health.FeedNothing, store.Closed, 0},
		{health.FeedNothing, store.Open, 0},
		{health.FeedNothing, store.HalfOpen, 0},
		{health.FeedProbes, store.Closed, 0},
		{health.FeedProbes, store.Open, 1},
		{health.FeedProbes, store.HalfOpen, 1},
		{health.FeedAll, store.Closed, 1},
		{health.FeedAll, store.Open, 1},
		{health.FeedAll, store.HalfOpen, 1},
	} {
		t.Run(tc.feed.String()+" "+tc.state.String(), func(t *testing.T) {
			var f tier
			b := &fakeBreaker{state: tc.state}
			m := monitor(t, health.Config{}, []health.Check{{Name: "db", Run: f.check, Breaker: b, Feed: tc.feed}})
			times(t, m, "db", 1)
			wantHealth(t, m, "db", health.Up, 1)
			if b.through.Load() != tc.through || len(f.times()) != 1 {
				t.Errorf("%d through the breaker, %d in all", b.through.Load(), len(f.times()))
			}
		})
	}
}

// Counted as a failure, an open breaker would keep its own tier down for ever.
func TestARefusedCheckChangesNothing(t *testing.T) {
	for _, feed := range []health.Feed{health.FeedProbes, health.FeedAll} {
		var f tier
		b := &fakeBreaker{state: store.Open}
		m := monitor(t, health.Config{DownAfter: 1}, []health.Check{{Name: "db", Run: f.check, Breaker: b, Feed: feed}})
		before := times(t, m, "db", 1)
		b.refuse = true
		if after := times(t, m, "db", 5); after != before || after.Health != health.Up {
			t.Errorf("%v: %+v became %+v", feed, before, after)
		}
		if n := len(f.times()); n != 1 {
			t.Errorf("%v: the tier was asked %d times", feed, n)
		}
	}
}

// refusedWithin is the error of a client of the service whose own breaker is open.
type refusedWithin struct{}

func (refusedWithin) Error() string { return "the circuit is open" }
func (refusedWithin) Refused() bool { return true }

func TestACheckThatIsRefusedWithinChangesNothing(t *testing.T) {
	// Three refusals of a guarded client took a tier down that nobody had asked.
	var err atomic.Pointer[error]
	answer := func(e error) { err.Store(&e) }
	m := monitor(t, health.Config{}, []health.Check{{Name: "db", Run: func(context.Context) error { return *err.Load() }}})
	answer(nil)
	times(t, m, "db", 2)
	answer(fmt.Errorf("get: %w", refusedWithin{}))
	times(t, m, "db", 5)
	wantHealth(t, m, "db", health.Up, 2)
	answer(errors.Join(refusedWithin{}, errOpen)) // one of two was asked
	times(t, m, "db", 3)
	wantHealth(t, m, "db", health.Down, 3)
	guard, _ := m.Guard("db")
	down := guard.Run(t.Context(), func(context.Context) error { return nil })
	if e, ok := errors.AsType[interface {
		error
		Refused() bool
	}](down); !ok || !e.Refused() {
		t.Errorf("a guard's %v does not say that it is a refusal", down)
	}
}

func TestABreakerThatHangsBeforeTheCheckSaysNothingOfTheTier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f tier
		release := make(chan struct{})
		b := &fakeBreaker{state: store.Open, instead: func(context.Context, func(context.Context) error) error {
			<-release
			return errOpen
		}}
		m := started(t, health.Config{DownAfter: 1}, []health.Check{{Name: "db", Run: f.check, Breaker: b, Feed: health.FeedProbes}})
		<-time.After(time.Hour)
		wantHealth(t, m, "db", health.Unknown, 0)
		close(release)
	})
}

func TestABreakerThatPanicsIsAFailureToBeSeen(t *testing.T) {
	b := &fakeBreaker{state: store.Open, instead: func(context.Context, func(context.Context) error) error { panic("nil map") }}
	var f tier
	m := monitor(t, health.Config{DownAfter: 1}, []health.Check{{Name: "db", Run: f.check, Breaker: b, Feed: health.FeedAll}})
	times(t, m, "db", 1)
	wantHealth(t, m, "db", health.Down, 1)
}

func TestAFedCheckThatFailsOrHangsCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f tier
		f.answer(errTier)
		b := &fakeBreaker{state: store.HalfOpen}
		release := make(chan struct{})
		defer close(release)
		m := monitor(t, health.Config{DownAfter: 1}, []health.Check{
			{Name: "db", Run: f.check, Breaker: b, Feed: health.FeedProbes},
			{Name: "hung", Run: func(context.Context) error { <-release; return nil }, Breaker: b, Feed: health.FeedProbes},
		})
		if s := times(t, m, "db", 1); s.Health != health.Down || !errors.Is(s.Err, errTier) {
			t.Errorf("%+v", s)
		}
		if s := times(t, m, "hung", 1); s.Health != health.Down || !errors.Is(s.Err, context.DeadlineExceeded) {
			t.Errorf("%+v", s)
		}
	})
}
