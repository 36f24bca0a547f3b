package api

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/fallback"
	"github.com/commontrip/commontrip/health"
	"github.com/commontrip/commontrip/retry"
	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
	redisstore "github.com/commontrip/commontrip/store/redis"
)

// Every guard has the one shape.
var (
	_ fallback.Guard = (*breaker.Breaker)(nil)
	_ fallback.Guard = (*retry.Retrier)(nil)
	_ fallback.Guard = (*health.Guard)(nil)
	_ health.Breaker = (*breaker.Breaker)(nil)
)

var (
	_ store.Store           = (*memorystore.Store)(nil)
	_ store.Store           = (*redisstore.Store)(nil)
	_ store.Pinger          = (*redisstore.Store)(nil)
	_ breaker.ManagerOption = breaker.Option(nil) // an Option is the Manager's default for every Register
)

func TestDefaultsAreThoseThatAreDocumented(t *testing.T) {
	want := breaker.Timing{
		FlushInterval: 20 * time.Millisecond, RefreshInterval: time.Second, StaleAfter: 3 * time.Second,
		StartTimeout: time.Second, ClaimTimeout: 100 * time.Millisecond,
	}
	if got := (breaker.Timing{}).WithDefaults(); got != want {
		t.Errorf("Timing defaults are %+v, want %+v", got, want)
	}
	for i, err := range []error{
		store.ErrInvalid, store.ErrName, store.ErrUnknown, store.ErrClosed,
		breaker.ErrOpen, breaker.ErrRegistered, breaker.ErrClosed, breaker.ErrPanic,
	} {
		if err == nil {
			t.Errorf("sentinel %d is nil", i)
		}
	}
	if !errors.Is(store.ErrName, store.ErrInvalid) {
		t.Error("ErrName is no ErrInvalid")
	}
	if !errors.Is(&breaker.OpenError{}, breaker.ErrOpen) {
		t.Error("an OpenError is no ErrOpen")
	}
	if !errors.Is(&store.PolicyError{}, store.ErrInvalid) {
		t.Error("a PolicyError is no ErrInvalid")
	}
	if breaker.DefaultClassifier(context.Background(), nil) != breaker.Success {
		t.Error("nil is no success")
	}
	for refusal, text := range map[breaker.Refusal]string{
		breaker.RefusedOpen: "open", breaker.RefusedProbing: "probing", breaker.RefusedForced: "forced-open",
		breaker.RefusedRampUp: "ramp-up", breaker.RefusedStoreDown: "store-down",
	} {
		if string(refusal) != text {
			t.Errorf("refusal %q, want %q", refusal, text)
		}
	}
}

func TestRetryAndHealthDefaultsAreThoseThatAreDocumented(t *testing.T) {
	p := retry.Policy{}.WithDefaults()
	if p.Attempts != 3 || p.Delay != time.Second || p.MaxDelay != time.Minute || p.MaxRetryAfter != time.Minute || p.MaxRefusal != 5*time.Second ||
		p.Multiplier != 2 || p.Jitter != retry.FullJitter || p.AttemptTimeout != 0 || p.MaxElapsed != 0 {
		t.Errorf("retry defaults are %+v", p)
	}
	want := health.Config{Interval: 30 * time.Second, Timeout: 10 * time.Second, DownAfter: 3, UpAfter: 1}
	if got := (health.Config{}).WithDefaults(); got != want {
		t.Errorf("health defaults are %+v, want %+v", got, want)
	}
}
