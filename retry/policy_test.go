package retry_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/commontrip/commontrip/retry"
)

var errBoom = errors.New("boom")

func mustNew(tb testing.TB, p retry.Policy, opts ...retry.Option) *retry.Retrier {
	tb.Helper()
	r, err := retry.New(p, opts...)
	if err != nil {
		tb.Fatalf("New(%+v): %v", p, err)
	}
	return r
}

// same reports whether got is want itself, and not an error that wraps it.
func same(got, want any) bool { return got == want }

func fail(context.Context) error { return errBoom }

func TestZeroFieldsTakeTheirDefaults(t *testing.T) {
	all := retry.Policy{
		Attempts: 3, Delay: time.Second, MaxDelay: time.Minute, MaxRetryAfter: time.Minute, MaxRefusal: 5 * time.Second,
		Multiplier: 2, Jitter: retry.FullJitter,
	}
	for _, c := range []struct {
		name      string
		set, want retry.Policy
	}{
		{"none set", retry.Policy{}, all},
		{"all set", all, all},
		{"one set", retry.Policy{Attempts: 7}, func() retry.Policy { p := all; p.Attempts = 7; return p }()},
		{
			"a first delay above the default longest one raises it",
			retry.Policy{Delay: time.Hour},
			func() retry.Policy {
				p := all
				p.Delay, p.MaxDelay, p.MaxRetryAfter = time.Hour, time.Hour, time.Hour
				return p
			}(),
		},
		{
			"a longest delay below the default first one lowers it",
			retry.Policy{MaxDelay: time.Millisecond},
			func() retry.Policy {
				p := all
				p.Delay, p.MaxDelay, p.MaxRetryAfter = time.Millisecond, time.Millisecond, 5*time.Second
				return p
			}(),
		},
		{
			"a longest wait for errors that is set holds for refusals too",
			retry.Policy{MaxRetryAfter: 2 * time.Minute},
			func() retry.Policy { p := all; p.MaxRetryAfter, p.MaxRefusal = 2*time.Minute, 2*time.Minute; return p }(),
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := c.set.WithDefaults()
			if got != c.want {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
			if again := got.WithDefaults(); again != got {
				t.Errorf("not idempotent: %+v, then %+v", got, again)
			}
			if err := c.set.Validate(); err != nil {
				t.Errorf("Validate: %v", err)
			}
		})
	}
}

func TestBadFieldsAreRefusedWithNameValueAndRange(t *testing.T) {
	for _, c := range []struct {
		set          retry.Policy
		field, value string
	}{
		{retry.Policy{Attempts: -1}, "Attempts", "-1"},
		{retry.Policy{Delay: -time.Second}, "Delay", "-1s"},
		{retry.Policy{MaxDelay: -time.Second}, "MaxDelay", "-1s"},
		{retry.Policy{Delay: 2 * time.Second, MaxDelay: time.Second}, "MaxDelay", "1s"},
		{retry.Policy{MaxRetryAfter: -1}, "MaxRetryAfter", "-1ns"},
		{retry.Policy{MaxRefusal: -1}, "MaxRefusal", "-1ns"},
		{retry.Policy{Multiplier: 0.5}, "Multiplier", "0.5"},
		{retry.Policy{Multiplier: -2}, "Multiplier", "-2"},
		{retry.Policy{Multiplier: math.NaN()}, "Multiplier", "NaN"},
		{retry.Policy{Multiplier: math.Inf(1)}, "Multiplier", "+Inf"},
		{retry.Policy{Multiplier: math.Inf(-1)}, "Multiplier", "-Inf"},
		{retry.Policy{Jitter: 9}, "Jitter", "Jitter(9)"},
		{retry.Policy{AttemptTimeout: -1}, "AttemptTimeout", "-1ns"},
		{retry.Policy{MaxElapsed: -1}, "MaxElapsed", "-1ns"},
		// the first one, if several are bad
		{retry.Policy{Attempts: -3, Jitter: 9, MaxElapsed: -1}, "Attempts", "-3"},
		{retry.Policy{Multiplier: 0.1, Jitter: 9, MaxElapsed: -1}, "Multiplier", "0.1"},
		{retry.Policy{AttemptTimeout: -2, MaxElapsed: -1}, "AttemptTimeout", "-2ns"},
	} {
		_, err := retry.New(c.set)
		bad, ok := errors.AsType[*retry.PolicyError](err)
		if !ok {
			t.Errorf("New(%+v) returned %v, want a *PolicyError", c.set, err)
			continue
		}
		if bad.Field != c.field || bad.Value != c.value || bad.Range == "" {
			t.Errorf("New(%+v) refused %+v, want field %s, value %s and a range", c.set, *bad, c.field, c.value)
		}
		for _, part := range []string{bad.Field, bad.Value, bad.Range} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q does not say %q", err, part)
			}
		}
		if v := c.set.Validate(); v == nil || v.Error() != err.Error() {
			t.Errorf("Validate says %v, New says %v", v, err)
		}
	}
}

