package api

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/store"
	storekit "github.com/commontrip/commontrip/store/kit"
	memorystore "github.com/commontrip/commontrip/store/memory"
	postgresstore "github.com/commontrip/commontrip/store/postgres"
	redisstore "github.com/commontrip/commontrip/store/redis"
	"github.com/commontrip/commontrip/store/storetest"
)

var (
	_ func() store.Policy             = store.DefaultPolicy
	_ func() store.Policy             = store.FleetPolicy
	_ func(store.Policy) store.Policy = store.Policy.WithDefaults
	_ func(store.Policy) error        = store.Policy.Validate
	_ func(string) error              = store.ValidateName
	_                                 = store.PolicyError{Field: "", Value: "", Range: ""}
	_ store.Pinger                    = (*redisstore.Store)(nil)
	_ store.Store                     = (*redisstore.Store)(nil)
	_ store.Store                     = (*memorystore.Store)(nil)

	_ func(...memorystore.Option) *memorystore.Store                               = memorystore.New
	_ func(func() time.Time) memorystore.Option                                    = memorystore.WithClock
	_ func(store.Snapshot) store.State                                             = store.Snapshot.Effective
	_ func(string, ...redisstore.Option) (*redisstore.Store, error)                = redisstore.Open
	_ func(redis.UniversalClient, ...redisstore.Option) (*redisstore.Store, error) = redisstore.New
	_ func(string) redisstore.Option                                               = redisstore.WithPrefix
	_ func(time.Duration) redisstore.Option                                        = redisstore.WithTimeout
	_ func(int) redisstore.Option                                                  = redisstore.WithBudget
	_ func(func() time.Time) redisstore.Option                                     = redisstore.WithClock
	_ func(*redisstore.Store, context.Context) error                               = (*redisstore.Store).Ping
	_ func(storekit.Backend, ...storekit.Option) (*storekit.Store, error)          = storekit.New
	_ func(string) storekit.Option                                                 = storekit.WithKind
	_ func(time.Duration) storekit.Option                                          = storekit.WithTimeout
	_ func(int) storekit.Option                                                    = storekit.WithBudget
	_ func(time.Duration) storekit.Option                                          = storekit.WithHeartbeat
	_ func(int) storekit.Option                                                    = storekit.WithMaxPush
	_ func(func() time.Time) storekit.Option                                       = storekit.WithClock
	_ store.Store                                                                  = (*storekit.Store)(nil)
	_ store.Pinger                                                                 = (*storekit.Store)(nil)
	_ func(string, ...postgresstore.Option) (*postgresstore.Store, error)          = postgresstore.Open
	_ func(*pgxpool.Pool, ...postgresstore.Option) (*postgresstore.Store, error)   = postgresstore.New
	_ func(context.Context, string) (int, int, error)                              = postgresstore.Migrate
	_ func(string) postgresstore.Option                                            = postgresstore.WithPrefix
	_ func(time.Duration) postgresstore.Option                                     = postgresstore.WithTimeout
	_ func(time.Duration) postgresstore.Option                                     = postgresstore.WithLockTimeout
	_ func(string) postgresstore.Option                                            = postgresstore.WithListenURL
	_ func() postgresstore.Option                                                  = postgresstore.WithAsyncCommit
	_ func() postgresstore.Option                                                  = postgresstore.WithMigrate
	_ func(int) postgresstore.Option                                               = postgresstore.WithBudget
	_ func(time.Duration) postgresstore.Option                                     = postgresstore.WithHeartbeat
	_ func(func() time.Time) postgresstore.Option                                  = postgresstore.WithClock
	_ store.Store                                                                  = (*postgresstore.Store)(nil)
	_ store.Pinger                                                                 = (*postgresstore.Store)(nil)
	_                                                                              = postgresstore.Error{Err: postgresstore.ErrTables}
	_ func() []storetest.Law                                                       = storetest.Laws
	_ func(*testing.T, func(testing.TB) storetest.Harness)                         = storetest.Run
	_ func(*testing.T, func(testing.TB) storetest.Harness)                         = storetest.RunParallel
)

