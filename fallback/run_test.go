package fallback_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/fallback"
	"github.com/commontrip/commontrip/retry"
)

// slowly makes a tier take d of virtual time before it answers.
func slowly(d time.Duration, of tier) tier {
	call := of.Call
	of.Call = func(ctx context.Context, req string) (string, error) {
		select {
		case <-time.After(d):
			return call(ctx, req)
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	return of
}

func equal(a, b fallback.Trace) bool {
	return a.Tier == b.Tier && a.Elapsed == b.Elapsed && slices.Equal(a.Attempts, b.Attempts)
}

// same reports whether got is want itself, and not an error that wraps it.
func same(got, want any) bool { return got == want }

func TestFirstTierThatCanServes(t *testing.T) {
	for name, c := range map[string]struct {
		tiers []tier
		want  string
	}{
		"the first":                 {[]tier{serving("a"), never(t, "b")}, "a x"},
		"the second, one failed":    {[]tier{failing("a", errBoom), serving("b"), never(t, "c")}, "b x"},
		"the second, one skipped":   {[]tier{guarded(never(t, "a"), refusing(errRefused)), serving("b")}, "b x"},
		"the fourth, all else":      {[]tier{failing("a", errBoom), guarded(never(t, "b"), refusing(errRefused)), failing("c", errBoom), serving("d")}, "d x"},
		"one behind an open guard":  {[]tier{guarded(serving("a"), &counter{}, &counter{})}, "a x"},
		"one, its inner guard shut": {[]tier{guarded(never(t, "a"), &counter{}, refusing(errRefused)), serving("b")}, "b x"},
	} {
		if res, err := mustNew(t, c.tiers).Do(t.Context(), "x"); res != c.want || err != nil {
			t.Errorf("%s: got %q, %v", name, res, err)
		}
	}
}

func TestTraceSaysWhoServedWhoWasSkippedWhyAndHowLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []fallback.Trace
		c := mustNew(t, []tier{
			guarded(never(t, "mcp"), refusing(errRefused)),
			slowly(2*time.Second, failing("sdk", errBoom)),
			slowly(3*time.Second, serving("rest")),
		}, fallback.WithObserver(func(ctx context.Context, tr fallback.Trace) {
			if ctx != t.Context() {
				t.Error("the observer did not get the caller's context")
			}
			seen = append(seen, tr)
		}))
		res, trace, err := c.Trace(t.Context(), "x")
		want := fallback.Trace{Tier: "rest", Elapsed: 5 * time.Second, Attempts: []fallback.Attempt{
			{Tier: "mcp", Skipped: true, Err: errRefused},
			{Tier: "sdk", Err: errBoom, Elapsed: 2 * time.Second},
		}}
		if res != "rest x" || err != nil || !equal(trace, want) {
			t.Errorf("got  %q, %v, %v\nwant %v", res, trace, err, want)
		}
		if len(seen) != 1 || !equal(seen[0], trace) {
			t.Errorf("the observer saw %v", seen)
		}
		if got, want := trace.String(), "served by rest in 5s, mcp skipped after 0s: refused; sdk failed after 2s: boom"; got != want {
			t.Errorf("in words: %q, want %q", got, want)
		}
	})
}

func TestObserverSeesWhatTheCallerSees(t *testing.T) { // in real time, where two readings of the clock differ
	var seen fallback.Trace
	c := mustNew(t, []tier{failing("a", errBoom), serving("b")}, fallback.WithObserver(func(_ context.Context, tr fallback.Trace) { seen = tr }))
	if _, trace, _ := c.Trace(t.Context(), "x"); !equal(trace, seen) {
		t.Errorf("the caller saw %v, the observer %v", trace, seen)
	}
}