// waits runs a call that always fails and returns the time between one attempt's end and the next one's start.
func waits(t *testing.T, p retry.Policy) (got []time.Duration) {
	t.Helper()
	r := mustNew(t, p)
	var last time.Time
	err := r.Run(t.Context(), func(context.Context) error {
		if !last.IsZero() {
			got = append(got, time.Since(last))
		}
		last = time.Now()
		return errBoom
	})
	if !errors.Is(err, retry.ErrExhausted) {
		t.Errorf("err = %v, want it exhausted", err)
	}
	return got
}

func TestBackoffIsExactToTheNanosecond(t *testing.T) {
	const ms, s = time.Millisecond, time.Second
	for _, c := range []struct {
		name string
		set  retry.Policy
		want []time.Duration
	}{
		{"defaults double from a second", retry.Policy{Attempts: 5}, []time.Duration{s, 2 * s, 4 * s, 8 * s}},
		{"the default cap is a minute", retry.Policy{Attempts: 5, Delay: 20 * s}, []time.Duration{20 * s, 40 * s, 60 * s, 60 * s}},
		{"own cap", retry.Policy{Attempts: 5, Delay: 3 * ms, MaxDelay: 7 * ms}, []time.Duration{3 * ms, 6 * ms, 7 * ms, 7 * ms}},
		{"constant", retry.Policy{Attempts: 4, Delay: 1, Multiplier: 1}, []time.Duration{1, 1, 1}},
		{"threefold", retry.Policy{Attempts: 4, Delay: 7, Multiplier: 3}, []time.Duration{7, 21, 63}},
		{"rounded, not cut", retry.Policy{Attempts: 5, Delay: 100 * ms, Multiplier: 1.7}, []time.Duration{100_000_000, 170_000_000, 289_000_000, 491_300_000}},
		{"one attempt is not a retry", retry.Policy{Attempts: 1}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.set.Jitter = retry.NoJitter
				if got := waits(t, c.set); !slices.Equal(got, c.want) {
					t.Errorf("waits %v, want %v", got, c.want)
				}
			})
		})
	}
}

func TestBackoffOverflowsNowhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, p := range []retry.Policy{
			{Attempts: 5000, Delay: 1, MaxDelay: time.Second},
			{Attempts: 50, Multiplier: math.MaxFloat64},
			{Attempts: 3, Delay: math.MaxInt64 / 8, MaxDelay: math.MaxInt64 / 4, Multiplier: 1e300},
		} {
			p.Jitter = retry.NoJitter
			longest := time.Duration(0)
			for i, w := range waits(t, p) {
				if w <= 0 || w < longest || w > p.WithDefaults().MaxDelay {
					t.Fatalf("%+v: wait %d is %v after %v", p, i, w, longest)
				}
				longest = w
			}
			if longest != p.WithDefaults().MaxDelay {
				t.Errorf("%+v: the longest wait was %v", p, longest)
			}
		}
	})
}

func TestHugeAttemptsStopByTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := mustNew(t, retry.Policy{Attempts: math.MaxInt, MaxElapsed: 24 * time.Hour})
		err := r.Run(t.Context(), fail)
		if e, ok := errors.AsType[*retry.ExhaustedError](err); !ok || e.Cause != retry.ByTime {
			t.Errorf("err = %v, want it out of time", err)
		}
	})
}