// A back end of somebody else's has these methods and no more.
type backend interface {
	Step(ctx context.Context, names []string, judge storekit.Judge) error
	Look(ctx context.Context, names []string) (int64, []storekit.Record, error)
	Follow(ctx context.Context, ready func(), push func([]byte)) error
	Sweep(ctx context.Context, now int64) error
	Close() error
}

var (
	_ storekit.Backend = backend(nil)
	_                  = storekit.Record{Name: "", Data: nil, Shown: true, Generation: 0, Rev: 0, Expires: 0}
	_                  = storekit.Effect{Put: []storekit.Record{}, Push: [][]byte{}}
	_ storekit.Judge   = func(int64, []storekit.Record) storekit.Effect { return storekit.Effect{} }
)

var _ = storetest.Harness{
	Open: func(testing.TB, func() time.Time) store.Store { return nil },
	Wipe: func(testing.TB) {}, OpenReal: func(testing.TB) store.Store { return nil }, Names: func(testing.TB) int { return 0 },
	Freeze: func(testing.TB, string) {}, Cut: func(testing.TB) {}, Silence: func(testing.TB) {},
}

var _ = storetest.Law{Name: "", Why: "", Check: func(testing.TB, storetest.Harness) {}}

var (
	_ func(string, ...breaker.Option) (*breaker.Breaker, error)                                    = breaker.New
	_ func(context.Context, *breaker.Breaker, func(context.Context) (int, error)) (int, error)     = breaker.Do[int]
	_ func(*breaker.Breaker, context.Context, func(context.Context) error) error                   = (*breaker.Breaker).Run
	_ func(*breaker.Breaker, context.Context) (breaker.Permit, error)                              = (*breaker.Breaker).Acquire
	_ func(*breaker.Breaker) string                                                                = (*breaker.Breaker).Name
	_ func(*breaker.Breaker) breaker.State                                                         = (*breaker.Breaker).State
	_ func(*breaker.Breaker) breaker.Status                                                        = (*breaker.Breaker).Status
	_ func(*breaker.Breaker, context.Context) (breaker.Snapshot, error)                            = (*breaker.Breaker).Snapshot
	_ func(*breaker.Breaker, context.Context, breaker.Command) (breaker.Snapshot, error)           = (*breaker.Breaker).Command
	_ func(*breaker.Permit) context.Context                                                        = (*breaker.Permit).Context
	_ func(*breaker.Permit) bool                                                                   = (*breaker.Permit).Probe
	_ func(*breaker.Permit, error)                                                                 = (*breaker.Permit).Done
	_ func(*breaker.Permit, breaker.Outcome)                                                       = (*breaker.Permit).Record
	_ func(breaker.Policy) breaker.Option                                                          = breaker.WithPolicy
	_ func(breaker.Classifier) breaker.Option                                                      = breaker.WithClassifier
	_ func(...error) breaker.Option                                                                = breaker.WithIgnore
	_ func(func(error) string) breaker.Option                                                      = breaker.WithErrorLabel
	_ func(map[error]string) breaker.Option                                                        = breaker.WithErrorLabels
	_ func(error) bool                                                                             = breaker.IsRefusal
	_ func(error) error                                                                            = breaker.AsRefusal
	_ func(string, breaker.Refusal, time.Duration) *breaker.OpenError                              = breaker.NewOpenError
	_ func(*breaker.OpenError) bool                                                                = (*breaker.OpenError).Refused
	_ func(func(breaker.Event)) breaker.Option                                                     = breaker.WithListener
	_ func(string) breaker.ManagerOption                                                           = breaker.WithReplica
	_ func(breaker.Timing) breaker.ManagerOption                                                   = breaker.WithTiming
	_ func(breaker.StoreDown) breaker.ManagerOption                                                = breaker.WithStoreDown
	_ func(breaker.Timing) breaker.Timing                                                          = breaker.Timing.WithDefaults
	_ func(breaker.Timing) error                                                                   = breaker.Timing.Validate
	_ breaker.Classifier                                                                           = breaker.DefaultClassifier
	_ func(*breaker.OpenError) time.Duration                                                       = (*breaker.OpenError).RetryAfter
	_ func(breaker.Event) string                                                                   = breaker.Event.String
	_ func(breaker.Event) slog.Value                                                               = breaker.Event.LogValue
	_ func(store.Store, ...breaker.ManagerOption) (*breaker.Manager, error)                        = breaker.NewManager
	_ func(*breaker.Manager, context.Context, string, ...breaker.Option) (*breaker.Breaker, error) = (*breaker.Manager).Register
	_ func(*breaker.Manager, context.Context, string, ...breaker.Option) (*breaker.Breaker, error) = (*breaker.Manager).GetOrRegister
	_ func(*breaker.Manager, string) (*breaker.Breaker, bool)                                      = (*breaker.Manager).Breaker
	_ func(*breaker.Manager, string) error                                                         = (*breaker.Manager).Unregister
	_ func(*breaker.Manager) []string                                                              = (*breaker.Manager).Names
	_ func(*breaker.Manager) string                                                                = (*breaker.Manager).Replica
	_ func(*breaker.Manager) breaker.ManagerStatus                                                 = (*breaker.Manager).Status
	_ func(*breaker.Manager, context.Context) ([]breaker.Snapshot, error)                          = (*breaker.Manager).Snapshots
	_ func(*breaker.Manager, context.Context, breaker.Command) (breaker.Snapshot, error)           = (*breaker.Manager).Command
	_ func(*breaker.Manager, context.Context, string) error                                        = (*breaker.Manager).Reset
	_ func(*breaker.Manager, context.Context) error                                                = (*breaker.Manager).ResetAll
	_ func(*breaker.Manager, context.Context) error                                                = (*breaker.Manager).Sync
	_ func(*breaker.Manager) store.Store                                                           = (*breaker.Manager).Store
	_ func(*breaker.Manager, context.Context) error                                                = (*breaker.Manager).Close
)