func TestAllTiersFailedHoldsEveryAttempt(t *testing.T) {
	var observed []string
	c := mustNew(t, []tier{guarded(never(t, "a"), refusing(errRefused)), failing("b", fmt.Errorf("call: %w", errBoom))},
		fallback.WithObserver(func(_ context.Context, tr fallback.Trace) { observed = append(observed, "first "+tr.Tier) }),
		fallback.WithObserver(func(_ context.Context, tr fallback.Trace) { observed = append(observed, "second "+tr.Tier) }))
	res, trace, err := c.Trace(t.Context(), "x")
	e, ok := errors.AsType[*fallback.AllTiersFailedError](err)
	if !ok || res != "" {
		t.Fatalf("got %q, %v", res, err)
	}
	if !slices.Equal(e.Attempts, trace.Attempts) || len(e.Attempts) != 2 || !e.Attempts[0].Skipped || e.Attempts[1].Skipped || trace.Tier != "" {
		t.Errorf("attempts %+v; trace %+v", e.Attempts, trace)
	}
	if !errors.Is(err, fallback.ErrAllTiersFailed) || !errors.Is(err, errRefused) || !errors.Is(err, errBoom) || errors.Is(err, context.Canceled) {
		t.Errorf("%v is not what it should be", err)
	}
	for _, part := range []string{"all tiers failed", "a skipped", "refused", "b failed", "call: boom"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	if !strings.HasPrefix(trace.String(), "served by none in ") {
		t.Errorf("trace in words: %q", trace)
	}
	if got := strings.Join(observed, ","); got != "first ,second " {
		t.Errorf("observers: %q", got)
	}
}

type afterError time.Duration

func (e afterError) Error() string             { return "not now" }
func (e afterError) RetryAfter() time.Duration { return time.Duration(e) }

func TestRetryAfterIsTheShortestWhereAllWereSkipped(t *testing.T) {
	skip := func(name string, err error) tier { return guarded(never(t, name), refusing(err)) }
	for name, c := range map[string]struct {
		tiers []tier
		want  time.Duration
	}{
		"the shortest":              {[]tier{skip("a", afterError(9)), skip("b", fmt.Errorf("open: %w", afterError(4))), skip("c", afterError(7))}, 4},
		"one that names no time":    {[]tier{skip("a", errRefused), skip("b", afterError(4))}, 4},
		"now":                       {[]tier{skip("a", afterError(4)), skip("b", afterError(0))}, 0},
		"in the past":               {[]tier{skip("a", afterError(-4)), skip("b", afterError(2))}, 0},
		"none names a time":         {[]tier{skip("a", errRefused), skip("b", errRefused)}, 0},
		"one was asked and failed":  {[]tier{skip("a", afterError(4)), failing("b", errBoom)}, 0},
		"it failed naming its time": {[]tier{skip("a", afterError(4)), failing("b", afterError(2))}, 2},
		"two failed, one named it":  {[]tier{failing("a", afterError(30)), failing("b", errBoom)}, 30},
		"two failed naming it":      {[]tier{failing("a", afterError(2)), failing("b", afterError(30))}, 30},
		"deep in a tier's error":    {[]tier{failing("a", errors.Join(afterError(0), fmt.Errorf("b: %w", afterError(30))))}, 30},
	} {
		_, err := mustNew(t, c.tiers).Do(t.Context(), "x")
		e, ok := errors.AsType[*fallback.AllTiersFailedError](err)
		if !ok || e.RetryAfter() != c.want {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestAChainSaysWhetherAnythingWasAsked(t *testing.T) {
	skip := func(name string) tier { return guarded(never(t, name), refusing(errRefused)) }
	for _, c := range []struct {
		tiers []tier
		want  bool
	}{
		{[]tier{skip("a"), skip("b")}, true},
		{[]tier{skip("a"), failing("b", errBoom)}, false},
		{[]tier{failing("a", errBoom)}, false},
	} {
		_, err := mustNew(t, c.tiers).Do(t.Context(), "x")
		if e, ok := errors.AsType[*fallback.AllTiersFailedError](err); !ok || e.Refused() != c.want || e.Permanent() {
			t.Errorf("%v: want %v", err, c.want)
		}
	}
	if none := new(fallback.AllTiersFailedError); none.Refused() || none.Permanent() || none.RetryAfter() != 0 {
		t.Error("an error without tiers claims something")
	}
}

// errors.Is found neither in the error who had ended the context, nor why.
func TestTheContextsCauseIsInTheError(t *testing.T) {
	shutdown := errors.New("shutting down")
	ctx, cancel := context.WithCancelCause(t.Context())
	chain := mustNew(t, []tier{{Name: "a", Call: func(context.Context, string) (string, error) {
		cancel(shutdown)
		return "", errBoom
	}}, never(t, "b")})
	for _, wants := range [][]error{{errBoom, context.Canceled, shutdown}, {context.Canceled, shutdown}} { // then it has ended before
		_, err := chain.Do(ctx, "x")
		for _, want := range wants {
			if !errors.Is(err, want) {
				t.Errorf("%v is no %v", err, want)
			}
		}
	}
}

func TestFallIfFalseMakesTheTiersErrorTheAnswer(t *testing.T) {
	errNotFound := errors.New("not found")
	given := fmt.Errorf("user 7: %w", errNotFound)
	fallIf := fallback.WithFallIf(func(err error) bool { return !errors.Is(err, errNotFound) })
	res, trace, err := mustNew(t, []tier{failing("a", errBoom), failing("b", given), never(t, "c")}, fallIf).Trace(t.Context(), "x")
	if res != "" || !same(err, given) {
		t.Errorf("got %q, %v", res, err)
	}
	if trace.Tier != "" || len(trace.Attempts) != 2 || !same(trace.Attempts[1].Err, given) {
		t.Errorf("trace %v", trace)
	}
}

func TestFallIfIsNotAskedAboutRefusals(t *testing.T) {
	c := mustNew(t, []tier{guarded(never(t, "a"), refusing(errRefused)), serving("b")},
		fallback.WithFallIf(func(error) bool { t.Error("it was"); return false }))
	if res, err := c.Do(t.Context(), "x"); res != "b x" || err != nil {
		t.Errorf("got %q, %v", res, err)
	}
}

func TestEndedContextAsksNoTier(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	seen := 0
	c := mustNew(t, []tier{guarded(never(t, "a"), refusing(errRefused)), never(t, "b")}, fallback.WithObserver(func(_ context.Context, tr fallback.Trace) {
		if seen++; tr.Tier != "" || len(tr.Attempts) != 0 {
			t.Errorf("observed %v", tr)
		}
	}))
	if _, err := c.Do(ctx, "x"); !same(err, context.Canceled) || seen != 1 {
		t.Errorf("err = %v, observed %d times", err, seen)
	}
}

func TestContextThatEndsStopsTheChain(t *testing.T) {
	for name, given := range map[string]error{"another error": errBoom, "the context's": context.Canceled} {
		ctx, cancel := context.WithCancel(t.Context())
		c := mustNew(t, []tier{
			failing("a", errors.New("first")),
			{Name: "b", Call: func(context.Context, string) (string, error) { cancel(); return "not this", given }},
			never(t, "c"),
		})
		res, trace, err := c.Trace(ctx, "x")
		if res != "" || !errors.Is(err, given) || !errors.Is(err, context.Canceled) || errors.Is(err, fallback.ErrAllTiersFailed) {
			t.Errorf("%s: got %q, %v", name, res, err)
		}
		if same(given, context.Canceled) && !same(err, given) {
			t.Errorf("it was joined with itself: %v", err)
		}
		if len(trace.Attempts) != 2 || trace.Attempts[1].Tier != "b" {
			t.Errorf("%s: trace %v", name, trace)
		}
	}
}

func TestContextThatEndsInTheLastTierIsNoFailureOfAll(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := mustNew(t, []tier{{Name: "a", Call: func(context.Context, string) (string, error) { cancel(); return "", errBoom }}},
		fallback.WithFallIf(func(error) bool { t.Error("FallIf was asked"); return true }))
	_, err := c.Do(ctx, "x")
	if want := "context canceled; last tier: boom"; err == nil || err.Error() != want || errors.Is(err, fallback.ErrAllTiersFailed) {
		t.Errorf("err = %v, want %s", err, want)
	}
}

func TestASuccessCountsThoughTheContextEndedMeanwhile(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := mustNew(t, []tier{{Name: "a", Call: func(context.Context, string) (string, error) { cancel(); return "served", nil }}})
	if res, err := c.Do(ctx, "x"); res != "served" || err != nil {
		t.Errorf("got %q, %v", res, err)
	}
}

func TestTimeoutOfATierMakesTheChainGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := slowly(time.Hour, serving("a"))
		slow.Timeout = time.Second
		_, trace, err := mustNew(t, []tier{slow, serving("b")}).Trace(t.Context(), "x")
		if err != nil || trace.Tier != "b" || trace.Elapsed != time.Second || !same(trace.Attempts[0].Err, context.DeadlineExceeded) {
			t.Errorf("got %v, %v", trace, err)
		}
	})
}

func TestTimeoutIsOutermostGuardsAndWaitsIncluded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		waiting := guard(func(ctx context.Context, fn func(context.Context) error) error {
			select {
			case <-time.After(time.Hour):
				return fn(ctx)
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		again, err := retry.New(retry.Policy{Attempts: 100, Multiplier: 1, Jitter: retry.NoJitter})
		if err != nil {
			t.Fatal(err)
		}
		c := mustNew(t, []tier{
			{Name: "queue", Call: never(t, "queue").Call, Guards: []fallback.Guard{waiting}, Timeout: time.Second},
			{Name: "retried", Call: failing("", errBoom).Call, Guards: []fallback.Guard{again}, Timeout: 2500 * time.Millisecond},
			serving("rest"),
		})
		res, trace, err := c.Trace(t.Context(), "x")
		if res != "rest x" || err != nil || len(trace.Attempts) != 2 {
			t.Fatalf("got %q, %v, %v", res, trace, err)
		}
		if a := trace.Attempts[0]; !a.Skipped || a.Elapsed != time.Second || !same(a.Err, context.DeadlineExceeded) {
			t.Errorf("the guard that waits: %v", a)
		}
		// attempts at 0, 1 and 2 s; another wait of 1 s does not fit, and is not begun
		a := trace.Attempts[1]
		if e, ok := errors.AsType[*retry.ExhaustedError](a.Err); a.Skipped || a.Elapsed != 2*time.Second || !ok || e.Cause != retry.ByTime || e.Attempts != 3 {
			t.Errorf("the retrier: %v", a)
		}
	})
}

// A tier's timeout and the caller's deadline that end in one instant could be taken for each other.
func TestTheCallersDeadlineIsNeverTakenForTheTiers(t *testing.T) {
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			a := tier{Name: "a", Timeout: time.Second, Call: func(ctx context.Context, _ string) (string, error) { <-ctx.Done(); return "", errBoom }}
			_, err := mustNew(t, []tier{a, never(t, "b")}).Do(ctx, "x")
			if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errBoom) {
				t.Errorf("err = %v", err)
			}
		})
	}
}

