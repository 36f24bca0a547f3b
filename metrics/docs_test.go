package metrics

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/internal/figures"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

var update = flag.Bool("update", false, "write ../docs/metrics.md again")

func TestTheWrittenTableIsTheCollectors(t *testing.T) {
	const path = "../docs/metrics.md"
	want := document(t)
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s is not what the collector shows (%v); run: go test ./metrics -update", path, err)
	}
}

func TestEveryMetricIsDescribed(t *testing.T) {
	seen := map[string]bool{}
	for i, m := range figures.Table {
		if m.Name == "" || m.Help == "" || m.Join == "" || seen[m.Name] {
			t.Errorf("metric %d: %+v", i, m)
		}
		if !strings.HasSuffix(m.Help, ".") {
			t.Errorf("%s: the help is not a sentence", m.Name)
		}
		seen[m.Name] = true
	}
}

// seriesOf counts the series that n breakers are shown as.
func seriesOf(t *testing.T, n int) int {
	t.Helper()
	m, err := breaker.NewManager(memorystore.New())
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if _, err := m.Register(t.Context(), fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	defer m.Close(t.Context())
	registry := prometheus.NewRegistry()
	registry.MustRegister(NewCollector(m))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, f := range families {
		for _, s := range f.GetMetric() {
			count++
			if h := s.GetHistogram(); h != nil {
				count += len(h.GetBucket()) + 2 // the +Inf bucket, sum and count beside the rest
			}
		}
	}
	return count
}

// document is docs/metrics.md.
func document(t *testing.T) string {
	t.Helper()
	none, one, two := seriesOf(t, 0), seriesOf(t, 1), seriesOf(t, 2)
	if two-one != one-none {
		t.Errorf("the second breaker adds %d series, the first %d", two-one, one-none)
	}
	var s strings.Builder
	fmt.Fprintf(&s, head, one-none, none, defaultLimit)
	for _, section := range []struct {
		title    string
		from, to figures.ID
	}{
		{"A replica and its store", figures.ReplicaInfo, figures.ConnectionWaits},
		{"A breaker, in this replica", figures.State, figures.Disowned},
		{"A breaker, in the fleet", figures.FleetState, figures.PolicyObserve},
		{"Active checks", figures.HealthState, figures.HealthTook},
		{"Fallback chains and retries", figures.FallbackServed, figures.RetryWaits},
	} {
		fmt.Fprintf(&s, "\n## %s\n\n| metric | type | labels | replicas | |\n|---|---|---|---|---|\n", section.title)
		for _, m := range figures.Table[section.from : section.to+1] {
			labels := "-"
			if len(m.Labels) > 0 {
				labels = "`" + strings.Join(m.Labels, "`, `") + "`"
			}
			fmt.Fprintf(&s, "| `%s%s` | %s | %s | %s | %s |\n", figures.Prefix, m.Name, m.Kind, labels, m.Join, m.Help)
		}
	}
	fmt.Fprint(&s, "\n## Values of labels\n\n| label | values |\n|---|---|\n")
	for _, l := range labelValues() {
		fmt.Fprintf(&s, "| `%s` | %s |\n", l[0], l[1])
	}
	s.WriteString(tail)
	return s.String()
}

func labelValues() [][2]string {
	return [][2]string{
		{"state", values(figures.OfBreaker, figures.State)},
		{"outcome", values(figures.OfBreaker, figures.Calls)},
		{"refusal", values(figures.OfBreaker, figures.Refused)},
		{"to, reason", values(figures.OfBreaker, figures.Transitions) + "; `other` for a reason of a newer version"},
		{"mode", values(figures.OfBreaker, figures.Mode)},
		{"command", values(figures.OfBreaker, figures.CommandSince)},
		{"action", values(figures.OfBreaker, figures.Commands)},
		{"health", values(figures.OfCheck, figures.HealthState)},
		{"why", "skipped, failed"},
	}
}

// values are those of a metric's labels behind the first.
func values[T any](families []figures.Family[T], metric figures.ID) string {
	var texts []string
	for _, f := range families {
		for _, column := range f.Columns {
			if f.Metric == metric && !column.Rare {
				texts = append(texts, strings.Join(column.Values, " by "))
			}
		}
	}
	return strings.Join(texts, ", ")
}

const head = `<!-- Made by: go test ./metrics -update. Change internal/figures/table.go instead. -->
# Metrics

` + "```go" + `
c := metrics.NewCollector(m, metrics.WithHealth(monitor))
prometheus.MustRegister(c)
docs, err := fallback.New(tiers, fallback.WithObserver(c.Fallback("docs")))
again, err := retry.New(policy, retry.WithOnRetry(c.Retry("docs")))
` + "```" + `

A scrape reads what the breakers count anyway: it does no I/O, and calls cost no more for it. Alert rules, recording rules and
a board made of these metrics lie in [deploy](../deploy); what to do when an alert fires stands in
[operations.md](operations.md).

**Replicas are joined in two ways.** What a replica did is summed: each transition is counted by the one replica that made
it, so that the sum over a fleet is the number of transitions. What a replica knows of the fleet is the same at each of
them: take the max, never the sum. The column "replicas" says which; "-" is each replica's own affair.

**States and modes are one-hot**: one series a value, 1 or 0. A closed breaker is a 0 at "open", not a gap. A state that came
and went between two scrapes shows in commontrip_transitions_total.

**The number of series is bounded.** A breaker makes %d, a replica %d more (4 on PostgreSQL), a check 6, a retrier 2, a chain 15 and at most 3
a tier. At most %d breakers are shown (WithLimit), the first by name; commontrip_breakers_left_out tells how many are not.
No label holds an error, an address or anything that comes with a call.

**A scrape is cheap, and more so if there are fewer breakers.** The collector keeps the labels of the last scrape, so that
the next one makes values only; what a registry and the text format add is about ten times as much
(` + "`go test ./metrics -run '^$' -bench Scrape1000 -benchmem`" + ` tells both). Calls do not wait for a scrape.
`

const tail = `
## OpenTelemetry

Package oteltrip shows the same to OpenTelemetry's own API, and puts events on spans: see [opentelemetry.md](opentelemetry.md). A service
that has the collector already can send what it shows through the bridge go.opentelemetry.io/contrib/bridges/prometheus, which reads any Prometheus registry; this module itself does not depend on it:

` + "```go" + `
registry := prometheus.NewRegistry()
registry.MustRegister(metrics.NewCollector(m))
reader := sdkmetric.NewPeriodicReader(exporter,
	sdkmetric.WithProducer(otelbridge.NewMetricProducer(otelbridge.WithGatherer(registry))))
provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
` + "```" + `

tests/deploy/queries holds a test that runs it.
`
