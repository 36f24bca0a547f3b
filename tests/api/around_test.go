package api

import (
	"context"
	"net/http"
	"testing"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/config"
	"github.com/commontrip/commontrip/fallback"
	"github.com/commontrip/commontrip/health"
	"github.com/commontrip/commontrip/retry"
	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/transport/breakergrpc"
	"github.com/commontrip/commontrip/transport/breakerhttp"
	"github.com/commontrip/commontrip/zaplog"
)

// Every guard has the one shape.
var (
	_ fallback.Guard = (*breaker.Breaker)(nil)
	_ fallback.Guard = (*retry.Retrier)(nil)
	_ fallback.Guard = (*health.Guard)(nil)
	_ health.Breaker = (*breaker.Breaker)(nil)
)

var (
	_ = retry.Policy{
		Attempts: 1, Delay: 1, MaxDelay: 1, MaxRetryAfter: 1, MaxRefusal: 1, Multiplier: 1, Jitter: retry.FullJitter,
		AttemptTimeout: 1, MaxElapsed: 1,
	}
	_                                                                                        = []retry.Jitter{retry.FullJitter, retry.EqualJitter, retry.NoJitter}
	_ func(retry.Policy) retry.Policy                                                        = retry.Policy.WithDefaults
	_ func(retry.Policy) error                                                               = retry.Policy.Validate
	_ func(retry.Policy, ...retry.Option) (*retry.Retrier, error)                            = retry.New
	_ func(context.Context, *retry.Retrier, func(context.Context) (int, error)) (int, error) = retry.Do[int]
	_ func(func(error) bool) retry.Option                                                    = retry.WithRetryIf
	_ func(*retry.Budget) retry.Option                                                       = retry.WithBudget
	_ func(func(retry.Attempt)) retry.Option                                                 = retry.WithOnRetry
	_ func(float64, int) (*retry.Budget, error)                                              = retry.NewBudget
	_ func(error) error                                                                      = retry.Permanent
	_                                                                                        = retry.Attempt{Number: 1, Err: nil, Wait: 0, Elapsed: 0}
	_                                                                                        = []retry.Cause{retry.ByAttempts, retry.ByTime, retry.ByBudget}
	_                                                                                        = retry.ExhaustedError{Cause: retry.ByTime, Attempts: 1, Elapsed: 1, Last: retry.ErrExhausted}
	_ func([]fallback.Tier[int, int], ...fallback.Option) (*fallback.Chain[int, int], error) = fallback.New[int, int]
	_ func(*fallback.Chain[int, int], context.Context, int) (int, error)                     = (*fallback.Chain[int, int]).Do
	_ func(*fallback.Chain[int, int], context.Context, int) (int, fallback.Trace, error)     = (*fallback.Chain[int, int]).Trace
	_ func(*fallback.Chain[int, int], ...string) (*fallback.Chain[int, int], error)          = (*fallback.Chain[int, int]).Via
	_ func(*fallback.Chain[int, int]) []string                                               = (*fallback.Chain[int, int]).Tiers
	_ func(func(error) bool) fallback.Option                                                 = fallback.WithFallIf
	_ func(func(context.Context, fallback.Trace)) fallback.Option                            = fallback.WithObserver
	_                                                                                        = fallback.Trace{Tier: "", Attempts: []fallback.Attempt{{Tier: "", Skipped: true, Err: nil, Elapsed: 0}}, Elapsed: 0}
	_                                                                                        = fallback.AllTiersFailedError{Attempts: nil}
	_ func(*fallback.AllTiersFailedError) time.Duration                                      = (*fallback.AllTiersFailedError).RetryAfter
	_ func(*fallback.AllTiersFailedError) bool                                               = (*fallback.AllTiersFailedError).Refused
	_ func(*fallback.AllTiersFailedError) []error                                            = (*fallback.AllTiersFailedError).Unwrap
	_ func(*fallback.AllTiersFailedError) bool                                               = (*fallback.AllTiersFailedError).Permanent
	_ error                                                                                  = fallback.ErrAllTiersFailed
)

