package main

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/config"
	"github.com/commontrip/commontrip/fallback"
	"github.com/commontrip/commontrip/health"
	"github.com/commontrip/commontrip/retry"
	"github.com/commontrip/commontrip/store"
	"github.com/commontrip/commontrip/zaplog"
)

// tierNames are the three tiers of the account service, in the order in which they are asked.
var tierNames = []string{"tier1_mcp", "tier2_sdk", "tier3_rest"}

// nobody is what served a request that no tier did.
const nobody = ""

// chainSpec is the second half's load: each request goes down a chain of tiers. All else stands in the environment.
type chainSpec struct {
	URLs    map[string]string `json:"urls"`    // by tier
	Timeout time.Duration     `json:"timeout"` // of one call
}

// chainLoad asks the tiers of a chain.
type chainLoad struct {
	spec     chainSpec
	store    store.Store
	manager  *breaker.Manager
	breakers map[string]*breaker.Breaker
	monitor  *health.Monitor
	chain    *fallback.Chain[string, string]

	mu     sync.Mutex
	calls  map[string]count // by the tier that served
	recent map[string]int   // the same of the requests that began after the last census
	last   string           // the newest error of a request that every tier refused
	again  time.Duration    // and when that said to ask again
}

func newChainLoad(ctx context.Context, spec chainSpec, logger *zap.Logger, listen func(breaker.Event)) (*chainLoad, error) {
	c, err := config.FromEnv()
	if err != nil {
		return nil, err
	}
	l := &chainLoad{spec: spec, breakers: map[string]*breaker.Breaker{}, calls: map[string]count{}, recent: map[string]int{}}
	if l.store, err = c.Store.Open(); err != nil {
		return nil, err
	}
	options := append(c.ManagerOptions(), breaker.WithListener(listen), breaker.WithListener(zaplog.Listener(logger)))
	if l.manager, err = breaker.NewManager(l.store, options...); err != nil {
		return nil, err
	}
	for _, name := range tierNames {
		if l.breakers[name], err = l.manager.Register(ctx, name, breaker.WithPolicy(c.PolicyFor(name))); err != nil {
			return nil, err
		}
	}
	if err := l.watch(c.Health, logger); err != nil {
		return nil, err
	}
	l.chain, err = l.link(c.Retry)
	return l, err
}

// watch starts the active checks: they bring a tier back without users' calls, and trip nothing.
func (l *chainLoad) watch(c health.Config, logger *zap.Logger) (err error) {
	var checks []health.Check
	for _, name := range tierNames {
		checks = append(checks, health.Check{
			Name: name, Breaker: l.breakers[name], Feed: health.FeedProbes,
			Run: func(ctx context.Context) error {
				return get(ctx, http.DefaultClient, l.spec.URLs[name]+"/health", l.spec.Timeout)
			},
		})
	}
	if l.monitor, err = health.New(c, checks, health.WithListener(zaplog.Health(logger))); err != nil {
		return err
	}
	return l.monitor.Start()
}

// link makes the chain. Each tier is guarded by its health, a retrier and its breaker, in this order: a tier that is down
// is not asked, each attempt is evidence for the breaker, and an open breaker ends the retry.
func (l *chainLoad) link(p retry.Policy) (*fallback.Chain[string, string], error) {
	again, err := retry.New(p)
	if err != nil {
		return nil, err
	}
	var tiers []fallback.Tier[string, string]
	for _, name := range tierNames {
		up, err := l.monitor.Guard(name)
		if err != nil {
			return nil, err
		}
		tiers = append(tiers, fallback.Tier[string, string]{
			Name:   name,
			Guards: []fallback.Guard{up, again, l.breakers[name]},
			Call: func(ctx context.Context, account string) (string, error) {
				url := l.spec.URLs[name] + "/accounts/" + account
				return name, get(ctx, http.DefaultClient, url, l.spec.Timeout)
			},
		})
	}
	return fallback.New(tiers)
}

func (l *chainLoad) serve(ctx context.Context) { _, _ = l.ask(ctx, "42") }

// ask sends one request down the chain, and says which tier served it.
func (l *chainLoad) ask(ctx context.Context, account string) (by string, err error) {
	l.mu.Lock()
	recent := l.recent
	l.mu.Unlock()
	by, trace, err := l.chain.Trace(ctx, account)
	if ctx.Err() != nil {
		return by, err // the asker is gone, or the demo is ending
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.calls[trace.Tier]
	c.Calls++
	c.Wait = max(c.Wait, trace.Elapsed)
	l.calls[trace.Tier] = c
	recent[trace.Tier]++
	if none, is := errors.AsType[*fallback.AllTiersFailedError](err); is && none.RetryAfter() > 0 {
		l.last, l.again = none.Error(), none.RetryAfter()
	}
	return by, err
}

func (l *chainLoad) network(bool) {}

func (l *chainLoad) tally(fresh bool) *replicaTally {
	t := &replicaTally{
		StoreUp: l.manager.Status().StoreUp, Breakers: map[string]belief{}, Calls: map[string]count{}, Health: map[string]string{},
	}
	for name, b := range l.breakers {
		t.Breakers[name] = believe(b.Status())
	}
	for _, s := range l.monitor.All() {
		t.Health[s.Name] = s.Health.String()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for by, c := range l.calls {
		t.Calls[by] = c
		if fresh {
			c.Wait = 0
			l.calls[by] = c
		}
	}
	if fresh {
		t.Recent, l.recent = maps.Clone(l.recent), map[string]int{}
	}
	t.Error, t.Again = l.last, l.again
	return t
}

func (l *chainLoad) close(ctx context.Context) {
	_ = l.monitor.Close(ctx)
	_ = l.manager.Close(ctx)
	_ = l.store.Close()
}
