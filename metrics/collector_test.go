package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/fallback"
	"github.com/commontrip/commontrip/health"
	"github.com/commontrip/commontrip/metrics"
	"github.com/commontrip/commontrip/retry"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

func TestAScrapeAsksTheStoreNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newRemoteStore()
		r := newReplica(t, shared, "a")
		r.sync()
		synctest.Wait() // what else was on its way has ended
		shared.Cut()    // who asks it now waits
		start := time.Now()
		for range 100 {
			gather(t, r.c)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("100 scrapes waited %v for the store", took)
		}
		shared.Mend()
	})
}

// A registry sorts what is sorted in a fraction of the time.
func TestAScrapeComesInTheRegistrysOrder(t *testing.T) {
	c := metrics.NewCollector(statuses{{Name: "a"}, {Name: "b"}, {Name: "c"}}, metrics.WithLabels(prometheus.Labels{"app": "x"}))
	out := make(chan prometheus.Metric)
	go func() {
		defer close(out)
		c.Collect(out)
	}()
	var last *prometheus.Desc
	var before string
	seen := map[*prometheus.Desc]bool{}
	for m := range out {
		var series dto.Metric
		if err := m.Write(&series); err != nil {
			t.Fatal(err)
		}
		var labels strings.Builder
		for _, l := range series.GetLabel() {
			fmt.Fprintf(&labels, "%s\x00", l.GetValue())
		}
		switch {
		case m.Desc() == last && labels.String() <= before:
			t.Errorf("%q comes after %q: %v", &labels, before, m.Desc())
		case m.Desc() != last && seen[m.Desc()]:
			t.Errorf("its series are mixed with others': %v", m.Desc())
		}
		last, before, seen[m.Desc()] = m.Desc(), labels.String(), true
	}
}