var (
	_                                                                                = health.Config{Interval: 1, Timeout: 1, DownAfter: 1, UpAfter: 1}
	_ func(health.Config) health.Config                                              = health.Config.WithDefaults
	_ func(health.Config) error                                                      = health.Config.Validate
	_                                                                                = []health.Feed{health.FeedNothing, health.FeedProbes, health.FeedAll}
	_                                                                                = []health.Health{health.Unknown, health.Up, health.Down}
	_                                                                                = health.Check{Name: "", Run: nil, Interval: 0, Timeout: 0, Breaker: nil, Feed: health.FeedNothing}
	_                                                                                = health.Status{Name: "", Health: health.Up, Since: time.Time{}, Checked: time.Time{}, Took: 0, Streak: 0, Err: health.ErrDown}
	_ func(health.Config, []health.Check, ...health.Option) (*health.Monitor, error) = health.New
	_ func(func(health.Status)) health.Option                                        = health.WithListener
	_ func(*health.Monitor) error                                                    = (*health.Monitor).Start
	_ func(*health.Monitor, context.Context) error                                   = (*health.Monitor).Close
	_ func(*health.Monitor, context.Context, string) (health.Status, error)          = (*health.Monitor).Check
	_ func(*health.Monitor, string) (health.Status, bool)                            = (*health.Monitor).Status
	_ func(*health.Monitor) []health.Status                                          = (*health.Monitor).All
	_ func(*health.Monitor, string) (*health.Guard, error)                           = (*health.Monitor).Guard
	_ func(*health.DownError) bool                                                   = (*health.DownError).Refused
	_ func(*health.Monitor, ...string) http.Handler                                  = (*health.Monitor).Handler
	_ func(*health.Monitor, health.Readiness) http.Handler                           = (*health.Monitor).ReadyHandler
	_                                                                                = health.Readiness{Need: nil, Breakers: true}
	_ func(*health.Monitor, health.Check) error                                      = (*health.Monitor).Add
	_ func(*health.Monitor, context.Context, string) error                           = (*health.Monitor).Remove

	_ = config.Config{
		Policy: store.Policy{}, Timing: breaker.Timing{}, StoreDown: breaker.OwnVerdict, Replica: "",
		Retry: retry.Policy{}, Health: health.Config{}, Store: config.Store{URL: "", Prefix: "", Timeout: 0}, Unknown: nil,
	}
	_ func() (config.Config, error)               = config.FromEnv
	_ func([]string) (config.Config, error)       = config.From
	_ func(config.Config, string) store.Policy    = config.Config.PolicyFor
	_ func(config.Config) []breaker.ManagerOption = config.Config.ManagerOptions
	_                                             = config.Error{Variable: "", Value: "", Want: ""}
	_                                             = config.Variable{Name: "", Unit: "", Default: "", Doc: ""}
	_ func() []config.Variable                    = config.Variables
	_ func(*zap.Logger) func(breaker.Event)       = zaplog.Listener
	_ func(*zap.Logger) func(health.Status)       = zaplog.Health
)

type (
	pickRequest = func(*http.Request) (*breaker.Breaker, error)
	pickMethod  = func(string) (*breaker.Breaker, error)
)

var (
	_ func(http.RoundTripper, *breaker.Breaker, ...breakerhttp.Option) http.RoundTripper           = breakerhttp.NewTransport
	_ func(*breaker.Breaker, ...breakerhttp.Option) func(http.Handler) http.Handler                = breakerhttp.Middleware
	_ func(func(*http.Response, error) breaker.Outcome) breakerhttp.Option                         = breakerhttp.WithOutcome
	_ func(pickRequest) breakerhttp.Option                                                         = breakerhttp.WithPick
	_ func(func(http.ResponseWriter, *http.Request, error)) breakerhttp.Option                     = breakerhttp.WithRefusal
	_ func(*breaker.Manager, int, ...breaker.Option) func(*http.Request) (*breaker.Breaker, error) = breakerhttp.PerHost
	_ func(http.ResponseWriter, error) bool                                                        = breakerhttp.WriteError
	_ func() breakerhttp.Option                                                                    = breakerhttp.WithBodyOutcome
	_ string                                                                                       = breakerhttp.RefusedHeader
	_                                                                                              = breakerhttp.StatusError{Code: 503, Wait: 1, Guard: true}
	_ func(*breakerhttp.StatusError) bool                                                          = (*breakerhttp.StatusError).Refused
	_ func(*http.Response) error                                                                   = breakerhttp.CheckResponse
	_ func(context.Context, *http.Request) (*http.Request, error)                                  = breakerhttp.Attempt
	_ func(error) bool                                                                             = breakerhttp.Retryable
	_ error                                                                                        = breakerhttp.ErrSentOnce
	_ func(error) bool                                                                             = breakergrpc.Retryable
	_ func(*breaker.Breaker, ...breakergrpc.Option) grpc.UnaryClientInterceptor                    = breakergrpc.UnaryClientInterceptor
	_ func(*breaker.Breaker, ...breakergrpc.Option) grpc.StreamClientInterceptor                   = breakergrpc.StreamClientInterceptor
	_ func(*breaker.Breaker, ...breakergrpc.Option) grpc.UnaryServerInterceptor                    = breakergrpc.UnaryServerInterceptor
	_ func(*breaker.Breaker, ...breakergrpc.Option) grpc.StreamServerInterceptor                   = breakergrpc.StreamServerInterceptor
	_ func(...codes.Code) breakergrpc.Option                                                       = breakergrpc.WithFailureCodes
	_ []string                                                                                     = []string{breakergrpc.RefusedReason, breakergrpc.RefusedDomain}
	_ func(pickMethod) breakergrpc.Option                                                          = breakergrpc.WithPick
	_ func(*breaker.Manager, int, ...breaker.Option) func(string) (*breaker.Breaker, error)        = breakergrpc.PerMethod
)

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
