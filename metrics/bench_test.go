package metrics_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/dashboard"
	"github.com/commontrip/commontrip/metrics"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

// manager has n breakers on a local store.
func manager(b *testing.B, n int) (*breaker.Manager, *memorystore.Store) {
	b.Helper()
	s := memorystore.New()
	m, err := breaker.NewManager(s)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = m.Close(context.Background()) })
	for i := range n {
		if _, err := m.Register(b.Context(), fmt.Sprintf("tier-%04d", i)); err != nil {
			b.Fatal(err)
		}
	}
	return m, s
}

// BenchmarkScrape1000 tells what a scrape of 1000 breakers costs: what the collector does for it, what the registry makes
// of that, and the whole answer as text. The registry's checks and the text are client_golang's, some 0.5 µs a series.
func BenchmarkScrape1000(b *testing.B) {
	m, _ := manager(b, 1000)
	collector := metrics.NewCollector(m)
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector)
	page := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	for _, part := range []struct {
		name string
		run  func() int
	}{
		{"collect", func() int { return drain(collector) }},
		{"gather", func() int {
			families, err := registry.Gather()
			if err != nil {
				b.Fatal(err)
			}
			return len(families)
		}},
		{"http", func() int {
			w := httptest.NewRecorder()
			page.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
			return w.Body.Len()
		}},
	} {
		b.Run(part.name, func(b *testing.B) {
			b.ReportAllocs()
			part.run() // the first scrape makes the labels
			for b.Loop() {
				if part.run() == 0 {
					b.Fatal("nothing was shown")
				}
			}
		})
	}
}

// drain takes what a collector shows, as a registry does.
func drain(c prometheus.Collector) (shown int) {
	out := make(chan prometheus.Metric, 1000)
	go func() {
		c.Collect(out)
		close(out)
	}()
	for range out {
		shown++
	}
	return shown
}

// BenchmarkCallsWhileWatched tells how much longer a call takes while /metrics is scraped every 20 ms and the page is
// open: short runs of either kind in turn, and the ratio of their medians. It needs a processor to spare.
func BenchmarkCallsWhileWatched(b *testing.B) {
	const (
		pairs = 40
		calls = 1_000_000
	)
	m, s := manager(b, 100)
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics.NewCollector(m))
	board, err := dashboard.New(s, dashboard.WithManager(m))
	if err != nil {
		b.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.Handle("/", board)
	server := httptest.NewServer(mux)
	b.Cleanup(func() {
		_ = board.Close(context.Background())
		server.Close()
	})
	tier, _ := m.Breaker("tier-0000")
	round := func() float64 {
		start := time.Now()
		for range calls {
			_ = tier.Run(b.Context(), nothing)
		}
		return float64(time.Since(start).Nanoseconds()) / calls
	}
	round()
	for b.Loop() {
		var alone, watched []float64
		for range pairs {
			alone = append(alone, round())
			watched = append(watched, whileWatched(b, server.URL, round))
		}
		slices.Sort(alone)
		slices.Sort(watched)
		b.ReportMetric(alone[pairs/2], "alone-ns/call")
		b.ReportMetric(watched[pairs/2], "watched-ns/call")
		b.ReportMetric(watched[pairs/2]/alone[pairs/2], "ratio")
	}
}

func nothing(context.Context) error { return nil }

// whileWatched runs a round with a page open and a scraper at work.
func whileWatched(b *testing.B, address string, round func() float64) float64 {
	ctx, stop := context.WithCancel(b.Context())
	var watchers sync.WaitGroup
	defer watchers.Wait()
	defer stop()
	seen := make(chan struct{}, 2)
	watchers.Go(func() {
		look(ctx, address+"/api/events", func() { seen <- struct{}{} })
	})
	watchers.Go(func() {
		for once := true; ctx.Err() == nil; once = false {
			look(ctx, address+"/metrics", func() {
				if once {
					seen <- struct{}{}
				}
			})
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	<-seen
	<-seen
	return round()
}

// look reads an answer to its end and calls begun if there is one.
func look(ctx context.Context, address string, begun func()) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		panic(err)
	}
	answer, err := http.DefaultClient.Do(request)
	begun()
	if err != nil {
		return
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, answer.Body)
}