var (
	_ breaker.ManagerOption = breaker.Option(nil) // an Option is the Manager's default for every Register
	_                       = breaker.Timing{FlushInterval: 1, RefreshInterval: 1, StaleAfter: 1, StartTimeout: 1, ClaimTimeout: 1}
	_                       = []breaker.StoreDown{breaker.OwnVerdict, breaker.AdmitAll, breaker.RejectAll}
	_                       = []breaker.State{breaker.Closed, breaker.Open, breaker.HalfOpen}
	_                       = []breaker.Mode{breaker.Auto, breaker.ForcedOpen, breaker.ForcedClosed}
	_                       = []breaker.Outcome{breaker.Success, breaker.Failure, breaker.Ignored}
	_                       = []breaker.Verdict{breaker.Fleet, breaker.Own}
	_                       = []breaker.Action{breaker.ForceOpen, breaker.ForceClosed, breaker.Lift, breaker.Trip, breaker.Reset, breaker.Retune, breaker.Restore}
	_                       = []breaker.Reason{
		breaker.ByConsecutiveFailures, breaker.ByFailureRate, breaker.BySlowCallRate, breaker.ByProbeFailure,
		breaker.ByProbeSuccesses, breaker.ByTime, breaker.ByOperator, breaker.ByRepair,
	}
	_ = []breaker.EventKind{
		breaker.Transitioned, breaker.Commanded, breaker.StoreLost, breaker.StoreBack,
		breaker.OwnTripped, breaker.OwnClosed, breaker.PolicyConflict, breaker.Repaired,
	}
	_ = []breaker.Refusal{
		breaker.RefusedOpen, breaker.RefusedProbing, breaker.RefusedForced, breaker.RefusedRampUp, breaker.RefusedStoreDown,
	}
	_ = breaker.OpenError{Name: "", Refusal: breaker.RefusedOpen, Reason: store.ByTime}
	_ = breaker.Event{Kind: breaker.Transitioned, Name: "", Transition: store.Transition{}, Err: nil}
	_ = breaker.Status{
		Name: "", State: 0, Mode: 0, Verdict: breaker.Fleet, RetryAfter: 0, Fleet: breaker.Snapshot{}, FleetAge: 0,
		Pending: 0, Totals: store.Totals{}, Lost: 0, Refused: map[breaker.Refusal]uint64{},
	}
	_ = breaker.ManagerStatus{Replica: "", StoreUp: true, SinceExchange: 0, Exchanges: 0, ExchangeErrors: 0, Breakers: []breaker.Status{}}
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