func TestContextOfATierWithATimeoutEndsWithIt(t *testing.T) {
	var kept func() error // the error of the tier's context
	var own bool
	a := tier{Name: "a", Timeout: time.Hour, Call: func(ctx context.Context, _ string) (string, error) {
		kept, own = ctx.Err, ctx != t.Context()
		return "served", nil
	}}
	if _, err := mustNew(t, []tier{a}).Do(t.Context(), "x"); err != nil || !same(kept(), context.Canceled) {
		t.Errorf("err %v; the tier's context says %v", err, kept())
	}
	a.Timeout = 0
	if _, err := mustNew(t, []tier{a}).Do(t.Context(), "x"); err != nil || own {
		t.Errorf("err %v; without a timeout it is not the caller's context", err)
	}
}

func TestPanicGoesUpAndIsObserved(t *testing.T) {
	panicking := tier{Name: "b", Call: func(context.Context, string) (string, error) { panic(errBoom) }}
	shaky := guarded(never(t, "b"), guard(func(context.Context, func(context.Context) error) error { panic(errBoom) }))
	for name, second := range map[string]tier{"in Call": panicking, "behind a guard": guarded(panicking, &counter{}), "in a guard": shaky} {
		var seen []fallback.Trace
		c := mustNew(t, []tier{failing("a", errRefused), second, never(t, "c")},
			fallback.WithObserver(func(_ context.Context, tr fallback.Trace) { seen = append(seen, tr) }))
		func() {
			defer func() {
				if v := recover(); !same(v, errBoom) {
					t.Errorf("%s: recovered %v", name, v)
				}
			}()
			_, _ = c.Do(t.Context(), "x")
		}()
		if len(seen) != 1 || seen[0].Tier != "" || len(seen[0].Attempts) != 2 {
			t.Errorf("%s: observed %v", name, seen)
			continue
		}
		if a := seen[0].Attempts[1]; a.Tier != "b" || a.Skipped || !same(a.Err, fallback.ErrPanic) {
			t.Errorf("%s: observed %v", name, a)
		}
	}
}