func TestTheNamesKeepPrometheusCustoms(t *testing.T) {
	c := everything(t)
	problems, err := testutil.CollectAndLint(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestWhatIsBeyondTheLimitIsLeftOutAndSaidSo(t *testing.T) {
	r := newReplica(t, memorystore.New(), "a")
	for i := range 4 {
		if _, err := r.m.Register(t.Context(), fmt.Sprintf("b%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	c := metrics.NewCollector(r.m, metrics.WithLimit(3))
	if all, out := value(t, c, "commontrip_breakers"), value(t, c, "commontrip_breakers_left_out"); all != 5 || out != 2 {
		t.Errorf("%v breakers, %v left out; want 5, 2", all, out)
	}
	for i, name := range []string{"b0", "b1", "b2"} {
		if m := family(t, c, "commontrip_own_verdict").GetMetric(); len(m) != 3 || !matches(m[i], []string{"breaker", name}) {
			t.Errorf("shown: %v; want the first 3 by name", m)
		}
	}
}

func TestALabelThatIsTakenIsRefusedWhereTheCollectorIsRegistered(t *testing.T) {
	r := newReplica(t, memorystore.New(), "a")
	for _, labels := range []prometheus.Labels{{"breaker": "x"}, {"chain": "x"}, {"no name": "\xff"}} {
		c := metrics.NewCollector(r.m, metrics.WithLabels(labels))
		if err := prometheus.NewRegistry().Register(c); err == nil {
			t.Errorf("%v is accepted", labels)
		}
	}
	c := metrics.NewCollector(r.m, metrics.WithLabels(prometheus.Labels{"fleet": "payments"}))
	if n := value(t, c, "commontrip_state", "fleet", "payments", "state", "closed"); n != 1 {
		t.Errorf("with a label of ours: %v", n)
	}
}

// A label value that is not UTF-8 makes Prometheus refuse the whole scrape.
func TestNoNameSpoilsTheScrape(t *testing.T) {
	r := newReplica(t, memorystore.New(), "ü{}\"\\ ")
	if _, err := r.m.Register(t.Context(), `a"b\c{}=,𝛼`); err != nil {
		t.Fatal(err)
	}
	c := metrics.NewCollector(r.m)
	c.Fallback("\xff")(t.Context(), fallback.Trace{Tier: "\xfe", Attempts: []fallback.Attempt{{Tier: "\xfd"}}})
	c.Retry("\xff")(retry.Attempt{})
	gather(t, c)
}

func TestAChainCountsWhoServedAndWhoWasPassed(t *testing.T) {
	r := newReplica(t, memorystore.New(), "a")
	c := metrics.NewCollector(r.m)
	refuses := guard(func(context.Context, func(context.Context) error) error { return breaker.ErrOpen })
	var restFails bool
	chain, err := fallback.New([]fallback.Tier[int, int]{
		{Name: "mcp", Call: func(context.Context, int) (int, error) { return 0, nil }, Guards: []fallback.Guard{refuses}},
		{Name: "sdk", Call: func(context.Context, int) (int, error) { return 0, errTier }},
		{Name: "rest", Call: func(context.Context, int) (int, error) {
			if restFails {
				return 0, errTier
			}
			return 7, nil
		}},
	}, fallback.WithObserver(c.Fallback("docs")))
	if err != nil {
		t.Fatal(err)
	}
	if n := value(t, c, "commontrip_fallback_failed_total", "chain", "docs"); n != 0 {
		t.Errorf("before any request %v failed", n)
	}
	_, _ = chain.Do(t.Context(), 1)
	_, _ = chain.Do(t.Context(), 1)
	restFails = true
	_, _ = chain.Do(t.Context(), 1)
	for _, want := range []struct {
		n      float64
		name   string
		labels []string
	}{
		{2, "served_total", []string{"tier", "rest"}},
		{1, "failed_total", nil},
		{3, "passed_total", []string{"tier", "mcp", "why", "skipped"}},
		{3, "passed_total", []string{"tier", "sdk", "why", "failed"}},
		{1, "passed_total", []string{"tier", "rest", "why", "failed"}},
		{3, "duration_seconds", nil},
	} {
		if n := value(t, c, "commontrip_fallback_"+want.name, append(want.labels, "chain", "docs")...); n != want.n {
			t.Errorf("%s %v is %v; want %v", want.name, want.labels, n, want.n)
		}
	}
}

type guard func(ctx context.Context, fn func(context.Context) error) error

func (g guard) Run(ctx context.Context, fn func(context.Context) error) error { return g(ctx, fn) }

func TestRetriesAreCountedWithTheirWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReplica(t, memorystore.New(), "a")
		c := metrics.NewCollector(r.m)
		again, err := retry.New(retry.Policy{Attempts: 3, Delay: time.Second, Jitter: retry.NoJitter}, retry.WithOnRetry(c.Retry("docs")))
		if err != nil {
			t.Fatal(err)
		}
		_ = again.Run(t.Context(), func(context.Context) error { return errTier })
		if n, s := value(t, c, "commontrip_retries_total"), value(t, c, "commontrip_retry_waits_seconds_total"); n != 2 || s != 3 {
			t.Errorf("%v retries, %v s waited; want 2, 3", n, s)
		}
	})
}

func TestHealthIsShownOneHot(t *testing.T) {
	r := newReplica(t, memorystore.New(), "a")
	down := errors.New("down")
	monitor, err := health.New(health.Config{DownAfter: 1}, []health.Check{
		{Name: "mcp", Run: func(context.Context) error { return down }},
		{Name: "sdk", Run: func(context.Context) error { return nil }},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer monitor.Close(t.Context())
	c := metrics.NewCollector(r.m, metrics.WithHealth(monitor), metrics.WithHealth(nil))
	if n := value(t, c, "commontrip_health_checked_timestamp_seconds", "check", "mcp"); n != 0 {
		t.Errorf("checked at %v before any check", n)
	}
	_, _ = monitor.Check(t.Context(), "mcp")
	for check, hot := range map[string]string{"mcp": "down", "sdk": "unknown"} {
		for _, h := range []string{"unknown", "up", "down"} {
			want := 0.0
			if h == hot {
				want = 1
			}
			if n := value(t, c, "commontrip_health", "check", check, "health", h); n != want {
				t.Errorf("%s %s is %v; want %v", check, h, n, want)
			}
		}
	}
}

func TestNoManagerIsRefusedWithASentence(t *testing.T) {
	defer func() {
		if said, _ := recover().(string); !strings.Contains(said, "breaker.Manager") {
			t.Errorf("it says %q", said)
		}
	}()
	metrics.NewCollector(nil)
}

// everything is a Collector that shows every metric there is.
func everything(t *testing.T) *metrics.Collector {
	t.Helper()
	r := newReplica(t, memorystore.New(), "a")
	monitor, err := health.New(health.Config{}, []health.Check{{Name: "mcp", Run: func(context.Context) error { return nil }}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = monitor.Close(context.Background()) })
	c := metrics.NewCollector(r.m, metrics.WithHealth(monitor))
	observe := c.Fallback("docs")
	observe(t.Context(), fallback.Trace{Tier: "rest", Attempts: []fallback.Attempt{{Tier: "mcp", Skipped: true}, {Tier: "mcp"}}})
	c.Retry("docs")
	return c
}
