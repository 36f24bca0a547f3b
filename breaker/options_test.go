package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

func TestBadInputIsRefusedWithFieldValueAndRange(t *testing.T) {
	s := memorystore.New()
	newManager := func(opts ...breaker.ManagerOption) error { _, err := breaker.NewManager(s, opts...); return err }
	newBreaker := func(name string, opts ...breaker.Option) error { _, err := breaker.New(name, opts...); return err }
	for want, err := range map[string]error{
		"OpenFor is -1s":               newBreaker("x", breaker.WithPolicy(breaker.Policy{OpenFor: -time.Second})),
		"FailureRate is 1.5":           newManager(breaker.WithPolicy(breaker.Policy{FailureRate: 1.5})),
		"it is empty":                  newBreaker(""),
		"U+000A":                       newBreaker("a\nb"),
		"StaleAfter is -1ns":           newManager(breaker.WithTiming(breaker.Timing{StaleAfter: -1})),
		"FlushInterval is 1ns":         newManager(breaker.WithTiming(breaker.Timing{FlushInterval: 1})),
		"ClaimTimeout is 25h0m0s":      newManager(breaker.WithTiming(breaker.Timing{ClaimTimeout: 25 * time.Hour})),
		"RefreshInterval is -1s":       newManager(breaker.WithTiming(breaker.Timing{RefreshInterval: -time.Second})),
		"StartTimeout is -1s":          newManager(breaker.WithTiming(breaker.Timing{StartTimeout: -time.Second})),
		"store down is 9":              newManager(breaker.WithStoreDown(9)),
		"U+202E":                       newManager(breaker.WithReplica("web\u202e7")),
		"200 bytes long; want at most": newManager(breaker.WithReplica(strings.Repeat("r", 200))),
	} {
		if err == nil || !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("want an ErrInvalid with %q; got %v", want, err)
		}
	}
	if _, err := breaker.NewManager(nil); err == nil {
		t.Error("a Manager without a store")
	}
	var timing *breaker.TimingError
	if err := newManager(breaker.WithTiming(breaker.Timing{StaleAfter: -1})); !errors.As(err, &timing) || timing.Field != "StaleAfter" {
		t.Errorf("%v", err)
	}
}

func TestTimingHasItsDefaults(t *testing.T) {
	want := breaker.Timing{
		FlushInterval: 20 * time.Millisecond, RefreshInterval: time.Second, StaleAfter: 3 * time.Second,
		StartTimeout: time.Second, ClaimTimeout: 100 * time.Millisecond,
	}
	if got := (breaker.Timing{}).WithDefaults(); got != want || got.WithDefaults() != want || got.Validate() != nil {
		t.Fatalf("%+v", got)
	}
}