func TestGoexitGoesUpAndIsObserved(t *testing.T) {
	var seen []fallback.Trace
	returned := false
	c := mustNew(t, []tier{guarded(tier{Name: "a", Call: func(context.Context, string) (string, error) { runtime.Goexit(); return "", nil }}, &counter{}), never(t, "b")},
		fallback.WithObserver(func(_ context.Context, tr fallback.Trace) { seen = append(seen, tr) }))
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _ = c.Do(t.Context(), "x")
		returned = true
	})
	wg.Wait()
	if returned || len(seen) != 1 || len(seen[0].Attempts) != 1 || !same(seen[0].Attempts[0].Err, fallback.ErrPanic) {
		t.Errorf("returned %v, observed %v", returned, seen)
	}
}

func TestTraceOfAPanicTellsItsTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		panicking := tier{Name: "b", Call: func(context.Context, string) (string, error) { <-time.After(2 * time.Second); panic(errBoom) }}
		var seen fallback.Trace
		c := mustNew(t, []tier{slowly(time.Second, failing("a", errBoom)), panicking},
			fallback.WithObserver(func(_ context.Context, tr fallback.Trace) { seen = tr }))
		func() {
			defer func() { _ = recover() }()
			_, _ = c.Do(t.Context(), "x")
		}()
		if len(seen.Attempts) != 2 || seen.Attempts[1].Elapsed != 2*time.Second || seen.Elapsed != 3*time.Second {
			t.Errorf("observed %v", seen)
		}
	})
}

