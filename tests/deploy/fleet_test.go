package deploy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/metrics"
	"github.com/commontrip/commontrip/store"
	memorystore "github.com/commontrip/commontrip/store/memory"
)

var errAway = errors.New("the store is away")

// fleet is three replicas of a service that Prometheus scrapes once a minute.
type fleet struct {
	t        *testing.T
	stores   [3]*memorystore.Link
	breakers [3]*breaker.Breaker
	scraped  [3]*prometheus.Registry
	fails    [3]bool // whose calls fail
	minutes  int
	values   map[string][]string // of each series, a value a minute
}

func (f *fleet) start() {
	for i := range f.breakers {
		name := string(rune('a' + i))
		m, err := breaker.NewManager(f.stores[i], breaker.WithReplica(name))
		if err != nil {
			f.t.Fatal(err)
		}
		f.t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			_ = m.Close(ctx)
		})
		if f.breakers[i], err = m.Register(f.t.Context(), "mcp"); err != nil {
			f.t.Fatal(err)
		}
		f.scraped[i] = prometheus.NewRegistry()
		f.scraped[i].MustRegister(metrics.NewCollector(m, metrics.WithLabels(prometheus.Labels{"job": "api", "instance": name})))
	}
}

var errTier = errors.New("the tier fails")

// serve lets minutes go by, with a call every five seconds at each replica.
func (f *fleet) serve(minutes int) {
	f.t.Helper()
	for range minutes {
		f.scrape()
		for range 12 {
			for i, b := range f.breakers {
				_ = b.Run(f.t.Context(), func(context.Context) error {
					if f.fails[i] {
						return errTier
					}
					return nil
				})
			}
			<-time.After(5 * time.Second)
		}
	}
}

func (f *fleet) scrape() {
	f.t.Helper()
	f.minutes++
	for _, registry := range f.scraped {
		families, err := registry.Gather()
		if err != nil {
			f.t.Fatal(err)
		}
		for _, family := range families {
			for _, m := range family.GetMetric() {
				f.note(family.GetName(), m)
			}
		}
	}
}

func (f *fleet) note(name string, m *dto.Metric) {
	labels := map[string]string{}
	for _, l := range m.GetLabel() {
		labels[l.GetName()] = l.GetValue()
	}
	h := m.GetHistogram()
	if h == nil {
		f.value(name, labels, m.GetGauge().GetValue()+m.GetCounter().GetValue())
		return
	}
	f.value(name+"_sum", labels, h.GetSampleSum())
	f.value(name+"_count", labels, float64(h.GetSampleCount()))
	for _, b := range h.GetBucket() {
		labels["le"] = strconv.FormatFloat(b.GetUpperBound(), 'g', -1, 64)
		f.value(name+"_bucket", labels, float64(b.GetCumulativeCount()))
	}
	labels["le"] = "+Inf"
	f.value(name+"_bucket", labels, float64(h.GetSampleCount()))
}

func (f *fleet) value(name string, labels map[string]string, v float64) {
	parts := make([]string, 0, len(labels))
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		parts = append(parts, fmt.Sprintf("%s=%q", k, labels[k]))
	}
	series := name + "{" + strings.Join(parts, ", ") + "}"
	for len(f.values[series]) < f.minutes-1 {
		f.values[series] = append(f.values[series], "_")
	}
	f.values[series] = append(f.values[series], strconv.FormatFloat(v, 'f', -1, 64))
}

// unitTest is a test for promtool: what was scraped, and which alerts fire at its end.
func (f *fleet) unitTest(t *testing.T, firing []string) string {
	t.Helper()
	var s strings.Builder
	var files []string
	for _, name := range []string{"alerts.yml", "slo.yml"} {
		path, err := filepath.Abs(filepath.Join(rules, name))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, strconv.Quote(path))
	}
	fmt.Fprintf(&s, "rule_files: [%s]\nevaluation_interval: 1m\n", strings.Join(files, ", "))
	fmt.Fprint(&s, "group_eval_order: [commontrip-availability]\n")
	fmt.Fprint(&s, "tests:\n  - interval: 1m\n    input_series:\n")
	for _, series := range slices.Sorted(maps.Keys(f.values)) {
		fmt.Fprintf(&s, "      - series: '%s'\n        values: '%s'\n", series, strings.Join(f.values[series], " "))
	}
	fmt.Fprintf(&s, "    promql_expr_test:\n      - expr: group by (alertname) (ALERTS{alertstate=\"firing\"})\n        eval_time: %dm\n", f.minutes-1)
	fmt.Fprint(&s, "        exp_samples:\n")
	for _, alert := range firing {
		fmt.Fprintf(&s, "          - {labels: '{alertname=\"%s\"}', value: 1}\n", alert)
	}
	return s.String()
}

// What the rules make of what replicas really export, each time with all alerts that fire: others must not.
func TestTheAlertsFireOnWhatAFleetReallyExports(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts promtool for each story; the rules themselves are tested")
	}
	for _, story := range []struct {
		name   string
		live   func(f *fleet)
		firing []string
	}{
		{"all is well", func(f *fleet) { f.serve(20) }, nil},
		{"the tier dies", func(f *fleet) {
			f.serve(5)
			f.fails = [3]bool{true, true, true}
			f.serve(15)
		}, []string{
			"CommontripBreakerOpen", "CommontripBudgetBurnsFast", "CommontripBudgetBurnsSlowly", "CommontripRefusalsAboveBudget",
		}},
		{"one replica is sick", func(f *fleet) {
			f.serve(5)
			f.fails[0] = true
			f.serve(15)
		}, []string{
			"CommontripBudgetBurnsFast", "CommontripBudgetBurnsSlowly", "CommontripRefusalsAboveBudget", "CommontripSickReplica",
		}},
		{"the store goes away", func(f *fleet) {
			f.serve(5)
			for _, way := range f.stores {
				way.Fail(errAway)
			}
			f.serve(15)
		}, []string{"CommontripOutcomesLost", "CommontripStoreDegraded", "CommontripStoreStale"}},
		{"one replica speaks to another store", func(f *fleet) {
			f.serve(5)
			f.command(1, store.ForceClosed)
			f.serve(3)
			f.command(1, store.Lift)
			f.serve(12)
		}, []string{"CommontripReplicasDisagree"}},
	} {
		t.Run(story.name, func(t *testing.T) {
			f := &fleet{values: map[string][]string{}}
			synctest.Test(t, func(t *testing.T) {
				f.t = t
				shared, another := memorystore.New(), memorystore.New()
				f.stores = [3]*memorystore.Link{memorystore.NewLink(shared), memorystore.NewLink(shared), memorystore.NewLink(shared)}
				if strings.Contains(story.name, "another store") {
					f.stores[2] = memorystore.NewLink(another)
				}
				f.start()
				story.live(f)
			})
			path := filepath.Join(t.TempDir(), "test.yml")
			if err := os.WriteFile(path, []byte(f.unitTest(t, story.firing)), 0o600); err != nil {
				t.Fatal(err)
			}
			promtool(t, "test", "rules", path)
		})
	}
}

func (f *fleet) command(replica int, a store.Action) {
	f.t.Helper()
	if _, err := f.breakers[replica].Command(f.t.Context(), breaker.Command{Action: a, By: "oncall"}); err != nil {
		f.t.Fatal(err)
	}
}
