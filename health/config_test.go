package health_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/commontrip/commontrip/health"
	"github.com/commontrip/commontrip/store"
)

func TestTheDefaultsAreThirtySecondsTenSecondsThreeAndOne(t *testing.T) {
	want := health.Config{Interval: 30 * time.Second, Timeout: 10 * time.Second, DownAfter: 3, UpAfter: 1}
	if got := (health.Config{}).WithDefaults(); got != want {
		t.Errorf("got %+v", got)
	}
	if got := want.WithDefaults(); got != want {
		t.Errorf("not idempotent: %+v", got)
	}
	set := health.Config{Interval: 1, Timeout: 2, DownAfter: 3, UpAfter: 4}
	if got := set.WithDefaults(); got != set {
		t.Errorf("what was set became %+v", got)
	}
}

func TestABadConfigIsRefusedWithFieldValueAndRange(t *testing.T) {
	for name, tc := range map[string]struct {
		cfg         health.Config
		field, want string
	}{
		"negative interval":    {health.Config{Interval: -time.Second}, "Interval", "-1s"},
		"tiny interval":        {health.Config{Interval: time.Millisecond - 1}, "Interval", "999.999µs"},
		"interval over a day":  {health.Config{Interval: 24*time.Hour + 1}, "Interval", "24h0m0.000000001s"},
		"negative timeout":     {health.Config{Timeout: -1}, "Timeout", "-1ns"},
		"timeout over a day":   {health.Config{Timeout: 25 * time.Hour}, "Timeout", "25h0m0s"},
		"negative down after":  {health.Config{DownAfter: -1}, "DownAfter", "-1"},
		"down after too large": {health.Config{DownAfter: 1001}, "DownAfter", "1001"},
		"negative up after":    {health.Config{UpAfter: -2}, "UpAfter", "-2"},
		"first of two":         {health.Config{Timeout: -1, UpAfter: -1}, "Timeout", "-1ns"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := health.New(tc.cfg, nil)
			var ce *health.ConfigError
			if !errors.As(err, &ce) || ce.Field != tc.field || ce.Value != tc.want || ce.Range == "" || ce.Check != "" {
				t.Errorf("got %#v", err)
			}
		})
	}
	limits := health.Config{Interval: time.Millisecond, Timeout: 24 * time.Hour, DownAfter: 1, UpAfter: 1000}
	if err := limits.Validate(); err != nil {
		t.Errorf("at the limits: %v", err)
	}
}

func TestABadCheckIsRefusedByName(t *testing.T) {
	run := func(context.Context) error { return nil }
	for name, tc := range map[string]struct {
		checks []health.Check
		field  string
	}{
		"nil Run":           {[]health.Check{{Name: "db"}}, "Run"},
		"twice":             {[]health.Check{{Name: "db", Run: run}, {Name: "db", Run: run}}, "Name"},
		"negative interval": {[]health.Check{{Name: "db", Run: run, Interval: -1}}, "Interval"},
		"long timeout":      {[]health.Check{{Name: "db", Run: run, Timeout: 25 * time.Hour}}, "Timeout"},
		"no such feed":      {[]health.Check{{Name: "db", Run: run, Feed: 3, Breaker: &fakeBreaker{}}}, "Feed"},
		"nothing to feed":   {[]health.Check{{Name: "db", Run: run, Feed: health.FeedProbes}}, "Breaker"},
		"nil pointer":       {[]health.Check{{Name: "db", Run: run, Feed: health.FeedAll, Breaker: (*fakeBreaker)(nil)}}, "Breaker"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := health.New(health.Config{}, tc.checks)
			var ce *health.ConfigError
			if !errors.As(err, &ce) || ce.Field != tc.field || ce.Check != "db" || !strings.Contains(err.Error(), `"db"`) {
				t.Errorf("got %v", err)
			}
		})
	}
	for _, bad := range []string{"", "a\nb", strings.Repeat("x", 201), "\xff"} {
		if _, err := health.New(health.Config{}, []health.Check{{Name: bad, Run: run}}); !errors.Is(err, store.ErrName) {
			t.Errorf("name %q: %v", bad, err)
		}
	}
}