func TestPanicOfAPredicateOrObserverGoesUpAndIsObservedOnce(t *testing.T) {
	seen := 0
	count := fallback.WithObserver(func(_ context.Context, tr fallback.Trace) {
		if seen++; len(tr.Attempts) != 1 || !same(tr.Attempts[0].Err, errBoom) {
			t.Errorf("observed %v", tr)
		}
	})
	for name, opt := range map[string]fallback.Option{
		"predicate": fallback.WithFallIf(func(error) bool { panic("predicate") }),
		"observer":  fallback.WithObserver(func(context.Context, fallback.Trace) { panic("observer") }),
	} {
		seen = 0
		c := mustNew(t, []tier{failing("a", errBoom)}, count, opt)
		for range 2 { // it is usable afterwards
			func() {
				defer func() {
					if v := recover(); v != name {
						t.Errorf("recovered %v, want %q", v, name)
					}
				}()
				_, _ = c.Do(t.Context(), "x")
			}()
		}
		if seen != 2 {
			t.Errorf("%s: observed %d times, want 2", name, seen)
		}
	}
}

func TestChainMayBeEnteredFromWithinItself(t *testing.T) {
	var c *fallback.Chain[string, string]
	depth := 0
	inner := guarded(tier{Name: "a", Call: func(ctx context.Context, req string) (string, error) {
		if depth++; depth > 3 {
			return "bottom of " + req, nil
		}
		return c.Do(ctx, req+"x")
	}}, &counter{}, &counter{})
	c = mustNew(t, []tier{inner}, fallback.WithObserver(func(ctx context.Context, _ fallback.Trace) {
		if depth == 4 {
			depth++ // once
			_, _ = c.Do(ctx, "from the observer")
		}
	}))
	if res, err := c.Do(t.Context(), ""); res != "bottom of xxx" || err != nil {
		t.Errorf("got %q, %v", res, err)
	}
}
