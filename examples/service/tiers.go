package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/config"
	"github.com/commontrip/commontrip/fallback"
	"github.com/commontrip/commontrip/health"
	"github.com/commontrip/commontrip/metrics"
	"github.com/commontrip/commontrip/oteltrip"
	"github.com/commontrip/commontrip/retry"
	"github.com/commontrip/commontrip/transport/breakerhttp"
)

// parts are what the tiers' guards are made of.
type parts struct {
	env       config.Config
	breakers  *breaker.Manager
	monitor   *health.Monitor
	collector *metrics.Collector
	told      *oteltrip.Telemetry
}

type nothing struct{}

// newQuotes makes the chain of tiers. The first is one service behind one breaker, and its health is checked. The second is several
// hosts, each behind a breaker of its own. The third is the last quote that this replica got, which needs no guard.
func newQuotes(ctx context.Context, p parts) (*fallback.Chain[nothing, string], error) {
	again, err := newRetrier(p)
	if err != nil {
		return nil, err
	}
	quotes, err := p.breakers.Register(ctx, "quotes", breaker.WithPolicy(p.env.PolicyFor("quotes")))
	if err != nil {
		return nil, err
	}
	fetchQuote := func(ctx context.Context) (string, error) { return fetch(ctx, client, *tier) }
	// While the breaker is not closed the checks are its probes: the tier comes back without callers being tried on it.
	if err := p.monitor.Add(health.Check{
		Name: "quotes", Run: func(ctx context.Context) error { _, err := fetchQuote(ctx); return err }, Breaker: quotes, Feed: health.FeedProbes,
	}); err != nil {
		return nil, err
	}
	up, err := p.monitor.Guard("quotes")
	if err != nil {
		return nil, err
	}
	var last atomic.Pointer[string]
	remember := func(text string, err error) (string, error) {
		if err == nil {
			last.Store(&text)
		}
		return text, err
	}
	tiers := []fallback.Tier[nothing, string]{{
		Name: "quotes", Guards: []fallback.Guard{up, again, quotes}, Timeout: 2 * time.Second,
		Call: func(ctx context.Context, _ nothing) (string, error) { return remember(fetchQuote(ctx)) },
	}}
	if *mirrors != "" {
		fetchMirror := newMirrors(p.breakers, strings.Split(*mirrors, ","))
		tiers = append(tiers, fallback.Tier[nothing, string]{
			Name: "mirrors", Guards: []fallback.Guard{again}, Timeout: 2 * time.Second,
			Call: func(ctx context.Context, _ nothing) (string, error) { return remember(fetchMirror(ctx)) },
		})
	}
	tiers = append(tiers, fallback.Tier[nothing, string]{Name: "memory", Call: func(context.Context, nothing) (string, error) {
		if text := last.Load(); text != nil {
			return *text, nil
		}
		return "", errNoQuoteYet
	}})
	return fallback.New(tiers, fallback.WithObserver(p.collector.Fallback("quotes")), fallback.WithObserver(p.told.Fallback("quotes")))
}

// errNoQuoteYet is a refusal: nobody was asked, so that callers hear when to come back from those who were.
var errNoQuoteYet = breaker.AsRefusal(errors.New("no quote was seen yet"))

// newRetrier makes the retrier of both tiers. It makes one extra attempt in five calls, and ten a second beside that, so that an
// outage is not answered with twice the load.
func newRetrier(p parts) (*retry.Retrier, error) {
	budget, err := retry.NewBudget(0.2, 10)
	if err != nil {
		return nil, err
	}
	return retry.New(p.env.Retry, retry.WithBudget(budget), retry.WithRetryIf(breakerhttp.Retryable),
		retry.WithOnRetry(p.collector.Retry("quotes")), retry.WithObserver(p.told.Retry("quotes")))
}

// client has a span for each request, by which the tier's own spans are found.
var client = &http.Client{Transport: otelhttp.NewTransport(http.DefaultTransport)}

// newMirrors asks one host after the other, in turn, so that a second attempt goes to another host.
func newMirrors(m *breaker.Manager, urls []string) func(context.Context) (string, error) {
	perHost := &http.Client{Transport: breakerhttp.NewTransport(client.Transport, nil, breakerhttp.WithPick(breakerhttp.PerHost(m, len(urls))))}
	var next atomic.Uint64
	return func(ctx context.Context) (string, error) {
		return fetch(ctx, perHost, strings.TrimSpace(urls[next.Add(1)%uint64(len(urls))]))
	}
}

func fetch(ctx context.Context, client *http.Client, url string) (string, error) {
	if url == "" {
		return "", errors.New("connection refused")
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if err := breakerhttp.CheckResponse(resp); err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return string(text), err
}