func TestAPolicyWithoutARuleTakesThoseOfTheDefault(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		for _, c := range []struct {
			remote      bool
			given, want breaker.Policy
		}{
			{false, breaker.Policy{}, store.DefaultPolicy()},
			{true, breaker.Policy{}, store.FleetPolicy()},
			{true, breaker.Policy{OpenFor: time.Second}, func() breaker.Policy {
				p := store.FleetPolicy()
				p.OpenFor, p.OpenForMax = time.Second, time.Second
				return p
			}()},
			{true, breaker.Policy{Reporters: 3, MinCalls: 7, ConsecutiveFor: 2 * time.Second}, func() breaker.Policy {
				p := store.FleetPolicy()
				p.Reporters, p.MinCalls, p.ConsecutiveFor = 3, 7, 2*time.Second
				return p
			}()},
			{true, breaker.Policy{WindowCalls: 10}, func() breaker.Policy {
				p := store.FleetPolicy()
				p.WindowCalls, p.MinCalls = 10, 10
				return p
			}()},
			{true, breaker.Policy{ConsecutiveFailures: 3}, breaker.Policy{ConsecutiveFailures: 3}.WithDefaults()},
			{false, breaker.Policy{FailureRate: 0.2}, breaker.Policy{FailureRate: 0.2}.WithDefaults()},
		} {
			var s store.Store = memorystore.New()
			if c.remote {
				s = remoteStore{newBackend(), &network{}}
			}
			m, err := breaker.NewManager(s, breaker.WithPolicy(c.given))
			if err != nil {
				t.Fatal(err)
			}
			b, err := m.Register(t.Context(), "tier")
			if err != nil {
				t.Fatal(err)
			}
			if got, err := b.Snapshot(t.Context()); err != nil || got.Policy != c.want {
				t.Errorf("remote %v, given %+v:\ngot  %+v\nwant %+v", c.remote, c.given, got.Policy, c.want)
			}
			if err := m.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestRegistersOptionsComeOnTopOfTheManagers(t *testing.T) {
	inVirtualTime(t, func(t *testing.T) {
		var all, one events
		other := errors.New("other")
		m, err := breaker.NewManager(memorystore.New(), breaker.WithPolicy(short), breaker.WithIgnore(errTier), breaker.WithListener(all.hear))
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close(t.Context())
		a, _ := m.Register(t.Context(), "a", breaker.WithIgnore(other), breaker.WithListener(one.hear))
		b, _ := m.Register(t.Context(), "b", breaker.WithPolicy(breaker.Policy{ConsecutiveFailures: 1}))
		times(5, func() {
			_ = a.Run(t.Context(), fail)
			_ = a.Run(t.Context(), func(context.Context) error { return other })
		})
		wantState(t, a, breaker.Closed)
		_ = b.Run(t.Context(), func(context.Context) error { return other })
		wantState(t, b, breaker.Open)
		if err := m.Reset(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
		if len(one.all()) != 1 || len(all.all()) != 2 {
			t.Fatalf("one %v, all %v", one.all(), all.all())
		}
	})
}

type httpError int

func (e httpError) Error() string   { return "secret text" }
func (e httpError) StatusCode() int { return int(e) }

type slowError struct{}

func (slowError) Error() string { return "secret text" }
func (slowError) Timeout() bool { return true }

type plainError struct{}

func (plainError) Error() string { return "secret text" }

func TestErrorsAreLabelledByKindAndNeverByTheirText(t *testing.T) {
	for want, err := range map[string]error{
		"deadline":                fmt.Errorf("secret: %w", context.DeadlineExceeded),
		"timeout":                 fmt.Errorf("secret: %w", slowError{}),
		"connection refused":      &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)},
		"503":                     fmt.Errorf("secret: %w", httpError(503)),
		"Unavailable":             fmt.Errorf("secret: %w", status.Error(codes.Unavailable, "secret")),
		"breaker_test.plainError": fmt.Errorf("secret: %w", errors.Join(breaker.ErrOpen, plainError{})),
		"unnamed error":           errors.Join(errors.New("secret"), fmt.Errorf("secret")),
	} {
		b := solo(t, breaker.WithPolicy(short))
		_ = b.Run(t.Context(), func(context.Context) error { return err })
		s, _ := b.Snapshot(t.Context())
		if len(s.Errors) != 1 || s.Errors[0].Label != want {
			t.Errorf("%v is labelled %v; want %q", err, s.Errors, want)
		}
	}
}

func TestSentinelsAreLabelledByAMap(t *testing.T) {
	// Whatever errors.New made was "*errors.errorString" on a page at night.
	gone, busy := errors.New("gone"), errors.New("busy")
	labels := breaker.WithErrorLabels(map[error]string{gone: "no rows", busy: "locked", nil: "nothing", plainError{}: ""})
	fn := breaker.WithErrorLabel(func(error) string { return "by the function" })
	for name, c := range map[string]struct {
		err  error
		opts []breaker.Option
		want string
	}{
		"one of them":           {fmt.Errorf("get: %w", gone), []breaker.Option{labels}, "no rows"},
		"the first by alphabet": {errors.Join(gone, busy), []breaker.Option{labels}, "locked"},
		"before the function":   {gone, []breaker.Option{labels, fn}, "no rows"},
		"else the function":     {errTier, []breaker.Option{fn, labels}, "by the function"},
		"else the default":      {plainError{}, []breaker.Option{labels}, "breaker_test.plainError"},
		"what came first":       {gone, []breaker.Option{labels, breaker.WithErrorLabels(map[error]string{gone: "a", errTier: "b"})}, "no rows"},
		"added":                 {errTier, []breaker.Option{labels, breaker.WithErrorLabels(map[error]string{gone: "a", errTier: "b"})}, "b"},
		"cut":                   {gone, []breaker.Option{breaker.WithErrorLabels(map[error]string{gone: strings.Repeat("é", 40)})}, strings.Repeat("é", 32)},
	} {
		b := solo(t, append(c.opts, breaker.WithPolicy(short))...)
		_ = b.Run(t.Context(), func(context.Context) error { return c.err })
		s, _ := b.Snapshot(t.Context())
		if len(s.Errors) != 1 || s.Errors[0].Label != c.want {
			t.Errorf("%s: %v is labelled %v; want %q", name, c.err, s.Errors, c.want)
		}
	}
}

func TestAnErrorLabelIsCutCleanedAndOutlivesItsPanic(t *testing.T) {
	for want, fn := range map[string]func(error) string{
		strings.Repeat("é", 32): func(error) string { return strings.Repeat("é", 40) },
		"a\ufffdb":              func(error) string { return "a\nb" },
		"":                      func(error) string { panic("label") },
	} {
		heard := make(chan breaker.Event, 1)
		b := solo(t, breaker.WithPolicy(short), breaker.WithErrorLabel(fn), breaker.WithListener(func(e breaker.Event) { heard <- e }))
		times(3, func() { _ = b.Run(t.Context(), fail) })
		var got string
		if errs := (<-heard).Transition.Errors; len(errs) > 0 {
			got = errs[0].Label
		}
		if got != want {
			t.Errorf("labelled %q; want %q", got, want)
		}
	}
}

func TestStoreDownHasATextForm(t *testing.T) {
	for _, want := range []breaker.StoreDown{breaker.OwnVerdict, breaker.AdmitAll, breaker.RejectAll} {
		text, err := want.MarshalText()
		var got breaker.StoreDown
		if err != nil || got.UnmarshalText(text) != nil || got != want || want.String() != string(text) {
			t.Errorf("%v: %s, %v", want, text, err)
		}
	}
	var s breaker.StoreDown
	if err := s.UnmarshalText([]byte("never")); !errors.Is(err, store.ErrInvalid) {
		t.Error(err)
	}
}

func TestANilAmongIgnoredErrorsMakesNoSuccessIgnored(t *testing.T) {
	// errors.Is(nil, nil) holds: every probe that succeeded was Ignored, and the breaker never closed.
	inVirtualTime(t, func(t *testing.T) {
		b := solo(t, breaker.WithIgnore(nil, context.Canceled))
		times(5, func() { _ = b.Run(t.Context(), fail) })
		wantState(t, b, breaker.Open)
		time.Sleep(time.Minute)
		times(2, func() { _ = b.Run(t.Context(), succeed) })
		wantState(t, b, breaker.Closed)
	})
}
