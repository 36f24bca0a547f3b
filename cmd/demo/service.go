package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/config"
	"github.com/commontrip/commontrip/fallback"
	"github.com/commontrip/commontrip/health"
	"github.com/commontrip/commontrip/retry"
	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/zaplog"
)

// serviceSpec is what a replica serves. All else stands in its environment, which package config reads.
type serviceSpec struct {
	Name    string        // of the replica, in its log
	Tiers   []endpoint    // in the order in which they are asked
	Timeout time.Duration // of one call of a tier
	Rate    float64       // requests a second that a replica process makes of itself
	Alone   bool          // each request is sent on the way of that name too; no checks then, as they would hide what breakers do
}

// endpoint is a tier as a replica calls it.
type endpoint struct {
	Name, URL string
	Loss      float64 // the share of calls that the network loses on their way there
}

// service is a replica at work. Each request goes down a chain of tiers. Each tier is guarded by its health check, a retrier
// and its breaker, in this order: a tier that is down is not asked, each attempt is evidence for the breaker, and an open
// breaker ends the retry.
type service struct {
	spec    serviceSpec
	store   store.Store
	manager *breaker.Manager
	monitor *health.Monitor
	again   *retry.Retrier
	ways    []*way      // the shared one first
	cut     atomic.Bool // this replica's network loses every call
}

// newService registers the breakers, so it waits for the fleet's verdict for up to StartTimeout. The caller closes it.
func newService(ctx context.Context, spec serviceSpec, listen func(breaker.Event)) (*service, error) {
	c, err := config.FromEnv()
	if err != nil {
		return nil, err
	}
	s := &service{spec: spec}
	if s.store, err = c.Store.Open(); err != nil {
		return nil, err
	}
	log := newLogger(spec.Name)
	options := append(c.ManagerOptions(), breaker.WithListener(listen), breaker.WithListener(zaplog.Listener(log)))
	if s.manager, err = breaker.NewManager(s.store, options...); err != nil {
		return nil, err
	}
	if s.again, err = retry.New(c.Retry); err != nil {
		return nil, err
	}
	if s.monitor, err = health.New(c.Health, nil, health.WithListener(zaplog.Health(log))); err != nil {
		return nil, err
	}
	err = s.addWay(shared, func(name string) (*breaker.Breaker, error) {
		return s.manager.Register(ctx, name, breaker.WithPolicy(c.PolicyFor(name)))
	})
	if err == nil && spec.Alone {
		err = s.addWay(alone, func(name string) (*breaker.Breaker, error) {
			policy := c.PolicyFor(name)
			policy.Reporters = 1 // it has nobody to agree with
			return breaker.New(name, breaker.WithPolicy(policy))
		})
	}
	if err != nil {
		return nil, err
	}
	return s, s.monitor.Start()
}

// newLogger writes one JSON object a line to standard error.
func newLogger(replica string) *zap.Logger {
	encoder := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(os.Stderr), zap.InfoLevel)).With(zap.String("replica", replica))
}

// addWay adds a way down all tiers, through breakers that register gives.
func (s *service) addWay(name string, register func(tier string) (*breaker.Breaker, error)) (err error) {
	w := &way{name: name, n: newCount(), recent: map[string]int{}}
	var tiers []fallback.Tier[string, string]
	for _, to := range s.spec.Tiers {
		b, err := register(to.Name)
		if err != nil {
			return err
		}
		guards := []fallback.Guard{s.again, gauge{b, w}}
		if !s.spec.Alone {
			up, err := s.watch(to, b)
			if err != nil {
				return err
			}
			guards = slices.Insert(guards, 0, up)
		}
		tiers = append(tiers, fallback.Tier[string, string]{
			Name: to.Name, Guards: guards,
			Call: func(ctx context.Context, account string) (string, error) {
				return to.Name, s.call(ctx, to, "/"+name+"?account="+account)
			},
		})
	}
	w.chain, err = fallback.New(tiers)
	s.ways = append(s.ways, w)
	return err
}

// watch checks a tier. The check brings it back without users' calls, and trips nothing.
func (s *service) watch(to endpoint, b *breaker.Breaker) (fallback.Guard, error) {
	err := s.monitor.Add(health.Check{
		Name: to.Name, Breaker: b, Feed: health.FeedProbes,
		Run: func(ctx context.Context) error { return s.call(ctx, to, "/health") },
	})
	if err != nil {
		return nil, err
	}
	return s.monitor.Guard(to.Name)
}

// serve sends one request on every way.
func (s *service) serve(ctx context.Context) {
	var all sync.WaitGroup
	for _, w := range s.ways {
		all.Go(func() { w.ask(ctx) })
	}
	all.Wait()
}

// errLost is a call that did not reach a tier: it says nothing about the tier.
var errLost = &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ENETUNREACH)}

// call makes one call of a tier and reads its answer.
func (s *service) call(ctx context.Context, to endpoint, path string) error {
	if s.cut.Load() || rand.Float64() < to.Loss { //nolint:gosec // no secret
		return errLost
	}
	ctx, cancel := context.WithTimeout(ctx, s.spec.Timeout)
	defer cancel()
	_, err := fetch(ctx, to.URL+path, "")
	return err
}

// statusError is an answer other than 200: its HTTP status.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("the tier answered %d", int(e)) }

// StatusCode lets the breaker label the error.
func (e statusError) StatusCode() int { return int(e) }

// fetch gets what a URL answers, at most a megabyte of it, or posts a body to it if there is one.
func fetch(ctx context.Context, url, body string) (string, error) {
	method := http.MethodGet
	if body != "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err == nil && res.StatusCode != http.StatusOK {
		err = statusError(res.StatusCode)
	}
	return string(answer), err
}

// belief is what a replica holds of a tier.
type belief struct {
	State      breaker.State
	Mode       breaker.Mode
	Own        bool   // the replica's own verdict rules
	Generation uint64 // the fleet's, as last seen
	Down       bool   // by the replica's own check
}

// beliefs gives what the replica holds of each tier, and whether the store answers it.
func (s *service) beliefs() (held map[string]belief, storeUp bool) {
	held = map[string]belief{}
	status := s.manager.Status()
	for _, b := range status.Breakers {
		held[b.Name] = belief{State: b.State, Mode: b.Mode, Own: b.Verdict == breaker.Own, Generation: b.Fleet.Generation}
	}
	for _, check := range s.monitor.All() {
		b := held[check.Name]
		b.Down = check.Health == health.Down
		held[check.Name] = b
	}
	return held, status.StoreUp
}

// close ends it within a second, with what can be reported in that.
func (s *service) close() {
	ctx, done := context.WithTimeout(context.Background(), time.Second)
	defer done()
	_ = s.monitor.Close(ctx)
	_ = s.manager.Close(ctx)
	_ = s.store.Close()
}
