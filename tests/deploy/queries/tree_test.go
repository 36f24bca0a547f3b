package queries

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const tree = "../../../"

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(tree + path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

type ruleFile struct {
	Groups []struct {
		Rules []struct {
			Record, Alert, Expr string
			Annotations         map[string]string
		}
	}
}

func rules(t *testing.T, path string) (f ruleFile) {
	t.Helper()
	if err := yaml.Unmarshal(read(t, path), &f); err != nil {
		t.Fatal(path, err)
	}
	return f
}

// sharedMetrics are those of which docs/metrics.md says that replicas are joined by max.
func sharedMetrics(t *testing.T) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	row := regexp.MustCompile("(?m)^\\| `(commontrip_\\w+)` \\| \\w+ \\| [^|]+ \\| max \\|")
	for _, m := range row.FindAllSubmatch(read(t, "docs/metrics.md"), -1) {
		out[string(m[1])] = true
	}
	if len(out) < 10 {
		t.Fatalf("docs/metrics.md tells of %d shared metrics only", len(out))
	}
	return out
}

// examine makes an examiner that knows what a fleet exports and what the recording rules add, and examines the rules.
func examine(t *testing.T) *examiner {
	t.Helper()
	x := &examiner{known: exported(t), shared: sharedMetrics(t)}
	for _, path := range []string{"deploy/prometheus/slo.yml", "deploy/prometheus/alerts.yml"} {
		count := 0
		for _, g := range rules(t, path).Groups {
			for _, r := range g.Rules {
				count++
				labels := x.query(r.Expr)
				if r.Record != "" {
					x.known[r.Record] = map[string]map[string]bool{}
					for l := range labels {
						x.known[r.Record][l] = map[string]bool{}
					}
				}
				for _, text := range r.Annotations {
					x.mentions(text, `\$labels\.(\w+)`, labels, r.Alert)
				}
			}
		}
		if count < 5 {
			t.Errorf("%s: %d rules only", path, count)
		}
	}
	return x
}

// mentions blames labels named in a text that a result does not have.
func (x *examiner) mentions(text, pattern string, labels set, where string) {
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		if !labels[m[1]] {
			x.blame("%s: %q names the label %s, which its result does not have", where, text, m[1])
		}
	}
}

func (x *examiner) report(t *testing.T) {
	t.Helper()
	for _, p := range x.problems {
		t.Error(p)
	}
}

func TestEveryRuleAsksForWhatAFleetExports(t *testing.T) {
	examine(t).report(t)
}

type board struct {
	Templating struct {
		List []struct {
			Name, Type, Definition string
			Query                  any
		}
	}
	Panels []struct {
		ID      int
		Title   string
		Type    string
		Targets []struct{ Expr, LegendFormat string }
		GridPos struct{ H, W, X, Y int }
	}
}

// variables stand for themselves in queries; Grafana puts in what is chosen.
var variables = strings.NewReplacer("$__rate_interval", "5m", `"$job"`, `".+"`, `"$breaker"`, `".+"`)

func TestEveryQueryOfTheBoardAsksForWhatAFleetExports(t *testing.T) {
	x := examine(t)
	x.problems = nil
	var b board
	if err := json.Unmarshal(read(t, "deploy/grafana/commontrip.json"), &b); err != nil {
		t.Fatal(err)
	}
	ids, count := map[int]bool{}, 0
	for _, p := range b.Panels {
		if ids[p.ID] || p.Title == "" || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %d (%q) is placed or named badly", p.ID, p.Title)
		}
		ids[p.ID] = true
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %q asks for nothing", p.Title)
		}
		for _, q := range p.Targets {
			count++
			query := variables.Replace(q.Expr)
			if strings.Contains(query, "$") {
				t.Errorf("panel %q: a variable that nobody sets: %s", p.Title, query)
			}
			before := len(x.problems)
			labels := x.query(query)
			x.mentions(q.LegendFormat, `\{\{(\w+)\}\}`, labels, p.Title)
			for i := range x.problems[before:] {
				x.problems[before+i] = p.Title + ": " + x.problems[before+i]
			}
		}
	}
	if count < 30 {
		t.Errorf("%d queries only", count)
	}
	var names []string
	for _, v := range b.Templating.List {
		names = append(names, v.Name)
		if m := regexp.MustCompile(`^label_values\((.+), (\w+)\)$`).FindStringSubmatch(v.Definition); m != nil {
			x.within([]string{m[2]}, x.query(variables.Replace(m[1])), v.Name)
		} else if v.Type != "datasource" {
			t.Errorf("variable %s: %q is no label_values(metric, label)", v.Name, v.Definition)
		}
	}
	if !slices.Equal(names, []string{"datasource", "job", "breaker"}) {
		t.Errorf("variables %q", names)
	}
	x.report(t)
}
